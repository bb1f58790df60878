# SPDX-License-Identifier: Apache-2.0
"""RTP without I/O: packets, reports, telephone events and the jitter buffer. RFC 3550, RFC 4733."""
