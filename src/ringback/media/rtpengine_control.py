# SPDX-License-Identifier: Apache-2.0
"""How is rtpengine asked something? Its ng protocol: a cookie and a dictionary in one datagram, and back.

A question that is not answered is sent again with the same cookie; rtpengine then repeats its answer
instead of doing the thing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from ringback.media.bencode import MalformedBencode, Value, Writable, decode, encode
from ringback.media.plane import PlaneUnavailable
from ringback.net.network import DatagramSocket, Network
from ringback.sip.errors import RingbackError
from ringback.sip.flow import Address

log = logging.getLogger("ringback.media")

#: Seconds until a question is sent again, and at last given up.
PATIENCE = (0.3, 0.7, 1.0, 1.0)
#: One datagram has room for a little less than 64 KB.
LONGEST_QUESTION = 60_000
#: Questions under way at once; more are refused, so that a dead rtpengine does not fill the memory.
MOST_QUESTIONS = 2_000

Reply = dict[str, Value]


class Refused(RingbackError):
    """rtpengine understood and says no."""


class RtpengineControl:
    """The socket to one rtpengine, from `open` to `close`."""

    def __init__(self, remote: Address, network: Network, random_bytes: Callable[[int], bytes]) -> None:
        self._remote = remote
        self._network = network
        #: Part of every cookie: rtpengine remembers those of other clients, and of our last life.
        self._salt = random_bytes(6).hex().encode()
        self._number = 0
        self._socket: DatagramSocket | None = None
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}

    async def open(self) -> None:
        """Bind a port of our own."""
        try:
            host = await self._network.source_address(self._remote.host)
            self._socket = await self._network.bind_datagram(Address(host, 0), self._received)
        except OSError as error:
            raise PlaneUnavailable(f"rtpengine at {self._remote} cannot be reached: {error}") from error

    def close(self) -> None:
        """Nobody is answered any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for answer in self._waiting.values():
            answer.cancel()

    async def ask(self, command: str, arguments: Mapping[str, Writable]) -> Reply:
        """What rtpengine says. Refused when it says no, PlaneUnavailable when it says nothing."""
        question = encode({"command": command, **arguments})
        if len(question) > LONGEST_QUESTION:
            raise Refused("the description is too long for rtpengine")
        if len(self._waiting) >= MOST_QUESTIONS:
            raise PlaneUnavailable("rtpengine answers too slowly")
        self._number += 1
        cookie = b"%s_%d" % (self._salt, self._number)
        reply = await self._answer(cookie, cookie + b" " + question)
        if reply.get("result") == b"error":
            reason = reply.get("error-reason")
            raise Refused(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else "no reason")
        return reply

    async def _answer(self, cookie: bytes, datagram: bytes) -> Reply:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[cookie] = answer
        try:
            for patience in PATIENCE:
                if self._socket is None:
                    break
                self._socket.send(datagram, self._remote)
                done, _ = await asyncio.wait({answer}, timeout=patience)
                if done:
                    return answer.result()
        except asyncio.CancelledError:
            if self._socket is not None:
                raise
        finally:
            del self._waiting[cookie]
        raise PlaneUnavailable(f"rtpengine at {self._remote} does not answer")

    def _received(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        for data, source in datagrams:
            cookie, _, rest = data.partition(b" ")
            answer = self._waiting.get(cookie)
            if source != self._remote or answer is None or answer.done():
                continue
            try:
                reply = decode(rest)
            except MalformedBencode as error:
                log.warning("rtpengine at %s answers what cannot be read: %s", source, error)
                continue
            if isinstance(reply, dict):
                answer.set_result(reply)
