# SPDX-License-Identifier: Apache-2.0
"""How do SIP messages travel over WebSocket? One message a WebSocket message, subprotocol "sip" (RFC 7118).

The HTTP port answers plain questions too: where there is a web process, it does (`tunnel.py`); else a browser
gets a line of text, and a load balancer `/healthz`.
"""

import logging
import re
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from ringback.net.framing import Signal
from ringback.sip.flow import Address

SIP = Subprotocol("sip")
#: The library logs every frame at DEBUG; a SIP trace is what people look for, so it keeps quiet.
quiet = logging.getLogger("ringback.net.websocket")
quiet.setLevel(logging.ERROR)

#: An HTTP head that is larger is refused before it is read further.
LARGEST_HEAD = 16_384
#: The first line of a request that the web process may be asked (RFC 9112 section 3).
REQUEST_LINE = re.compile(rb"[A-Z]{1,20} ([!-~]+) HTTP/1\.[01]\r\n")
UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
PAGES = {
    "/healthz": (200, "ok\n"),
    "/": (200, "This is Ringback. SIP over WebSocket is spoken here, subprotocol sip (RFC 7118).\n"),
}


class WebSocketFraming:
    """One WebSocket connection, either side, above the `websockets` package's state machine."""

    answers_pings = True

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._parts: list[bytes] = []

    @property
    def is_ready(self) -> bool:
        """True after the handshake."""
        return self._protocol.state is State.OPEN

    @property
    def is_partial(self) -> bool:
        """True in the middle of a message of several frames."""
        return bool(self._parts)

    @property
    def is_over(self) -> bool:
        """True after a close frame, a refused handshake or an error."""
        return self._protocol.close_expected()

    def receive(self, data: bytes) -> list[bytes | Signal]:
        """Whole messages and signals. Errors of the WebSocket layer end in `is_over`."""
        self._protocol.receive_data(data)
        found: list[bytes | Signal] = []
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                found += self._take(event)
            else:
                self._shake_hands(event)
        return found

    def output(self) -> bytes:
        """Handshakes, pongs, close frames."""
        return b"".join(self._protocol.data_to_send())

    def wrap(self, message: bytes) -> bytes:
        """One frame: text when it can be text, as browsers expect, else binary (RFC 7118 section 5)."""
        try:
            message.decode()
        except UnicodeDecodeError:
            self._protocol.send_binary(message)
        else:
            self._protocol.send_text(message)
        return self.output()

    def ping(self) -> bytes:
        """A WebSocket ping (RFC 6455 5.5.2)."""
        if not self.is_ready:
            return b""
        self._protocol.send_ping(b"")
        return self.output()

    def farewell(self) -> bytes:
        """A close frame: we are going away."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.GOING_AWAY)
        return self.output()

    def unfinished(self) -> bytes:
        """A WebSocket message is whole or nothing."""
        return b""

    def _shake_hands(self, event: Request | Response) -> None:
        """A server answers the request; a client takes the answer (the library did, when it parsed it)."""
        raise NotImplementedError

    def _take(self, frame: Frame) -> list[bytes | Signal]:
        """RFC 6455 5.4: data may come in fragments, control frames between them."""
        if frame.opcode is Opcode.PONG:
            return [Signal.PONG]
        if frame.opcode is Opcode.PING:
            return [Signal.PING]
        if frame.opcode is Opcode.CLOSE:
            return []
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return []
        message = b"".join(self._parts)
        self._parts.clear()
        return self._classify(message)

    def _classify(self, message: bytes) -> list[bytes | Signal]:
        """RFC 7118 section 6 lets CRLFs keep a connection alive inside of messages too."""
        if message == b"\r\n\r\n":
            self._protocol.send_binary(b"\r\n")
            return [Signal.PING]
        if message == b"\r\n":
            return [Signal.PONG]
        return [message] if message else []


class WebSocketServer(WebSocketFraming):
    """The side that was called: upgrades on one path, answers plain HTTP on others."""

    def __init__(self, message_size: int, path: str) -> None:
        self._server = ServerProtocol(subprotocols=[SIP], max_size=message_size, logger=quiet)
        self._path = path
        self._head: bytes | None = b""
        #: Takes what came when it is no WebSocket for SIP; None: we answer that ourselves.
        self.divert: Callable[[bytes], None] | None = None
        super().__init__(self._server)

    @property
    def is_partial(self) -> bool:
        """True in the middle of the handshake or of a message of several frames."""
        return bool(self._head) or super().is_partial

    def receive(self, data: bytes) -> list[bytes | Signal]:
        """The HTTP head alone first: frames sent ahead of our answer must wait for it."""
        if self._head is None:
            return super().receive(data)
        self._head += data
        head, separator, rest = self._head.partition(b"\r\n\r\n")
        if not separator and len(head) <= LARGEST_HEAD:
            return []
        whole, self._head = self._head, None
        if self.divert is not None and _is_for_the_web(head + separator, self._path):
            self.divert(whole)
            return []
        super().receive(head + separator)
        return super().receive(rest) if rest and not self.is_over else []

    def _shake_hands(self, event: Request | Response) -> None:
        assert isinstance(event, Request)
        path = event.path.partition("?")[0]
        if "Upgrade" not in event.headers:
            status, text = PAGES.get(path, (404, "There is nothing here.\n"))
            response = self._server.reject(status, text)
        elif path != self._path:
            response = self._server.reject(404, f"SIP over WebSocket is at {self._path}\n")
        else:
            response = self._server.accept(event)
        self._server.send_response(response)


def _is_for_the_web(head: bytes, path: str) -> bool:
    """A request of HTTP/1 that is not for SIP. What is no such request is refused as ever."""
    line = REQUEST_LINE.match(head)
    if line is None or not head.endswith(b"\r\n\r\n") or len(head) > LARGEST_HEAD:
        return False
    return line[1].partition(b"?")[0] != path.encode() or not UPGRADE.search(head)


class WebSocketClient(WebSocketFraming):
    """The side that calls."""

    def __init__(
        self, message_size: int, remote: Address, *, secure: bool, server_name: str, path: str
    ) -> None:
        uri = WebSocketURI(secure, server_name, remote.port, path, "", None, None)
        self._client = ClientProtocol(uri, subprotocols=[SIP], max_size=message_size, logger=quiet)
        super().__init__(self._client)
        self._client.send_request(self._client.connect())

    def _shake_hands(self, event: Request | Response) -> None:
        """RFC 7118 4.1: a server that does not choose "sip" speaks something else."""
        if self._client.handshake_exc is None and self._client.subprotocol != SIP:
            self._client.fail(CloseCode.PROTOCOL_ERROR, "subprotocol sip is needed")
