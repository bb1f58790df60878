# SPDX-License-Identifier: Apache-2.0
"""The office in memory, which the tests of a whole phone system share."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
for folder in ("server", "reliability"):
    sys.path.append(str(TESTS / folder))
