# SPDX-License-Identifier: Apache-2.0
"""Does everybody who listens hear what is posted, and nobody else?"""

from typing import Any

from ringback.server.bulletin import Bulletin


def bulletin() -> Bulletin:
    return Bulletin(wall_clock=lambda: 1000.0)


def test_a_listener_hears_what_is_posted_until_it_stops():
    one, heard = bulletin(), []
    stop = one.listen(heard.append)
    one.post("call.began", call={"id": "a"})
    stop()
    one.post("call.ended", call={"id": "a"})
    assert heard == [{"kind": "call.began", "at": 1000.0, "call": {"id": "a"}}]


def test_who_asked_for_some_kinds_hears_no_others():
    one, heard = bulletin(), []
    one.listen(heard.append, only=["call.ended"])
    one.post("call.began")
    one.post("call.ended")
    assert heard == [{"kind": "call.ended", "at": 1000.0}]
    assert [one.wants("call.began"), one.wants("call.ended")] == [False, True]


def test_who_listens_to_everything_wants_everything():
    one = bulletin()
    assert not one.wants("call.began")
    one.listen(print)
    assert one.wants("call.began")


def test_a_listener_that_fails_does_not_silence_the_others(caplog):
    one, heard = bulletin(), []

    def fail(_: dict[str, Any]) -> None:
        raise ZeroDivisionError

    one.listen(fail)
    one.listen(heard.append)
    one.post("users.changed")
    assert heard == [{"kind": "users.changed", "at": 1000.0}]
    assert "our fault: a listener failed on users.changed" in caplog.text
