# SPDX-License-Identifier: Apache-2.0
"""`ringback serve` as a process: what it says, what others can ask of it, and how it ends."""

import contextlib
import hashlib
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CLEAN, ringback, ringback_program

FREE_PORTS = [word for name in ("sip", "tls", "http", "https") for word in (f"--{name}-port", "0")]


class Serve:
    """One `ringback serve`. `ready` is what its ready file says, None when it ended before."""

    def __init__(self, folder: Path, *arguments: str, ports: list[str] | None = None) -> None:
        self.data = folder / "data"
        self.log = folder / "serve.log"
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ringback", "serve", "--data", str(self.data), "--host", "127.0.0.1",
                 "--ready-file", str(ready), *(FREE_PORTS if ports is None else ports), *arguments],
                stdout=log, stderr=subprocess.STDOUT, env=CLEAN,
            )  # fmt: skip
        self.ready: dict[str, Any] | None = None
        wait_for(lambda: ready.exists() or self.process.poll() is not None)
        if ready.exists():
            self.ready = json.loads(ready.read_text())

    @property
    def text(self) -> str:
        return self.log.read_text()

    def port(self, name: str) -> int:
        assert self.ready is not None, self.text
        return int(self.ready[name].rpartition(":")[2])

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        select.select([], [], [], 0.02)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serve]]:
    started: list[Serve] = []

    def serve(*arguments: str, ports: list[str] | None = None) -> Serve:
        started.append(Serve(tmp_path, *arguments, ports=ports))
        return started[-1]

    yield serve
    for server in started:
        server.end(signal.SIGKILL)


