# SPDX-License-Identifier: Apache-2.0
"""Which kernel runs? The compiled one where it was built, else plain Python.

The environment variable RINGBACK_KERNEL=python|compiled forces one; an asked-for kernel is never silently
replaced. IMPLEMENTATION says which one was taken.
"""

import importlib
import os
from collections.abc import Callable
from types import ModuleType

from ringback.kernel import _reference


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

split_head: Callable[[bytes], tuple[bytes, list[tuple[bytes, bytes]], int]] = _module.split_head

__all__ = ["IMPLEMENTATION", "split_head"]
# interim until the kernel lands
class Head: ...  # type: ignore
BIT: dict[str, int] = {}
def scan(data, host="", port=0): return None  # type: ignore
def edit_request(data, **k): raise NotImplementedError  # type: ignore
def pop_via(data, without=0): raise NotImplementedError  # type: ignore
def respond(*a, **k): return None  # type: ignore
