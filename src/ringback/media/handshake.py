# SPDX-License-Identifier: Apache-2.0
"""How does one DTLS handshake go on? OpenSSL between two memory buffers, with its timer (RFC 6347)."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Iterator

from OpenSSL import SSL

from ringback.media.certificate import Certificate
from ringback.sip.flow import Address

#: What passes every path without fragments; headers of IP and UDP come on top.
MTU = 1_200
#: Type, version, epoch, 48 bits of sequence, length.
RECORD = struct.Struct("!BHHHIH")
_SHORTEST_WAIT = 0.05
_ALERT, _HANDSHAKE = 21, 22
#: The kind of message that a client begins with.
_HELLO = 1
#: OpenSSL repeats a flight after a second. A peer that reads our answer only after our first flight came
#: would be silent for so long: three times we are faster (section 4.2.4.1).
_FIRST_REPEAT, _REPEATS = 0.1, 3

Send = Callable[[list[bytes], Address], None]


class Handshake:
    """One connection of OpenSSL with one address.

    ended:
        called when it is complete, with None, or came to nothing, with the reason
    """

    __slots__ = (
        "_ended",
        "_flight",
        "_loop",
        "_repeats",
        "_send",
        "_timer",
        "client_random",
        "connection",
        "is_done",
        "peer",
    )

    def __init__(
        self,
        certificate: Certificate,
        peer: Address,
        *,
        is_client: bool,
        send: Send,
        ended: Callable[[Handshake, str | None], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self._flight: list[bytes] = []
        self._repeats = 0
        self.peer = peer
        self.is_done = False
        #: What the peer's hello begins with, once it has said hello.
        self.client_random: bytes | None = None
        self.connection = SSL.Connection(certificate.context, None)
        self.connection.set_app_data(peer)  # the cookie is made of it
        self.connection.set_ciphertext_mtu(MTU)
        if is_client:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()

    def receive(self, data: bytes) -> None:
        """Take a datagram."""
        if not self.is_done:
            self.client_random = self.client_random or client_random(data)
            data = b"".join(each for each in _records(data) if not _is_unsigned_alert(each))
            if data:
                self.connection.bio_write(data)
                self.advance()
            return
        self.connection.bio_write(data)
        # Our last flight was lost, and is sent again; or an alert: the call ends by its signalling.
        with contextlib.suppress(SSL.Error):
            self.connection.recv(MTU)
        self._flush()

    def advance(self) -> None:
        """Go on as far as possible.

        When it fails nothing is sent: who spoiled it may not be the peer, who would believe an alert.
        """
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            self._flush()
            self._wait()
        except SSL.Error as error:
            self.close()
            self._ended(self, str(error))
        else:
            self.is_done = True
            self.close()
            self._flush()
            self._ended(self, None)

    def close(self) -> None:
        """Stop its timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self.close()
        seconds = self.connection.DTLSv1_get_timeout()
        if self._flight and self._repeats < _REPEATS:
            self._timer = self._loop.call_later(_FIRST_REPEAT * 2**self._repeats, self._repeat)
        elif seconds is not None:
            self._timer = self._loop.call_later(max(seconds, _SHORTEST_WAIT), self._timed_out)

    def _repeat(self) -> None:
        self._repeats += 1
        self._send(self._flight, self.peer)
        self._wait()

    def _timed_out(self) -> None:
        """Send the last flight again (section 4.2.4)."""
        try:
            self.connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self._ended(self, str(error))
            return
        self._flush()
        self._repeats = _REPEATS
        self._wait()

    def _flush(self) -> None:
        flight = bytearray()
        with contextlib.suppress(SSL.Error):
            while True:
                flight += self.connection.bio_read(65_536)
        if flight:
            self._flight, self._repeats = list(_datagrams(bytes(flight))), 0
            self._send(self._flight, self.peer)


def client_random(data: bytes) -> bytes | None:
    """The random octets of a ClientHello, the same in each that is sent again; None for all else (section
    4.2.2: message type, length, number, fragment, then version and random).
    """
    at = RECORD.size
    is_hello = len(data) >= at + 46 and data[0] == _HANDSHAKE and data[3:5] == b"\0\0" and data[at] == _HELLO
    return data[at + 14 : at + 46] if is_hello else None


def _datagrams(flight: bytes) -> Iterator[bytes]:
    """The buffer knows no datagrams: whole records, as many as fit (section 4.1.1)."""
    datagram = b""
    for record in _records(flight):
        if datagram and len(datagram) + len(record) > MTU:
            yield datagram
            datagram = b""
        datagram += record
    if datagram:
        yield datagram


def _records(data: bytes) -> Iterator[bytes]:
    """The whole records of a datagram or a flight (section 4.1)."""
    at = 0
    while at + RECORD.size <= len(data):
        end = at + RECORD.size + RECORD.unpack_from(data, at)[-1]
        if end > len(data):
            return
        yield data[at:end]
        at = end


def _is_unsigned_alert(record: bytes) -> bool:
    """Anybody could have sent it, and OpenSSL would give up (section 4.1.2.7 leaves it to us)."""
    return record[0] == _ALERT and record[3:5] == b"\0\0"
