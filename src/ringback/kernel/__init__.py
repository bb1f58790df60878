# SPDX-License-Identifier: Apache-2.0
"""Which kernel runs? The compiled one where it was built, else plain Python.

The environment variable RINGBACK_KERNEL=python|compiled forces one; an asked-for kernel is never silently
replaced. IMPLEMENTATION says which one was taken.
"""

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

from ringback.kernel import _reference
from ringback.kernel._grammar import BIT


def _choose(wanted: str) -> tuple[ModuleType, str]:
    if wanted not in ("", "python", "compiled"):
        raise ImportError(f'RINGBACK_KERNEL={wanted!r}: it must be "python" or "compiled"')
    if wanted == "python":
        return _reference, "python"
    try:
        return importlib.import_module("ringback.kernel._compiled"), "compiled"
    except ModuleNotFoundError as error:
        if wanted == "compiled":
            raise ImportError(
                "RINGBACK_KERNEL=compiled, but the compiled kernel was not built: install a C compiler and "
                'Cython, then "pip install --force-reinstall --no-binary ringback ringback"'
            ) from error
        return _reference, "python"


_module, IMPLEMENTATION = _choose(os.environ.get("RINGBACK_KERNEL", ""))

if TYPE_CHECKING:
    from ringback.kernel._reference import (
        EVENT,
        STRAY,
        UNSENT,
        DatagramBatch,
        Door,
        Head,
        RelayBoard,
        RelayPath,
        Tape,
        auth_parameters,
        edit_request,
        keyed_hash,
        message_end,
        peek,
        pop_via,
        respond,
        scan,
        split_head,
        without_secrets,
    )
else:
    DatagramBatch, auth_parameters = _module.DatagramBatch, _module.auth_parameters
    Door, keyed_hash = _module.Door, _module.keyed_hash
    message_end, peek = _module.message_end, _module.peek
    EVENT, STRAY, UNSENT = _module.EVENT, _module.STRAY, _module.UNSENT
    RelayBoard, RelayPath = _module.RelayBoard, _module.RelayPath
    Head, scan, split_head = _module.Head, _module.scan, _module.split_head
    edit_request, pop_via, respond = _module.edit_request, _module.pop_via, _module.respond
    Tape, without_secrets = _module.Tape, _module.without_secrets

__all__ = [
    "BIT",
    "EVENT",
    "IMPLEMENTATION",
    "STRAY",
    "UNSENT",
    "DatagramBatch",
    "Door",
    "Head",
    "RelayBoard",
    "RelayPath",
    "Tape",
    "auth_parameters",
    "edit_request",
    "keyed_hash",
    "message_end",
    "peek",
    "pop_via",
    "respond",
    "scan",
    "split_head",
    "without_secrets",
]
