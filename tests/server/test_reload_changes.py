# SPDX-License-Identifier: Apache-2.0
"""What a reload changes now and what it leaves for a restart."""

from ringback.server.config import (
    AuthenticationSettings,
    ConferenceSettings,
    LogSettings,
    ProxySettings,
    Settings,
    SipSettings,
    WebSettings,
)
from ringback.server.config_schema import all_settings
from ringback.server.reload import LIVE_SECTIONS, applicable, changes

OLD = Settings()
NEW = Settings(
    sip=SipSettings(port=5070),
    web=WebSettings(http_port=0),
    proxy=ProxySettings(strangers_may_call=True),
    authentication=AuthenticationSettings(algorithms=("SHA-256",)),
    log=LogSettings(level="debug"),
)


def test_changes_are_told_one_by_one_with_what_they_need() -> None:
    assert [str(change) for change in changes(OLD, NEW)] == [
        "sip.port: 5060 -> 5070 (after a restart)",
        "web.http_port: 8080 -> 0 (after a restart)",
        'authentication.algorithms: ["SHA-256", "MD5"] -> ["SHA-256"]',
        "proxy.strangers_may_call: false -> true",
        "log.level: info -> debug",
    ]
    assert changes(NEW, NEW) == []


def test_only_what_can_change_now_is_taken_over() -> None:
    running = applicable(OLD, NEW)
    assert (running.sip, running.web) == (OLD.sip, OLD.web)
    assert (running.proxy, running.authentication, running.log) == (NEW.proxy, NEW.authentication, NEW.log)
    assert {str(change).split(":")[0] for change in changes(running, NEW)} == {"sip.port", "web.http_port"}


def test_the_sections_named_as_live_exist() -> None:
    assert {path[0] for path, _ in all_settings()} >= LIVE_SECTIONS


def test_the_pin_of_a_room_is_not_told() -> None:
    new = Settings(conference=ConferenceSettings(rooms=("300", "301 pin=4711 limit=20")))
    assert [str(change) for change in changes(OLD, new)] == [
        'conference.rooms: [] -> ["300", "301 pin=*** limit=20"] (after a restart)'
    ]
