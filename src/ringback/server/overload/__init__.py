# SPDX-License-Identifier: Apache-2.0
"""What happens when more comes than the server can do? What is at stake decides: see `gate.py`."""
