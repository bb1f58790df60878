# SPDX-License-Identifier: Apache-2.0
"""Which servers does a phone believe over TLS? Those whose certificate names them (RFC 5922 section 7), or
all.
"""

import ssl


def client_context(*, verify: bool = True, authorities: str | None = None) -> ssl.SSLContext:
    """A context for connections to servers. `authorities` is a PEM file of more CAs than the system's."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities is not None:
        context.load_verify_locations(authorities)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
