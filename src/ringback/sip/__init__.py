# SPDX-License-Identifier: Apache-2.0
"""SIP without I/O: bytes and `now` in, events and bytes out. Start at `SipStack` (`stack.py`).

Nothing is re-exported here: a program that needs only `sip.errors` should not pay for the whole stack.
What most programs want is in `ringback` itself.
"""
