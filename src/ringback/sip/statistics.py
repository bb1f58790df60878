# SPDX-License-Identifier: Apache-2.0
"""What did the stack count? One number for each thing that is dropped, repeated or refused without a word."""

from dataclasses import dataclass


@dataclass(slots=True)
class StackStatistics:
    """All counters only grow. Rates and names for monitoring are somebody else's business."""

    received: int = 0
    """Messages from peers, good and bad."""
    sent: int = 0
    """Messages handed to the transports, repetitions included."""
    malformed_requests: int = 0
    malformed_responses: int = 0
    """Dropped: nobody answers a response."""
    unreadable: int = 0
    """Bytes that are no SIP message."""
    repeated_requests: int = 0
    """Absorbed by their server transaction (17.2.3)."""
    unanswered_repetitions: int = 0
    """Repetitions above the cap of one transaction."""
    merged_requests: int = 0
    """Answered 482 (8.2.2.2)."""
    refused_for_room: int = 0
    """Answered 503 because there were too many server transactions."""
    stray_responses: int = 0
    """Responses that match no request of ours."""
    stray_cancels: int = 0
    """CANCELs for no INVITE of ours, answered 481."""
    absorbed_acks: int = 0
    """ACKs to failures, those sent without a transaction included."""
    unsent: int = 0
    """Messages without a transaction for which no way was found."""
