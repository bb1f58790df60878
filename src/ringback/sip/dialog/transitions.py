# SPDX-License-Identifier: Apache-2.0
"""What does an INVITE session do next? The table: (state, input) -> (next state, actions).

A pair that is not here is ignored; a command that is not here is refused to our user (`invite_session.py`).
The state changes before the actions run. Every row into ENDED has an action that reports the end.
"""

from __future__ import annotations

from ringback.sip.dialog.answering import report_established, send_provisional, send_success
from ringback.sip.dialog.calling import (
    acknowledge_success,
    establish,
    release_success,
    report_progress,
    try_again,
)
from ringback.sip.dialog.ending import (
    confirm_bye,
    end_cancelled,
    end_failed,
    end_local,
    end_lost,
    end_refused,
    end_rejected,
    end_remote,
    end_timed_out,
    end_transport,
    refuse_invite,
    refuse_terminated,
    send_bye,
    send_cancel,
)
from ringback.sip.dialog.session_states import Input, State, Transitions

# ruff: noqa: E501
# fmt: off
_S, _I = State, Input
_HANG_UP_ON_OFFER = (acknowledge_success, send_bye, end_failed)

TRANSITIONS: Transitions = {
    # The caller: RFC 3261 sections 9.1 and 13.2.
    (_S.CALLING,     _I.PROVISIONAL):            (_S.PROCEEDING,  (report_progress,)),
    (_S.CALLING,     _I.SUCCESS):                (_S.ESTABLISHED, (establish,)),
    (_S.CALLING,     _I.SUCCESS_WITHOUT_ANSWER): (_S.ENDED,       _HANG_UP_ON_OFFER),
    (_S.CALLING,     _I.RETRY):                  (_S.CALLING,     (try_again,)),
    (_S.CALLING,     _I.FAILURE):                (_S.ENDED,       (end_refused,)),
    (_S.CALLING,     _I.TIMEOUT):                (_S.ENDED,       (end_timed_out,)),
    (_S.CALLING,     _I.TRANSPORT_ERROR):        (_S.ENDED,       (end_transport,)),
    (_S.CALLING,     _I.CANCEL):                 (_S.CANCELLING,  (send_cancel,)),

    (_S.PROCEEDING,  _I.PROVISIONAL):            (_S.PROCEEDING,  (report_progress,)),
    (_S.PROCEEDING,  _I.SUCCESS):                (_S.ESTABLISHED, (establish,)),
    (_S.PROCEEDING,  _I.SUCCESS_WITHOUT_ANSWER): (_S.ENDED,       _HANG_UP_ON_OFFER),
    (_S.PROCEEDING,  _I.RETRY):                  (_S.CALLING,     (try_again,)),
    (_S.PROCEEDING,  _I.FAILURE):                (_S.ENDED,       (end_refused,)),
    (_S.PROCEEDING,  _I.TIMEOUT):                (_S.ENDED,       (end_timed_out,)),
    (_S.PROCEEDING,  _I.TRANSPORT_ERROR):        (_S.ENDED,       (end_transport,)),
    (_S.PROCEEDING,  _I.CANCEL):                 (_S.CANCELLING,  (send_cancel,)),
    # All 2xx were lost and the callee gave up waiting for our ACK.
    (_S.PROCEEDING,  _I.BYE_RECEIVED):           (_S.CANCELLING,  (confirm_bye, end_remote, send_cancel)),

    (_S.CANCELLING,  _I.SUCCESS):                (_S.ENDED,       (release_success, end_cancelled)),
    (_S.CANCELLING,  _I.FAILURE):                (_S.ENDED,       (end_cancelled,)),
    (_S.CANCELLING,  _I.TIMEOUT):                (_S.ENDED,       (end_cancelled,)),
    (_S.CANCELLING,  _I.TRANSPORT_ERROR):        (_S.ENDED,       (end_cancelled,)),
    (_S.CANCELLING,  _I.BYE_RECEIVED):           (_S.CANCELLING,  (confirm_bye,)),

    # The callee: RFC 3261 sections 9.2, 13.3 and 15.1.2.
    (_S.INCOMING,    _I.RING):                   (_S.RINGING,     (send_provisional,)),
    (_S.INCOMING,    _I.ACCEPT):                 (_S.ACCEPTED,    (send_success,)),
    (_S.INCOMING,    _I.REJECT):                 (_S.ENDED,       (refuse_invite, end_rejected)),
    (_S.INCOMING,    _I.CANCEL_RECEIVED):        (_S.ENDED,       (refuse_terminated, end_remote)),
    (_S.INCOMING,    _I.BYE_RECEIVED):           (_S.ENDED,       (confirm_bye, refuse_terminated, end_remote)),
    (_S.INCOMING,    _I.TRANSPORT_ERROR):        (_S.ENDED,       (refuse_terminated, end_transport)),

    (_S.RINGING,     _I.RING):                   (_S.RINGING,     (send_provisional,)),
    (_S.RINGING,     _I.ACCEPT):                 (_S.ACCEPTED,    (send_success,)),
    (_S.RINGING,     _I.REJECT):                 (_S.ENDED,       (refuse_invite, end_rejected)),
    (_S.RINGING,     _I.CANCEL_RECEIVED):        (_S.ENDED,       (refuse_terminated, end_remote)),
    (_S.RINGING,     _I.BYE_RECEIVED):           (_S.ENDED,       (confirm_bye, refuse_terminated, end_remote)),
    (_S.RINGING,     _I.NO_PRACK):               (_S.ENDED,       (refuse_invite, end_timed_out)),
    (_S.RINGING,     _I.TRANSPORT_ERROR):        (_S.ENDED,       (refuse_terminated, end_transport)),

    (_S.ACCEPTED,    _I.ACK):                    (_S.ESTABLISHED, (report_established,)),
    (_S.ACCEPTED,    _I.ACK_WITHOUT_ANSWER):     (_S.ENDED,       (send_bye, end_failed)),
    (_S.ACCEPTED,    _I.NO_ACK):                 (_S.ENDED,       (send_bye, end_timed_out)),
    (_S.ACCEPTED,    _I.BYE):                    (_S.DEPARTING,   (end_local,)),
    (_S.ACCEPTED,    _I.BYE_RECEIVED):           (_S.ENDED,       (confirm_bye, end_remote)),
    (_S.ACCEPTED,    _I.DIALOG_LOST):            (_S.ENDED,       (send_bye, end_lost)),
    (_S.ACCEPTED,    _I.EXPIRED):                (_S.ENDED,       (send_bye, end_timed_out)),

    (_S.DEPARTING,   _I.ACK):                    (_S.ENDED,       (send_bye, end_local)),
    (_S.DEPARTING,   _I.ACK_WITHOUT_ANSWER):     (_S.ENDED,       (send_bye, end_local)),
    (_S.DEPARTING,   _I.NO_ACK):                 (_S.ENDED,       (send_bye, end_local)),
    (_S.DEPARTING,   _I.BYE_RECEIVED):           (_S.ENDED,       (confirm_bye, end_local)),
    (_S.DEPARTING,   _I.DIALOG_LOST):            (_S.ENDED,       (send_bye, end_local)),

    # Both: RFC 3261 sections 12.2.1.2 and 15, RFC 4028 section 10.
    (_S.ESTABLISHED, _I.NO_ACK):                 (_S.ENDED,       (send_bye, end_timed_out)),
    (_S.ESTABLISHED, _I.BYE):                    (_S.ENDED,       (send_bye, end_local)),
    (_S.ESTABLISHED, _I.BYE_RECEIVED):           (_S.ENDED,       (confirm_bye, end_remote)),
    (_S.ESTABLISHED, _I.DIALOG_LOST):            (_S.ENDED,       (send_bye, end_lost)),
    (_S.ESTABLISHED, _I.EXPIRED):                (_S.ENDED,       (send_bye, end_timed_out)),
}
# fmt: on
