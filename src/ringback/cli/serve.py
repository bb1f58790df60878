# SPDX-License-Identifier: Apache-2.0
"""`ringback serve`: run the phone system until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringback.cli.output import Failure

if TYPE_CHECKING:
    from ringback.pbx.process import ServerProcess
    from ringback.server.config_file import Loaded

PORT = click.IntRange(0, 65_535)

OPTIONS = (
    click.option("--data", metavar="DIR", help="Where everything is kept.  [~/.local/share/ringback]"),
    click.option(
        "--domain", metavar="NAME", help="The domain of your users' addresses.  [the advertised address]"
    ),
    click.option(
        "--host", metavar="ADDRESS", multiple=True, help="Listen on this address only.  [all of them]"
    ),
    click.option("--advertise", metavar="ADDRESS", multiple=True, help="The address phones are told to use."),
    click.option("--sip-port", type=PORT, help="SIP over UDP and TCP.  [5060]"),
    click.option("--tls-port", type=PORT, help="SIP over TLS.  [5061]"),
    click.option("--http-port", type=PORT, help="SIP over WebSocket.  [8080]"),
    click.option("--https-port", type=PORT, help="SIP over encrypted WebSocket.  [8443]"),
    click.option(
        "-c",
        "--config",
        metavar="FILE",
        help="The settings file (TOML).  [ringback.toml in the data directory]",
    ),
    click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(1, 64),
        help="Share the work among so many processes.  [1]",
    ),
    click.option(
        "--demo", is_flag=True, default=None, help="Make users 101 and 102 and print their passwords."
    ),
    click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[info]"),
    click.option(
        "--trace", metavar="FILE", help="Write every SIP message there, for `ringback ladder FILE`."
    ),
    click.option("--ready-file", metavar="PATH", help="Write the real addresses there (JSON) when ready."),
)


def serve_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@click.command()
@serve_options
def command(ready_file: str | None, **flags: Any) -> int:
    """Run the phone system until Ctrl-C or SIGTERM.

    Every option is also a setting and a variable: --sip-port is RINGBACK_SIP_PORT. Port 0 takes a free one.
    SIGHUP, or `ringback reload`, reads the settings again.
    """
    from ringback.cli.logs import log_to_terminal
    from ringback.server.config_file import load_settings

    begun = time.monotonic()

    def load() -> Loaded:
        return load_settings(flags)

    log_to_terminal(load().settings.log.level)
    try:
        asyncio.run(_serve(load, begun=begun, ready_file=Path(ready_file) if ready_file else None))
    finally:
        logging.shutdown()
    return 0


async def _serve(load: Callable[[], Loaded], *, begun: float, ready_file: Path | None) -> None:
    """Start, tell, wait, stop."""
    from ringback.cli.banner import banner, write_ready_file
    from ringback.net.sockets import RealNetwork

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stop, number)
    process = await _started(load, RealNetwork())
    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload_soon, process)
        click.echo(banner(process, seconds=time.monotonic() - begun, file=load().file))
        if ready_file is not None:
            write_ready_file(ready_file, process)
        await stop.wait()
        click.echo("  Stopping; registrations are kept.")
    finally:
        await process.close()


async def _started(load: Callable[[], Loaded], network: Any) -> ServerProcess:
    """The running server, or one sentence about what is in its way."""
    from ringback.net.errors import PortInUse
    from ringback.pbx.process import ServerProcess

    try:
        return await ServerProcess.start(load, network)
    except PortInUse as error:
        raise Failure(_port_in_use(str(error.transport), error.address.port)) from error
    except OSError as error:
        raise Failure(_cannot_listen(error)) from error


def _port_in_use(transport: str, port: int) -> str:
    flag = {"TLS": "--tls-port", "WS": "--http-port", "WSS": "--https-port"}.get(transport, "--sip-port")
    return (
        f"port {port} ({transport}) is in use by another program, perhaps another SIP server; "
        f"stop that one, or choose another port with {flag} (0 takes a free one)"
    )


def _cannot_listen(error: OSError) -> str:
    import errno

    where = str(error.filename or "a socket")
    transport, _, address = where.partition(" ")
    port = address.rpartition(":")[2]
    if error.errno == errno.EADDRINUSE and port.isdecimal():
        return _port_in_use(transport, int(port))
    if error.errno == errno.EACCES and port.isdecimal():
        return f"port {port} ({transport}) needs the rights of root; choose a port above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where} cannot be used: this machine has no such address; choose another with --host"
    return f"{where} cannot be used: {error.strerror or error}"


def _stop(stop: asyncio.Event, number: signal.Signals) -> None:
    """The first signal stops in good order; a second one of the same kind ends the process at once."""
    stop.set()
    asyncio.get_running_loop().remove_signal_handler(number)
    signal.signal(number, signal.SIG_DFL)


def _reload_soon(process: ServerProcess) -> None:
    task = asyncio.create_task(_reload(process))
    _reloads.add(task)
    task.add_done_callback(_reloads.discard)


async def _reload(process: ServerProcess) -> None:
    from ringback.sip.errors import RingbackError

    logger = logging.getLogger("ringback.process")
    try:
        found = await process.reload()
        logger.info("settings read again: %d changed", len(found))
    except RingbackError as error:
        for line in str(error).split("\n"):
            logger.warning("settings unchanged: %s", line)


#: Reloads under way; the loop alone would let them be collected.
_reloads: set[asyncio.Task[None]] = set()
