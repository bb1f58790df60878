# SPDX-License-Identifier: Apache-2.0
"""Who loads the web framework? The web process alone: neither those who signal, nor commands."""

import subprocess
import sys

import pytest

HEAVY = ("fastapi", "starlette", "uvicorn", "webauthn", "argon2", "aiohttp", "pyotp", "segno")


@pytest.mark.parametrize(
    "modules",
    [
        "ringback.pbx.process, ringback.cli.serve, ringback.cli.banner",
        "ringback.pbx.worker, ringback.cli.worker",
        "ringback.pbx.media_process, ringback.cli.media_worker, ringback.cli.web_worker",
        "ringback.cli, ringback.cli.status, ringback.cli.user, ringback.cli.reload, ringback.cli.setup_link",
        "ringback, ringback.cli.call",
    ],
)
def test_nothing_but_the_web_process_loads_the_web_framework(modules: str):
    program = f"import sys, {modules}; print(*sorted({set(HEAVY)} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
