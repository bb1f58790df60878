# SPDX-License-Identifier: Apache-2.0
"""What do the auth-params of a digest say, when they are written as all phones write them (RFC 7616 3.4)?"""

import re

from ringback.kernel._grammar import AUTH_NAMES

_PARAMETER = re.compile(
    r'[ \t]*+([a-z]++)=(?:"([^",\\]*+)"|(-*+[A-Za-z0-9][A-Za-z0-9\-]*+))[ \t]*+(?:,(?!\Z)|\Z)', re.ASCII
)
_NAMES = frozenset(AUTH_NAMES)


def auth_parameters(text: str) -> dict[str, str] | None:
    """Known names in lower case, each once, values without their quotes. None for anything else."""
    if not text.isascii():
        return None
    parameters: dict[str, str] = {}
    place = 0
    while not parameters or place < len(text):
        found = _PARAMETER.match(text, place)
        if found is None:
            return None
        name, quoted, bare = found.groups()
        if name not in _NAMES or name in parameters:
            return None
        parameters[name] = bare if quoted is None else quoted
        place = found.end()
    return parameters
