# SPDX-License-Identifier: Apache-2.0
"""How does one user get a Contact that is not the sender? One REGISTER, with a digest when asked for one."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket

from bench_program import BenchmarkError
from bench_ringback import PASSWORD

TEMPLATE = (
    "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n"
    "From: <sip:{user}@{domain}>;tag={tag}\r\nTo: <sip:{user}@{domain}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n"
    "Contact: <{contact}>\r\nExpires: 3600\r\n{credentials}Content-Length: 0\r\n\r\n"
)


def register(server: str, domain: str, user: str, contact: str) -> None:
    host, _, port = server.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        own.settimeout(5)
        call_id, tag, credentials = secrets.token_hex(8), secrets.token_hex(4), ""
        for cseq in (1, 2):
            text = TEMPLATE.format(domain=domain, own=f"127.0.0.1:{own.getsockname()[1]}", branch=secrets.token_hex(8), user=user, tag=tag,
                                   call_id=call_id, cseq=cseq, contact=contact, credentials=credentials)  # fmt: skip
            own.sendto(text.encode(), (host, int(port)))
            answer = own.recv(65536).decode()
            if answer.startswith("SIP/2.0 200"):
                return
            credentials = _credentials(answer, user, domain)
    raise BenchmarkError(f"REGISTER of {user} failed: {answer}")


def _credentials(answer: str, user: str, domain: str) -> str:
    for line in answer.split("\r\n"):
        if line.startswith("WWW-Authenticate") and ("algorithm=MD5" in line or "algorithm" not in line):
            realm, nonce = (re.findall(f'{name}="([^"]*)"', line)[0] for name in ("realm", "nonce"))
            ha1, ha2 = _md5(f"{user}:{realm}:{PASSWORD}"), _md5(f"REGISTER:sip:{domain}")
            response = _md5(f"{ha1}:{nonce}:00000001:abcdef:auth:{ha2}")
            return (
                f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="sip:{domain}", '
                f'response="{response}", algorithm=MD5, cnonce="abcdef", qop=auth, nc=00000001\r\n'
            )
    raise BenchmarkError(f"REGISTER of {user} failed: {answer}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
