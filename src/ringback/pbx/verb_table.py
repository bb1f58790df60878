# SPDX-License-Identifier: Apache-2.0
"""Which verbs are there? All rows of all files."""

from __future__ import annotations

from ringback.pbx.verbs import Verb

VERBS: dict[str, Verb] = {}
