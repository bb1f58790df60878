# SPDX-License-Identifier: Apache-2.0
"""Where do the tests of bridged calls find the server and the phones of the other server tests?"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
