# SPDX-License-Identifier: Apache-2.0
"""The benchmark's modules are found by their names, as `bench/run.py` finds them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
