# SPDX-License-Identifier: Apache-2.0
"""When is the next RTCP packet due? RFC 3550 sections 6.2 and 6.3.1 with appendix A.7."""

import math

#: Shares of the session bandwidth and of its senders (section 6.2).
RTCP_SHARE = 0.05
SENDER_SHARE = 0.25
MINIMUM_INTERVAL = 5.0
#: Makes up for the reconsideration of timers, which settles below the wanted average (section 6.3.1).
COMPENSATION = math.e - 1.5


def report_interval(
    *,
    members: int,
    senders: int,
    session_bandwidth: float,
    we_sent: bool,
    average_size: float,
    is_first: bool,
    chance: float,
) -> float:
    """Seconds to the next report.

    `session_bandwidth` is in octets a second, `average_size` in octets with UDP and IP headers; `chance` is a
    number from 0 to 1 that spreads the reports of many members.
    """
    minimum = MINIMUM_INTERVAL / 2 if is_first else MINIMUM_INTERVAL
    bandwidth = session_bandwidth * RTCP_SHARE
    sharing = members
    if senders <= members * SENDER_SHARE:
        bandwidth *= SENDER_SHARE if we_sent else 1 - SENDER_SHARE
        sharing = senders if we_sent else members - senders
    interval = max(average_size * sharing / bandwidth if bandwidth > 0 else minimum, minimum)
    return interval * (chance + 0.5) / COMPENSATION
