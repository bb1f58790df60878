# SPDX-License-Identifier: Apache-2.0
"""How fast is our scanner beside every SIP parser on PyPI that installs? Microseconds for one INVITE of 900 bytes.

Ours: the head is scanned and method, Request-URI, branch, Call-ID, CSeq and tags are there. Theirs: the call that
parses (which favours those that leave fields for later), and where that splits lines and no more, finding the keys in them.
"""

from __future__ import annotations

import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_program import WORK
from bench_scanner_peer import PARSERS

from ringback import kernel
from ringback.kernel import _reference

INVITE = (
    b"INVITE sip:bob@biloxi.example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKnashds8-0123456789abcdef\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice Atlanta" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n'
    b"To: <sip:bob@biloxi.example.com>\r\n"
    b"Call-ID: 3848276298220188511@atlanta.example.com\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.10:5060;transport=udp>\r\n"
    b"User-Agent: Desk Phone 4.2 (0004f2abcdef)\r\n"
    b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n"
    b"Supported: replaces, outbound, path\r\n"
    b"Accept: application/sdp\r\n"
    b"Accept-Language: en\r\n"
    b"Subject: the quarterly figures\r\n"
    b"Content-Type: application/sdp\r\n"
)  # fmt: skip
SDP = (
    b"v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.10\r\ns=call\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    b"m=audio 49172 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
MESSAGE = INVITE + b"Content-Length: %d\r\n\r\n" % len(SDP) + SDP


def ours() -> dict[str, float]:
    scan = kernel.scan
    assert scan(MESSAGE) is not None
    found = {
        kernel.IMPLEMENTATION if hasattr(kernel, "IMPLEMENTATION") else "in use": _best(lambda: scan(MESSAGE))
    }
    if _reference.scan is not scan:
        found["python"] = _best(lambda: _reference.scan(MESSAGE))
    return found


def _best(function: Callable[[], object]) -> float:
    loops = max(1, int(0.2 / timeit.timeit(function, number=200) * 200))
    return min(timeit.repeat(function, number=loops, repeat=7, timer=time.process_time)) / loops * 1e6


def environment(tell: Callable[[str], None]) -> Path:
    """A Python of its own for the others' packages, kept for the next run."""
    folder = WORK / "parsers"
    python = folder / "bin" / "python"
    if not python.exists():
        tell("scanners: making an environment for the others")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return python


def measure(*, tell: Callable[[str], None]) -> dict[str, Any]:
    file = WORK / "invite"
    file.write_bytes(MESSAGE)
    python, others, versions = environment(tell), {}, {}
    for package in PARSERS:
        tell(f"scanners: {package}")
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            continue
        words = [str(python), str(Path(__file__).with_name("bench_scanner_peer.py")), package, str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        others[package] = float(done.stdout.strip().split("\n")[-1]) if done.returncode == 0 else None
        versions[package] = _version(python, package)
    measured = [value for value in others.values() if value]
    mine = ours()
    return {"bytes": len(MESSAGE), "ours": mine, "others": others, "versions": versions,
            "times_faster": min(measured) / min(mine.values()) if measured else None}  # fmt: skip


def _version(python: Path, package: str) -> str:
    words = [str(python), "-c", f"import importlib.metadata as m; print(m.version({package!r}))"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
