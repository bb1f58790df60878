# SPDX-License-Identifier: Apache-2.0
"""Transactions: RFC 3261 section 17 with RFC 6026 and RFC 4320."""

from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction
from ringback.sip.transaction.timers import Deadline, Deadlines, Timers

__all__ = ["ClientTransaction", "Deadline", "Deadlines", "ServerTransaction", "Timers"]
