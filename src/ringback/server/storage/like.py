# SPDX-License-Identifier: Apache-2.0
"""How is a text looked for with LIKE, whatever is in it?"""


def literal(text: str) -> str:
    """The pattern that only this text fits. LIKE knows two wildcards, and SQLite's ends at a NUL."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("\0", "\ufffd")
