# SPDX-License-Identifier: Apache-2.0
"""How does one TLS connection carry bytes? A `TcpStream` whose bytes go through OpenSSL in memory.

In memory, since a TLS socket of Python reads the head and the body of each record from the kernel one by one:
17 us for an echo of 730 bytes against 13 this way. asyncio's own TLS costs twice that and holds 279 KB a
connection, where this holds 16.
"""

import contextlib
import socket
import ssl
from asyncio import get_running_loop
from collections.abc import Callable

from ringback.net.network import StreamReader
from ringback.net.poller import READ, Poller
from ringback.net.tcp_stream import TcpStream
from ringback.sip.flow import Address

#: The most one TLS record holds (RFC 8446 5.1).
RECORD = 16_384

#: Called once, with what went wrong in the handshake, or None.
Shaken = Callable[[OSError | None], None]


class TlsStream(TcpStream):
    """One connected socket with TLS above it. It carries nothing until `shake_hands` has ended well."""

    __slots__ = ("_failure", "_incoming", "_outgoing", "_shaken", "_tls", "first")

    def __init__(
        self,
        sock: socket.socket,
        poller: Poller,
        remote: Address,
        released: Callable[[], None] | None = None,
        *,
        context: ssl.SSLContext,
        server_name: str | None = None,
    ) -> None:
        """With a `server_name` (whom the certificate must name) we are the client."""
        super().__init__(sock, poller, remote, released)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )
        self._shaken: Shaken | None = None
        self._failure: OSError | None = None
        #: What came first, until the handshake is over: it may be no TLS at all.
        self.first = b""

    def shake_hands(self, shaken: Shaken) -> None:
        """Begin the handshake. Whoever is impatient aborts the stream."""
        self._shaken = shaken
        self._arrived = self._shake
        self._attend(READ)
        if not self._tls.server_side:
            self._shake(b"")

    def set_reader(self, reader: StreamReader) -> None:
        """Deliver what comes from now on, and what came right behind the handshake."""
        super().set_reader(reader)
        self._arrived = self._open_records
        if self._incoming.pending:
            get_running_loop().call_soon(self._open_records, b"")

    def _sealed(self, data: bytes) -> bytes:
        done = self._tls.write(data)
        while done < len(data):
            done += self._tls.write(memoryview(data)[done:])
        return self._outgoing.read()

    def _last_words(self) -> bytes:
        """Our close_notify. That of the peer need not be waited for (RFC 8446 6.1)."""
        # It always wants to read; or there was no handshake yet.
        with contextlib.suppress(OSError, ValueError):
            self._tls.unwrap()
        return self._outgoing.read()

    def _report(self, detail: str) -> None:
        shaken, self._shaken = self._shaken, None
        if shaken is not None:
            shaken(self._failure or ConnectionError(f"the handshake was cut off: {detail}"))
        else:
            super()._report(detail)

    # --- the handshake ---

    def _shake(self, data: bytes) -> None:
        """One step; the answer goes out whether it is a greeting or an alert."""
        self._incoming.write(data)
        self.first = self.first or data
        failure: OSError | None = None
        is_done = False
        try:
            self._tls.do_handshake()
            is_done = True
        except ssl.SSLWantReadError:
            pass
        except OSError as error:
            failure = error
        self._push(self._outgoing.read())
        if failure is not None:
            self._failure = failure
            self._end(str(failure))
        elif is_done and not self._is_over:
            self._finish_handshake()

    def _finish_handshake(self) -> None:
        """Nothing is read until there is a reader."""
        shaken, self._shaken = self._shaken, None
        self.first = b""
        self._attend(self._interest & ~READ)
        assert shaken is not None
        shaken(None)

    # --- data ---

    def _open_records(self, data: bytes) -> None:
        """Everything that is whole; half a record waits in OpenSSL for its rest."""
        if self._is_closing or self._reader is None:
            return
        self._incoming.write(data)
        data, is_last, failure = self._decrypted()
        if self._outgoing.pending:  # an alert, or the answer to a change of keys
            self._push(self._outgoing.read())
        if data:
            self._reader.data_received(data)
        if failure:
            self._end(failure)
        elif is_last:
            self._end_of_stream()

    def _decrypted(self) -> tuple[bytes, bool, str]:
        """What came, whether the peer has closed, what broke."""
        pieces: list[bytes] = []
        try:
            while True:
                piece = self._tls.read(RECORD)
                if not piece:
                    return b"".join(pieces), True, ""
                pieces.append(piece)
                if not self._incoming.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except OSError as error:
            return b"".join(pieces), True, str(error)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), False, ""
