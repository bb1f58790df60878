# SPDX-License-Identifier: Apache-2.0
"""Which verbs are there? All rows of all files."""

from __future__ import annotations

from ringback.pbx import call_verbs, explain_verbs, registration_verbs, trace_verbs
from ringback.pbx.verbs import Verb

VERBS: dict[str, Verb] = {
    **call_verbs.ROWS,
    **explain_verbs.ROWS,
    **registration_verbs.ROWS,
    **trace_verbs.ROWS,
}
