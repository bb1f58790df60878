# SPDX-License-Identifier: Apache-2.0
"""Ringback: a complete phone system in one Python package."""

from ringback.version import VERSION as __version__

__all__ = ["__version__"]
