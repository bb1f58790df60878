# SPDX-License-Identifier: Apache-2.0
"""Certificates from a public authority, without being asked: RFC 8555."""
