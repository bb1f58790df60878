# SPDX-License-Identifier: Apache-2.0
"""Settings over the API: where each value comes from, and changes that keep what the owner wrote."""

import asyncio
import stat

from office_rig import Office


async def _settings(office: Office) -> dict[str, dict[str, object]]:
    page = (await office.admin().get("/api/v1/settings")).json
    return {item["path"]: item for item in page["items"]} | {"": page}


async def test_each_setting_says_what_it_is_and_where_that_comes_from(office: Office) -> None:
    found = await _settings(office)
    assert found["sip.host"]["value"] == ["127.0.0.1"]
    assert found["sip.host"]["source"] == f"{office.file}:3:8"
    assert found["sip.port"]["source"] == "--sip-port"
    assert not found["sip.port"]["is_writable"]
    assert found["media.anchor"]["source"] == "RINGBACK_MEDIA__ANCHOR"
    assert (found["calls.mode"]["type"], found["calls.mode"]["choices"]) == ("choice", ["bridge", "proxy"])
    assert (found["calls.mode"]["needs_restart"], found["sip.domain"]["needs_restart"]) == (False, True)
    assert (found["proxy.ring_time"]["minimum"], found["proxy.ring_time"]["maximum"]) == (5, 600)
    assert found["calls.mode"]["doc"].startswith("bridge: this server is a party")


async def test_a_change_is_written_beside_the_comments_and_holds_at_once(office: Office) -> None:
    admin = office.admin()
    version = (await _settings(office))[""]["version"]
    changes = {"calls.mode": "proxy", "proxy.ring_time": 30, "sip.domain": "office.example"}
    answer = await admin.patch("/api/v1/settings", {"changes": changes, "version": version})
    assert answer.status == 200, answer.text
    assert sorted(answer.json["changed"]) == sorted(changes)
    assert answer.json["needs_restart"] == ["sip.domain"]
    text = office.file.read_text()
    assert text.startswith(
        '# our office\n[sip]\nhost = ["127.0.0.1"]  # only here\ndomain = "office.example"\n'
    )
    assert '[calls]\nmode = "proxy"' in text
    still = [str(change) for change in await office.process.reload()]
    assert still == ["sip.domain: (empty) -> office.example (after a restart)"]
    entry = (await admin.get("/api/v1/audit")).json["items"][0]
    assert (entry["action"], entry["before"]["calls.mode"], entry["after"]["calls.mode"]) == (
        "settings.change", "bridge", "proxy",
    )  # fmt: skip


async def test_null_takes_a_setting_out_and_its_comment_with_it_only(office: Office) -> None:
    office.file.write_text("# top\n[proxy]\nring_time = 30.0 # short\nmax_branches = 4\n")
    answer = await office.admin().patch("/api/v1/settings", {"changes": {"proxy.ring_time": None}})
    assert (answer.status, answer.json["changed"]) == (200, ["proxy.ring_time"])
    assert office.file.read_text() == "# top\n[proxy]\nmax_branches = 4\n"


async def test_what_cannot_be_is_told_at_the_field_and_changes_nothing(office: Office) -> None:
    admin, before = office.admin(), office.file.read_text()
    for changes, field, words in (
        ({"calls.mode": "brigde"}, "calls.mode", 'did you mean "bridge"?'),
        ({"proxy.ring_time": 4}, "proxy.ring_time", "from 5 to 600"),
        ({"proxy.ring_time": "soon"}, "proxy.ring_time", "a number"),
        ({"proxy.ringtime": 9}, "proxy.ringtime", "did you mean 'proxy.ring_time'?"),
        ({"registrar.maximum_expires": 60}, "registrar.maximum_expires", "is less than default_expires"),
        ({"sip.port": 5062}, "sip.port", "--sip-port sets it"),
        ({"data": "/tmp/x"}, "data", "--data"),
        ({"sip": "x"}, "sip", "there is no setting"),
        ({"sip.host": ["nowhere"]}, "sip.host", "no IP address"),
    ):
        answer = await admin.patch("/api/v1/settings", {"changes": changes})
        assert answer.status == 422, changes
        assert [error["field"] for error in answer.json["errors"]] == [field]
        assert words in answer.json["errors"][0]["message"]
    assert office.file.read_text() == before


async def test_what_the_running_server_refuses_is_taken_back(office: Office) -> None:
    before = office.file.read_text()
    changes = {"tls.certificate": "/nowhere/cert.pem", "tls.key": "/nowhere/key.pem"}
    answer = await office.admin().patch("/api/v1/settings", {"changes": changes})
    assert answer.status == 422
    assert "/nowhere/cert.pem" in answer.json["detail"]
    assert office.file.read_text() == before


async def test_a_stale_page_overwrites_nothing(office: Office) -> None:
    version = (await _settings(office))[""]["version"]
    office.file.write_text(office.file.read_text() + "[calls]\nmax_bridged = 5\n")
    change = {"changes": {"calls.max_bridged": 9}, "version": version}
    answer = await office.admin().patch("/api/v1/settings", change)
    assert (answer.status, "max_bridged = 5" in office.file.read_text()) == (409, True)


async def test_a_broken_file_shows_what_is_wrong_and_is_not_touched(office: Office) -> None:
    office.file.write_text("[sip\nhost = 1")
    page = (await _settings(office))[""]
    assert f"{office.file}:1:5" in page["problem"]
    answer = await office.admin().patch("/api/v1/settings", {"changes": {"calls.mode": "proxy"}})
    assert (answer.status, office.file.read_text()) == (422, "[sip\nhost = 1")


async def test_the_file_keeps_its_mode_and_changes_at_once_do_not_mix(office: Office) -> None:
    office.file.chmod(0o640)
    admin = office.admin()
    changes = [{"changes": {"proxy.max_branches": number}} for number in range(1, 4)]
    answers = await asyncio.gather(*(admin.patch("/api/v1/settings", each) for each in changes))
    assert {answer.status for answer in answers} == {200}
    assert office.file.read_text().count("max_branches") == 1
    assert stat.S_IMODE(office.file.stat().st_mode) == 0o640


async def test_a_pin_of_a_room_is_not_in_the_audit_log(office: Office) -> None:
    admin = office.admin()
    await admin.patch("/api/v1/settings", {"changes": {"conference.rooms": ["300 pin=4711"]}})
    assert "4711" in office.file.read_text()
    assert "4711" not in (await admin.get("/api/v1/audit")).text


async def test_only_admins_see_and_change_settings(office: Office) -> None:
    operator = office.operator()
    assert (await operator.get("/api/v1/settings")).status == 403
    assert (await operator.patch("/api/v1/settings", {"changes": {}})).status == 403
    assert (await office.stranger().get("/api/v1/settings")).status == 401


async def test_no_page_makes_the_server_run_a_program_or_write_a_file_somewhere(office: Office) -> None:
    owner, before, shown = office.owner(), office.file.read_text(), await _settings(office)
    for name, path in (
        ("acme.dns_hook", "/bin/sh"),
        ("log.trace_file", "/tmp/profile"),
        ("data", "/tmp/x"),
        ("web.turn_secret_file", "/etc/shadow"),
    ):
        assert not shown[name]["is_writable"]
        for value in (path, None):
            answer = await owner.patch("/api/v1/settings", {"changes": {name: value}})
            assert (answer.status, [each["field"] for each in answer.json["errors"]]) == (422, [name])
    assert office.file.read_text() == before
