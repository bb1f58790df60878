# SPDX-License-Identifier: Apache-2.0
"""Several signalling processes that are one server: what they share, and how it reaches each of them."""
