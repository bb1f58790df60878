# SPDX-License-Identifier: Apache-2.0
"""Which tables hold the record records?"""

TABLES: tuple[str, ...] = ()
