# SPDX-License-Identifier: Apache-2.0
"""How are two phones joined to a call whose both halves end here? The back-to-back user agent (RFC 7092)."""
