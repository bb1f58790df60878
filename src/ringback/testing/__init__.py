# SPDX-License-Identifier: Apache-2.0
"""Tools for tests of call flows: a clock that jumps, a network that loses, peers that follow a script."""

from ringback.testing.clock import DeadlockDetected, JumpingLoop, run
from ringback.testing.names import Names
from ringback.testing.network import Conditions, Host, Network
from ringback.testing.peer import Peer, Unexpected

__all__ = [
    "Conditions",
    "DeadlockDetected",
    "Host",
    "JumpingLoop",
    "Names",
    "Network",
    "Peer",
    "Unexpected",
    "run",
]
