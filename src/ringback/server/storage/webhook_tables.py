# SPDX-License-Identifier: Apache-2.0
"""Which tables hold the webhook records?"""

TABLES: tuple[str, ...] = ()
