# SPDX-License-Identifier: Apache-2.0
"""The same server, seen from a browser."""
