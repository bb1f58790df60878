# SPDX-License-Identifier: Apache-2.0
"""What a server says when it is ready: where it is, why there, and what to do next."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ringback.server.config_file import default_data_directory
from ringback.server.secret import write_private

if TYPE_CHECKING:
    from ringback.pbx.process import ServerProcess

WIDTH = 15


def banner(process: ServerProcess, *, seconds: float, file: Path | None) -> str:
    """The text for people. Addresses are the real ones, also where port 0 was asked for."""
    lines = [f"Ringback {process.status()['version']} is ready ({seconds:.1f} s)", ""]
    lines += [f"{label:<{WIDTH}}{text}" for label, text in _console(process)]
    lines += [f"{label:<{WIDTH}}{text}".rstrip() for label, text in _facts(process, file)]
    lines.append("")
    lines += _demo(process)
    lines += [f"{label:<{WIDTH}}{text}" for label, text in _next_steps(process)]
    notes = process.installation.notes
    lines += ["", *(f"Note: {note}" for note in notes)] if notes else []
    return "\n".join(f"  {line}".rstrip() for line in ["", *lines, ""])


def write_ready_file(file: Path, process: ServerProcess) -> None:
    """The real addresses for scripts; written whole, when the server listens."""
    addresses = process.addresses()
    ready = {
        **addresses,
        "sip": addresses.get("udp", addresses.get("tcp", "")),
        "domain": process.installation.identity.domain,
        "realm": process.installation.identity.realm,
        "data": str(process.installation.directory),
        "ca": str(process.installation.certificate.ca or ""),
        "process": process.status()["process"],
        "console": f"https://{addresses['wss']}/" if process.has_console and "wss" in addresses else "",
        "setup": process.setup_link,
    }
    write_private(file.absolute(), json.dumps(ready, indent=2).encode("ascii") + b"\n")


def _console(process: ServerProcess) -> Iterator[tuple[str, str]]:
    """Where people begin, before all that engineers want to know."""
    if process.setup_link:
        yield "Finish set-up", f"{process.setup_link}   (valid 15 min)"
    elif process.has_console:
        yield "Console", f"https://{process.addresses().get('wss', '')}/"


def _facts(process: ServerProcess, file: Path | None) -> Iterator[tuple[str, str]]:
    installation, addresses = process.installation, process.addresses()
    yield "Domain", f"{installation.domain.value}   ({installation.domain.reason})"
    for choice in installation.advertised:
        yield "Address", f"{choice.value}   ({choice.reason})"
    yield "Phones", _joined(addresses, ("udp", "tcp", "tls"))
    yield (
        "Browsers",
        "   ".join(f"{name}://{addresses[name]}/ws" for name in ("ws", "wss") if name in addresses),
    )
    yield "Data", f"{installation.directory}{'   (new)' if installation.is_new else ''}"
    yield "Settings", str(file) if file else "no file: all defaults, flags and RINGBACK_ variables"
    if installation.certificate.ca is not None:
        yield (
            "Certificate",
            f"signed by {installation.certificate.ca}; phones that check it must trust that file",
        )
        if process.has_console and "ws" in addresses:
            yield "", f"http://{addresses['ws']}/trust helps phones and browsers to trust it"
    else:
        yield "Certificate", str(installation.certificate.certificate)
    count = len(process.system.directory)
    kept = process.system.registered
    yield (
        "Users",
        f"{count or 'none yet'}"
        + (f"   {kept} registered phone{'' if kept == 1 else 's'} kept from before" if kept else ""),
    )


def _joined(addresses: dict[str, str], names: tuple[str, ...]) -> str:
    """192.168.1.20:5060 UDP TCP   192.168.1.20:5061 TLS."""
    by_address: dict[str, list[str]] = {}
    for name in names:
        if name in addresses:
            by_address.setdefault(addresses[name], []).append(name.upper())
    return "   ".join(f"{address} {' '.join(words)}" for address, words in by_address.items())


def _demo(process: ServerProcess) -> list[str]:
    if not process.demo_users:
        return []
    lines = ["Demo users, made for trying things out:"]
    for user in process.demo_users:
        said = (
            f"password {user.password}" if user.password else "was here before; its password stays as it was"
        )
        lines.append(f"  {user.number} {user.name:<8} {said}")
    return [*lines, ""]


def _next_steps(process: ServerProcess) -> Iterator[tuple[str, str]]:
    program, data = _program(), _data_option(process)
    if not len(process.system.directory):
        yield "Next", f"add a user:  {program} user add 101 Anna{data}"
        yield "", "then enter what it prints into a phone, and dial *43 to hear yourself."
        return
    if process.demo_users:
        server = process.addresses().get("udp", "")
        yield "Next", f"enter 101 and 102 into two phones (server {server}) and call one from the other."
    else:
        yield "Next", f"another user:  {program} user add 102 Bob{data}"
    yield "", "Dial *43 for an echo, *60 for the time, *65 for your own number."
    yield "", f"See who is there:  {program} registrations{data}   Stop: Ctrl-C"


def _program() -> str:
    """How this program is called from here: in a clone it is .venv/bin/ringback, which no PATH leads to."""
    ours = Path(sys.executable).parent / "ringback"
    on_path = shutil.which("ringback")
    if on_path is not None and ours.exists() and Path(on_path).samefile(ours):
        return "ringback"
    if not ours.exists():
        return f"{shlex.quote(sys.executable)} -m ringback"
    here = Path.cwd()
    return shlex.quote(str(ours.relative_to(here) if ours.is_relative_to(here) else ours))


def _data_option(process: ServerProcess) -> str:
    """What other commands need to find this server; nothing when it is where they look anyway."""
    directory = process.installation.directory
    if directory == Path(os.environ.get("RINGBACK_DATA", "") or default_data_directory(os.environ)):
        return ""
    return f" --data {shlex.quote(str(directory))}"
