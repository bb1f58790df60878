# SPDX-License-Identifier: Apache-2.0
"""Who hides the secrets of a message before it is shown or written down? The kernel, for everybody.

Ladders, traces and files ask here. What is hidden, and how, is said in `kernel/_reference_secrets.py`.
"""

from ringback.kernel import without_secrets

__all__ = ["without_secrets"]