def register(port: int, user: str, password: str, *, expires: int = 300) -> int:
    """One phone, by hand: REGISTER, answer the challenge, the final status."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.settimeout(5)
        phone.connect(("127.0.0.1", port))
        phone.send(_register(phone, user, expires, 1, ""))
        challenge = phone.recv(4096).decode()
        if not challenge.startswith("SIP/2.0 401"):
            return int(challenge[8:11])
        phone.send(_register(phone, user, expires, 2, _answer(challenge, user, password)))
        return int(phone.recv(4096)[8:11])


def _register(phone: socket.socket, user: str, expires: int, cseq: int, authorization: str) -> bytes:
    here = "{}:{}".format(*phone.getsockname())
    return (
        f"REGISTER sip:127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{os.urandom(8).hex()};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user}@127.0.0.1>;tag=a{cseq}\r\nTo: <sip:{user}@127.0.0.1>\r\n"
        f"Call-ID: {here}@test\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{here}>\r\n"
        f"Expires: {expires}\r\nUser-Agent: By hand\r\n{authorization}Content-Length: 0\r\n\r\n"
    ).encode()


def _answer(challenge: str, user: str, password: str) -> str:
    line = next(
        line for line in challenge.split("\r\n") if line.startswith("WWW-Authenticate") and "MD5" in line
    )
    said = dict(re.findall(r'(\w+)="([^"]*)"', line))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret, asked = md5(f"{user}:{said['realm']}:{password}"), md5("REGISTER:sip:127.0.0.1")
    response = md5(f"{secret}:{said['nonce']}:00000001:c:auth:{asked}")
    return (
        f'Authorization: Digest username="{user}", realm="{said["realm"]}", nonce="{said["nonce"]}", '
        f'uri="sip:127.0.0.1", response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"\r\n'
    )


def test_a_server_starts_says_what_to_do_and_ends_cleanly(serve) -> None:
    begun = time.monotonic()
    server = serve("--demo")
    assert time.monotonic() - begun < 10
    assert {"udp", "tcp", "tls", "ws", "wss", "sip", "domain", "data", "process"} <= set(server.ready)
    assert server.port("udp") == server.port("tcp") == server.port("sip")
    for expected in (
        r"Domain +127\.0\.0\.1 +\(no --domain was given",
        r"Address +127\.0\.0\.1 +\(--host listens there\)",
        rf"Phones +127\.0\.0\.1:{server.port('udp')} UDP TCP +127\.0\.0\.1:{server.port('tls')} TLS",
        rf"ws://127\.0\.0\.1:{server.port('ws')}/ws +wss://127\.0\.0\.1:{server.port('wss')}/ws",
        rf"Data +{re.escape(str(server.data))} +\(new\)",
        r"101 Anna +password [a-z2-9-]{23}\n",
        r"102 Bob +password [a-z2-9-]{23}\n",
    ):
        assert re.search(expected, server.text), f"{expected}\n{server.text}"
    password = re.search(r"101 Anna +password (\S+)", server.text)[1]
    assert register(server.port("udp"), "101", password) == 200
    assert server.end(signal.SIGINT) == 0
    assert "Stopping; registrations are kept." in server.text
    assert "Traceback" not in server.text
    again = serve("--demo")
    assert password not in again.text
    assert re.search(r"101 Anna +password [a-z2-9-]{23}\n", again.text)
    assert again.end() == 0


def test_registrations_outlive_a_clean_end_and_a_kill(serve) -> None:
    server = serve()
    assert f"ringback user add 101 Anna --data {server.data}" in server.text
    assert (
        ringback("user", "add", "101", "Anna", "--password", "s3cret-s3cret", data=server.data).returncode
        == 0
    )
    assert register(server.port("udp"), "101", "s3cret-s3cret") == 200
    assert server.end() == 0
    (kept,) = json.loads(ringback("registrations", "--json", data=server.data).stdout)
    assert (kept["user"], kept["agent"], kept["transport"]) == ("101", "By hand", "UDP")
    server = serve()
    assert "1 registered phone kept from before" in server.text
    assert register(server.port("udp"), "101", "s3cret-s3cret") == 200
    wait_for(
        lambda: json.loads(ringback("status", "--json", data=server.data).stdout)["store"]["pending"] == 0
    )
    server.end(signal.SIGKILL)
    assert serve().ready is not None
    assert len(json.loads(ringback("registrations", "--json", data=server.data).stdout)) == 2


def test_users_change_beside_the_running_server(serve) -> None:
    server = serve()
    port = server.port("udp")
    assert register(port, "101", "first-first-1") in (401, 403)
    added = ringback("user", "add", "101", "Anna", "--password", "first-first-1", data=server.data)
    assert added.returncode == 0
    assert re.search(rf"Server +127\.0\.0\.1 +port {port} \(UDP\), {port} \(TCP\)", added.stdout)
    assert "not running" not in added.stderr
    assert register(port, "101", "first-first-1") == 200
    assert "101 (Anna)" in ringback("registrations", data=server.data).stdout
    assert (
        ringback("user", "password", "101", "--password", "second-second-2", data=server.data).returncode == 0
    )
    assert ringback("registrations", data=server.data).stdout == "No phone is registered.\n"
    assert register(port, "101", "first-first-1") in (401, 403)
    assert register(port, "101", "second-second-2") == 200
    status = json.loads(ringback("status", "--json", data=server.data).stdout)
    assert (status["users"], status["registrations"], status["process"]) == (1, 1, server.process.pid)
    assert ringback("status", data=server.data).stdout.startswith("Version ")
    assert ringback("user", "remove", "101", data=server.data).returncode == 0
    assert ringback("registrations", data=server.data).stdout == "No phone is registered.\n"
    assert register(port, "101", "second-second-2") in (401, 403)


def test_a_reload_takes_what_is_good_and_refuses_what_is_bad(serve, tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("[registrar]\nmax_contacts = 1\n")
    server = serve("--config", str(file))
    assert ringback("user", "add", "101", "--password", "s3cret-s3cret", data=server.data).returncode == 0
    port = server.port("udp")
    assert register(port, "101", "s3cret-s3cret") == 200
    assert register(port, "101", "s3cret-s3cret") in (403, 500, 503)
    file.write_text("[registrar]\nmax_contacts = 2\n[sip]\naliases = 'pbx.example'\n")
    done = ringback("reload", data=server.data)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        'sip.aliases: [] -> ["pbx.example"] (after a restart)\n'
        "registrar.max_contacts: 1 -> 2\n"
        "The changes marked so take effect when the server is restarted; the others hold now.\n"
    )
    assert register(port, "101", "s3cret-s3cret") == 200
    file.write_text("[registrar]\nmax_contact = 9\n")
    done = ringback("reload", data=server.data)
    assert done.returncode == 1
    assert done.stderr == (
        f"ringback: {file}:2:1: there is no setting 'registrar.max_contact'; did you mean 'max_contacts'?\n"
    )
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "settings unchanged: " in server.text)
    assert register(port, "101", "s3cret-s3cret", expires=0) == 200
    file.write_text("[registrar]\nmax_contacts = 5\n[tls]\ncertificate = 'no.pem'\nkey = 'no.key'\n")
    done = ringback("reload", data=server.data)
    assert (done.returncode, "no.pem is not there" in done.stderr) == (1, True)
    file.write_text("[registrar]\nmax_contacts = 5\n")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "setting changed: registrar.max_contacts: 2 -> 5" in server.text)
    assert server.end() == 0


def test_a_trace_is_switched_on_and_off_by_a_reload_and_has_no_secret(serve, tmp_path: Path) -> None:
    file, trace = tmp_path / "ringback.toml", tmp_path / "sip.trace"
    file.write_text("")
    server = serve("--config", str(file))
    assert ringback("user", "add", "101", "--password", "s3cret-s3cret", data=server.data).returncode == 0
    assert register(server.port("udp"), "101", "s3cret-s3cret") == 200
    assert not trace.exists()
    file.write_text("[log]\ntrace_file = 'sip.trace'\n")  # beside the settings file
    done = ringback("reload", data=server.data)
    assert f"log.trace_file: (empty) -> {trace}\n" in done.stdout, done.stderr
    assert register(server.port("udp"), "101", "s3cret-s3cret") == 200
    wait_for(lambda: "200 OK" in trace.read_text())
    assert f"Trace                {trace} (4 messages)" in ringback("status", data=server.data).stdout
    file.write_text("[log]\ntrace_file = 'ringback.toml'\nlevel = 'debug'\n")
    done = ringback("reload", data=server.data)
    assert (done.returncode, "it is there and is no trace" in done.stderr) == (1, True)
    file.write_text("")
    assert ringback("reload", data=server.data).returncode == 0
    size = trace.stat().st_size
    assert register(server.port("udp"), "101", "s3cret-s3cret") == 200
    assert server.end() == 0
    assert trace.stat().st_size == size
    assert "response=" not in trace.read_text()
    listed = ringback("ladder", str(trace), "--all").stdout
    assert listed.count("101@127.0.0.1") == 2
    assert "Result   REGISTER: 200 OK" in listed


def test_a_trace_begins_with_the_server_and_goes_on_after_a_restart(serve, tmp_path: Path) -> None:
    trace = tmp_path / "sip.trace"
    for _ in range(2):
        server = serve("--trace", str(trace))
        assert register(server.port("udp"), "101", "x") in (401, 403)
        assert server.end() == 0
    assert ringback("ladder", str(trace), "--all").stdout.count("101@127.0.0.1  101@127.0.0.1") == 2
    assert trace.stat().st_mode & 0o777 == 0o600
    broken = serve("--trace", str(tmp_path))
    assert (broken.ready, broken.end()) == (None, 1)
    assert f"ringback: the trace {tmp_path} cannot be written: Is a directory\n" in broken.text


@pytest.mark.parametrize(("name", "kind"), [("sip", "UDP"), ("sip", "TCP"), ("tls", "TLS"), ("https", "WSS")])
def test_a_port_in_use_is_one_line_that_names_it(serve, name: str, kind: str) -> None:
    with contextlib.closing(
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "UDP" else socket.SOCK_STREAM)
    ) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind != "UDP":
            taken.listen()
        port = taken.getsockname()[1]
        server = serve(ports=[*FREE_PORTS, f"--{name}-port", str(port)])
    assert (server.ready, server.end()) == (None, 1)
    lines = [line for line in server.text.split("\n") if line and " INFO " not in line]
    assert lines == [
        f"ringback: port {port} ({kind}) is in use by another program, perhaps another SIP server; "
        f"stop that one, or choose another port with --{name}-port (0 takes a free one)"
    ]


def test_a_second_server_on_the_same_data_is_refused(serve, tmp_path: Path) -> None:
    first = serve()
    second = ringback_program("serve", "--host", "127.0.0.1", *FREE_PORTS, data=first.data)
    assert second.returncode == 1
    assert second.stderr == (
        f"ringback: another server (process {first.process.pid}) is using {first.data}; stop it, "
        "or choose another directory with --data\n"
    )
    assert first.process.poll() is None


def test_an_address_of_another_machine_is_one_line(serve, tmp_path: Path) -> None:
    server = Serve(tmp_path, "--host", "192.0.2.99")
    assert server.ready is None
    assert server.end() == 1
    assert "this machine has no such address; choose another with --host" in server.text
    assert "Traceback" not in server.text


def test_tls_shows_a_certificate_that_its_authority_vouches_for(serve) -> None:
    server = serve("--domain", "pbx.example")
    context = ssl.create_default_context(cafile=server.ready["ca"])
    for name in ("pbx.example", "127.0.0.1"):
        with (
            socket.create_connection(("127.0.0.1", server.port("tls")), 5) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            assert secured.version() == "TLSv1.3"


def test_ringback_alone_means_serve(tmp_path: Path) -> None:
    done = ringback_program("--config", str(tmp_path / "none.toml"))
    assert (done.returncode, done.stderr) == (
        1, f"ringback: {tmp_path}/none.toml: cannot be read: No such file or directory\n",
    )  # fmt: skip


def test_a_damaged_database_stops_no_phone_that_was_known(serve) -> None:
    server = serve()
    assert ringback("user", "add", "101", "--password", "s3cret-s3cret", data=server.data).returncode == 0
    assert server.end() == 0
    for file in server.data.glob("ringback.db*"):
        file.write_bytes(b"no database" * 1000)
    server = serve()
    assert register(server.port("udp"), "101", "s3cret-s3cret") == 200
    assert "users are those of the last snapshot, changes are not kept" in server.text
    failure = json.loads(ringback("status", "--json", data=server.data).stdout)["store"]["failure"]
    assert "it is damaged" in failure
    assert server.end() == 0
    (server.data / "users.snapshot").unlink()
    broken = serve()
    assert (broken.ready, broken.end()) == (None, 1)
    assert broken.text.count("\n") == 1
    assert "Restore a backup" in broken.text
