# SPDX-License-Identifier: Apache-2.0
"""Phones made by hand for servers of several workers: each knows which worker it speaks to.

The tag in an answer of the server says which worker made it, so a phone that wants a certain worker opens sockets
until that one answers.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Self

from ringback.sip.message.framing import StreamFramer

PATIENCE = 15.0
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


class WirePhone(asyncio.Protocol, asyncio.DatagramProtocol):
    """One socket and what came over it. `text` below is always a whole message."""

    def __init__(self, number: str, password: str, word: str) -> None:
        self.number, self.password, self.word = number, password, word
        self.messages: asyncio.Queue[str] = asyncio.Queue()
        self.worker = -1
        self.is_lost = asyncio.Event()
        self._framer = StreamFramer()
        self._cseq = 0
        self.tag = secrets.token_hex(4)

    @classmethod
    async def at_worker(
        cls, worker: int, port: int, number: str, *, word: str = "UDP", password: str = "secret"
    ) -> Self:
        """A phone whose packets reach this worker."""
        for _ in range(64):
            phone = cls(number, password, word)
            await phone.open(port)
            phone.worker = await phone.ask_worker()
            if phone.worker == worker:
                return phone
            phone.close()
        raise AssertionError(f"worker {worker} never answered")

    async def open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        server = ("127.0.0.1", port)
        if self.word == "UDP":
            self.transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=server)
        else:
            self.transport, _ = await loop.create_connection(lambda: self, *server)
        self.here = "{}:{}".format(*self.transport.get_extra_info("sockname"))
        self.contact = f"<sip:{self.number}@{self.here};transport={self.word.lower()}>"

    def close(self) -> None:
        self.transport.close()

    async def ask_worker(self) -> int:
        """Who is there? OPTIONS, answered without state."""
        self.send(self.request("OPTIONS", "sip:127.0.0.1", to="<sip:127.0.0.1>"))
        return worker_of_tag(await self.expect("SIP/2.0"))

    # --- messages

    def request(
        self,
        method: str,
        target: str,
        *,
        to: str,
        call_id: str = "",
        cseq: int = 0,
        from_: str = "",
        more: Sequence[str] = (),
        branch: str = "",
        body: str = "",
    ) -> str:
        if not cseq:
            self._cseq += 1
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/{self.word} {self.here};rport;branch={branch or 'z9hG4bK' + secrets.token_hex(8)}",
            "Max-Forwards: 70",
            f"From: {from_ or f'<sip:{self.number}@127.0.0.1>;tag={self.tag}'}",
            f"To: {to}",
            f"Call-ID: {call_id or secrets.token_hex(8)}",
            f"CSeq: {cseq or self._cseq} {method}",
            f"Contact: {self.contact}",
            *more,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def response(self, status: str, to: str, *, tag: str = "", body: str = "") -> str:
        """A response to the request `to`, with our tag if it has none."""
        kept = [
            line
            for line in to.partition("\r\n\r\n")[0].split("\r\n")[1:]
            if line.partition(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route")
        ]
        kept = [
            f"{line};tag={tag}" if tag and line.startswith("To:") and ";tag=" not in line else line
            for line in kept
        ]
        kind = ["Content-Type: application/sdp"] if body else []
        lines = [
            f"SIP/2.0 {status}",
            *kept,
            f"Contact: {self.contact}",
            *kind,
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def send(self, text: str) -> None:
        if self.word == "UDP":
            self.transport.sendto(text.encode())
        else:
            self.transport.write(text.encode())

    async def expect(self, start: str) -> str:
        """The next message that begins so; others are passed over."""
        async with asyncio.timeout(PATIENCE):
            while not (text := await self.messages.get()).startswith(start):
                pass
        return text

    async def expect_failure(self) -> int:
        """The status of the next final response, which is none of success."""
        while (status := int((await self.expect("SIP/2.0"))[8:11])) < 200:
            pass
        assert status >= 300
        return status

    # --- what phones do

    async def register(self, *, expires: int = 300) -> str:
        """The final response."""
        call_id = secrets.token_hex(8)
        more = [f"Expires: {expires}"]
        self.send(self.request("REGISTER", "sip:127.0.0.1", to=self.address, call_id=call_id, more=more))
        answer = await self.expect("SIP/2.0")
        if answer.startswith("SIP/2.0 401"):
            more.append(self.credentials(answer, "REGISTER", "sip:127.0.0.1"))
            self.send(self.request("REGISTER", "sip:127.0.0.1", to=self.address, call_id=call_id, more=more))
            answer = await self.expect("SIP/2.0")
        return answer

    async def challenge(self, method: str) -> str:
        """The answer to a request without credentials."""
        self.send(self.request(method, "sip:127.0.0.1", to=self.address))
        return await self.expect("SIP/2.0 401")

    async def invite(self, number: str) -> str:
        """Ask for a call with our password; what was sent."""
        target, call_id = f"sip:{number}@127.0.0.1", secrets.token_hex(8)
        invite = self.request("INVITE", target, to=f"<{target}>", call_id=call_id, body=SDP)
        self.send(invite)
        challenge = await self.expect("SIP/2.0 407")
        self.acknowledge(invite, challenge)
        more = [self.credentials(challenge, "INVITE", target)]
        invite = self.request("INVITE", target, to=f"<{target}>", call_id=call_id, more=more, body=SDP)
        self.send(invite)
        return invite

    def acknowledge(self, invite: str, answer: str) -> None:
        """The ACK to a failure, with the branch of its INVITE (17.1.1.3)."""
        branch = re.search(r"branch=([^;\r]+)", invite)[1]
        self.send(
            self.request(
                "ACK", invite.split(" ")[1], to=value(answer, "To"), call_id=value(answer, "Call-ID"),
                cseq=int(value(invite, "CSeq").split(" ")[0]), branch=branch,
            )
        )  # fmt: skip

    def in_dialog(self, method: str, answer: str, *, cseq: int = 0) -> str:
        """A request of the caller inside the dialog that `answer` (a 2xx) made."""
        routes = [line for line in answer.split("\r\n") if line.startswith("Record-Route:")]
        return self.request(
            method, re.search(r"<([^>]+)>", value(answer, "Contact"))[1], to=value(answer, "To"),
            call_id=value(answer, "Call-ID"), from_=value(answer, "From"), cseq=cseq,
            more=[line.replace("Record-Route", "Route") for line in reversed(routes)],
        )  # fmt: skip

    def in_dialog_of_callee(self, method: str, invite: str, *, tag: str) -> str:
        """The same of the callee, which got `invite` and answered with `tag`."""
        routes = [line for line in invite.split("\r\n") if line.startswith("Record-Route:")]
        return self.request(
            method, re.search(r"<([^>]+)>", value(invite, "Contact"))[1], to=value(invite, "From"),
            call_id=value(invite, "Call-ID"), from_=f"{value(invite, 'To')};tag={tag}",
            more=[line.replace("Record-Route", "Route") for line in routes],
        )  # fmt: skip

    @property
    def address(self) -> str:
        return f"<sip:{self.number}@127.0.0.1>"

    def credentials(self, challenge: str, method: str, uri: str) -> str:
        name = "Authorization" if challenge.startswith("SIP/2.0 401") else "Proxy-Authorization"
        line = next(
            line for line in challenge.split("\r\n") if "-Authenticate:" in line and "algorithm=MD5" in line
        )
        said = dict(re.findall(r'(\w+)="([^"]*)"', line))
        secret = _md5(f"{self.number}:{said['realm']}:{self.password}")
        response = _md5(f"{secret}:{said['nonce']}:00000001:c:auth:{_md5(f'{method}:{uri}')}")
        return (
            f'{name}: Digest username="{self.number}", realm="{said["realm"]}", nonce="{said["nonce"]}", '
            f'uri="{uri}", response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"'
        )

    # --- asyncio

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.messages.put_nowait(data.decode())

    def data_received(self, data: bytes) -> None:
        for message in self._framer.feed(data):
            self.messages.put_nowait(message.decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost.set()


def value(text: str, name: str) -> str:
    """The first header of this name."""
    return next(line for line in text.split("\r\n") if line.startswith(f"{name}:")).partition(":")[2].strip()


def worker_of_tag(text: str) -> int:
    """The worker that made the To tag of a response."""
    return int(re.search(r";tag=rb-(\d\d)-", value(text, "To"))[1])


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
