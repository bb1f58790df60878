# SPDX-License-Identifier: Apache-2.0
"""Debian's rtpengine in user space: what carries the sound where a server is told to use it."""

from pathlib import Path

from interop_process import Program, free_port, require


class Rtpengine:
    """One rtpengine on loopback; `address` is where it takes commands."""

    def __init__(self, folder: Path) -> None:
        program = require("rtpengine", "rtpengine-daemon")
        folder.mkdir(parents=True)
        self.address = f"127.0.0.1:{free_port()}"
        self.program = Program(
            [program, "--config-file=none", "--table=-1", "--interface=127.0.0.1", f"--listen-ng={self.address}",
             "--port-min=48000", "--port-max=48900", "--foreground", "--log-stderr",
             "--log-level=6", "--num-threads=2", "--delete-delay=0"],
            folder / "log",
        )  # fmt: skip
        self.program.wait_for("Startup complete|rtpengine.*version|Version", 10)

    def stop(self) -> None:
        self.program.stop(timeout=3)
