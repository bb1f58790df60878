# SPDX-License-Identifier: Apache-2.0
"""The messages of RFC 4475 and RFC 5118 sent to a running server: every answer is the preferred one, and it lives on.

The sender sits on a loopback address of its own, at the port that the message's Via names, because many of these messages come without
`rport`: the answer goes to the source address at the port of the Via (RFC 3261 18.2.2).
"""

import json
import random
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VECTORS = ROOT.parent / "shared" / "vectors"
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from interop_ringback import Ringback  # noqa: E402

#: Where the RFC's own words overrule the preferred verdict of the index, and what it says. Then any accepted answer will do.
THE_RFC_WINS = {
    "baddate": "RFC 4475 3.1.2.12: a Date in the wrong time zone is no reason to reject a request, unless the Date matters "
    "to what the element does with it. To us it does not; 400 is for elements that wish to reject it.",
}

SILENCE = 0.4


def load(collection: str) -> list[dict[str, Any]]:
    index = VECTORS / collection / "index.json"
    if not index.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(index.read_text())["messages"]
    return [{**entry, "path": VECTORS / collection / entry["file"], "rfc": collection} for entry in entries]


MESSAGES = load("rfc4475") + load("rfc5118")
pytestmark = pytest.mark.skipif(not MESSAGES, reason="no shared/vectors beside the project: nothing to send")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    running = Ringback(tmp_path_factory.mktemp("torture"), domain="example.com")
    try:
        running.add_user("101", "Anna", "secret-pass-1234")
        yield running
    finally:
        running.stop()


TOP_VIA_PORT = re.compile(
    rb"^v(?:ia)?[ \t]*:[^\r\n]*?/[ \t]*\w+[ \t\r\n]+(?:\[[^\]]*\]|[^:;\s]+)[ \t]*:[ \t]*(\d+)",
    re.IGNORECASE | re.MULTILINE,
)


@pytest.fixture(scope="module")
def host() -> str:
    """A loopback address nobody else uses."""
    return f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"


def sender_for(message: bytes, host: str) -> socket.socket:
    """A UDP socket where the answer to this message goes."""
    port = TOP_VIA_PORT.search(message)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind((host, int(port[1]) if port else 5060))
    return sender


def address(server: Ringback) -> tuple[str, int]:
    host, port = server.sip.rsplit(":", 1)
    return host, int(port)


def statuses(data: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"(?:^|\n)SIP/2\.0 (\d{3}) ", data)]


def listen(sock: socket.socket, seconds: float) -> bytes:
    """Everything that comes until `seconds` of silence after the first answer, or none at all."""
    received = b""
    deadline = time.monotonic() + 1.2
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            chunk = sock.recv(65536)
        except (TimeoutError, ConnectionResetError):
            break
        if not chunk:
            break
        received += b"\n" + chunk
        if any(code >= 200 for code in statuses(chunk)):
            deadline = min(deadline, time.monotonic() + seconds)
    return received


def options(server: Ringback, sock: socket.socket) -> bytes:
    host, port = sock.getsockname()
    number = random.getrandbits(60)
    return (
        f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{number:x}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:check@{host}>;tag={number:x}\r\nTo: <sip:127.0.0.1>\r\nCall-ID: alive-{number:x}\r\nCSeq: 1 OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def assert_alive(server: Ringback) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.settimeout(3)
        for _ in range(2):
            probe.sendto(options(server, probe), address(server))
            try:
                assert b"SIP/2.0 200" in probe.recv(65536)
                return
            except TimeoutError:
                continue
    raise AssertionError(f"the server no longer answers OPTIONS:\n{server.program.output[-3000:]}")


def assert_preferred(entry: dict[str, Any], answers: list[int], *, silence_ok: bool) -> None:
    allowed = set(entry["accept"] if entry["name"] in THE_RFC_WINS else entry["prefer"])
    if not answers:
        assert silence_ok or entry["kind"] == "response", f"{entry['name']} ({entry['title']}): no answer"
        return
    assert entry["kind"] == "request", f"{entry['name']}: a response was answered with {answers}"
    assert set(answers) & allowed, (
        f"{entry['name']} ({entry['title']}): {answers}, preferred {sorted(allowed)}: {entry.get('note')}"
    )


@pytest.mark.parametrize("entry", MESSAGES, ids=lambda entry: f"{entry['rfc']}-{entry['name']}")
def test_over_udp(server: Ringback, host: str, entry: dict[str, Any]) -> None:
    message = entry["path"].read_bytes()
    with sender_for(message, host) as sender:
        sender.sendto(message, address(server))
        answers = statuses(listen(sender, SILENCE if entry["name"] == "dblreq" else 0.02))
    assert_preferred(entry, answers, silence_ok=entry["udp_silence_ok"])
    assert_alive(server)


@pytest.mark.parametrize("entry", MESSAGES, ids=lambda entry: f"{entry['rfc']}-{entry['name']}")
def test_over_tcp_a_byte_at_a_time(server: Ringback, entry: dict[str, Any]) -> None:
    with socket.create_connection(address(server), 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for byte in entry["path"].read_bytes():
                connection.send(bytes((byte,)))
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server that lost the framing may close before the end
        try:
            connection.shutdown(
                socket.SHUT_WR
            )  # baddn has no empty line at its end: only this says it is complete
        except OSError:
            pass
        answers = statuses(listen(connection, 0.02))
    assert_preferred(entry, answers, silence_ok=entry["tcp_silence_ok"] or entry["tcp_close_ok"])
    assert_alive(server)
