# SPDX-License-Identifier: Apache-2.0
"""A caller of a few lines over UDP, for what no real phone does on purpose: no ACK, no sound, a hostile name."""

import re
import secrets
import socket
import time
from typing import Self

INVITE = """\
INVITE {uri} SIP/2.0
Via: SIP/2.0/UDP {here};branch={branch};rport
From: {display}<sip:visitor@elsewhere.invalid>;tag={tag}
To: <{uri}>
Call-ID: {call_id}
CSeq: 1 INVITE
Contact: <sip:visitor@{here}>
Max-Forwards: 70
User-Agent: Mute
Content-Type: application/sdp
Content-Length: {length}

{body}"""
IN_DIALOG = """\
{method} {target} SIP/2.0
Via: SIP/2.0/UDP {here};branch={branch};rport
From: {display}<sip:visitor@elsewhere.invalid>;tag={tag}
To: <{uri}>;tag={to_tag}
Call-ID: {call_id}
CSeq: {number} {method}
Max-Forwards: 70
Content-Length: 0

"""
SDP = """\
v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""


class MuteCaller:
    """Calls, as a stranger; it says that sound comes from a port where there is none."""

    def __init__(self, server: str, uri: str, *, display: str = "") -> None:
        host, port = server.rsplit(":", 1)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.connect((host, int(port)))
        self._sound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sound.bind((host, 0))
        self.call_id = secrets.token_hex(8)
        self._facts = {
            "uri": uri, "display": f'"{display}" ' if display else "", "tag": secrets.token_hex(4),
            "call_id": self.call_id, "here": f"{host}:{self._socket.getsockname()[1]}",
        }  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._sound.close()

    def invite(self) -> None:
        body = SDP.format(port=self._sound.getsockname()[1]).replace("\n", "\r\n")
        self._send(INVITE, length=len(body), body=body)

    def receive(self, first_line: str, timeout: float = 10.0) -> str:
        """Wait for a message that begins so."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            message = self._socket.recv(65_535).decode()
            if message.startswith(first_line):
                return message
        raise AssertionError(f"no {first_line} came in {timeout:g} s")

    def answered(self) -> None:
        """Wait for the 200, and keep what it says of the dialog."""
        message = self.receive("SIP/2.0 200")
        for name, pattern in (
            ("to_tag", r"(?im)^To:.*;tag=([^\s;]+)"),
            ("target", r"(?im)^Contact:.*<([^>]+)>"),
        ):
            found = re.search(pattern, message)
            assert found is not None, message
            self._facts[name] = found[1]

    def acknowledge(self) -> None:
        self._send(IN_DIALOG, method="ACK", number=1)

    def hang_up(self) -> None:
        self._send(IN_DIALOG, method="BYE", number=2)
        self.receive("SIP/2.0 200")

    def _send(self, template: str, **facts: object) -> None:
        text = template.replace("\n", "\r\n").format(
            branch=f"z9hG4bK{secrets.token_hex(6)}", **self._facts, **facts
        )
        self._socket.send(text.encode())
