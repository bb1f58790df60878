# SPDX-License-Identifier: Apache-2.0
"""Which tables hold the device records?"""

TABLES: tuple[str, ...] = ()
