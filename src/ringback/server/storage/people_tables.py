# SPDX-License-Identifier: Apache-2.0
"""Which tables hold the people records?"""

TABLES: tuple[str, ...] = ()
