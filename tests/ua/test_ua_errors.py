# SPDX-License-Identifier: Apache-2.0
"""Which exception does each status become, and what does it say?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.message import Response
from ringback.ua import errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.AuthenticationFailed),
        (407, errors.AuthenticationFailed),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (408, errors.NoAnswer),
        (480, errors.NoAnswer),
        (486, errors.Busy),
        (487, errors.NoAnswer),
        (488, errors.NotAcceptable),
        (500, errors.ServerError),
        (503, errors.ServerError),
        (600, errors.Busy),
        (603, errors.Declined),
        (604, errors.NotFound),
    ],
)
def test_each_status_has_its_class(status, kind):
    assert type(errors.error_for(status, "why")) is kind


@given(st.integers(300, 699))
def test_every_final_status_becomes_an_error_that_says_status_and_reason(status):
    error = errors.error_for(status, "Some Reason")
    assert isinstance(error, errors.CallError)
    assert (error.status, error.reason, str(error)) == (status, "Some Reason", f"{status} Some Reason")


def test_the_response_is_kept():
    response = Response(486)
    assert errors.error_for(response.status, response.reason, response=response).response is response
