# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to the API, the answer is a sentence and never a failure of ours (RELIABILITY row 56)."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from office_rig import Answer, Office, Visitor, opened, through

from ringback.pbx.accounts import mint_device, new_user
from ringback.server.storage.devices import GuestPage
from ringback.web.openapi import document

OPERATIONS = {
    str(each.ok().definition.raw["operationId"]): each.ok()
    for each in schemathesis.openapi.from_dict(document()).get_all_operations()
}
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
#: It ends the session that asks.
LEFT_OUT = {"sign_out"}
NO_SIGN_IN = {
    "session",
    "sign_in", "begin_passkey_sign_in", "sign_in_with_passkey", "look_at_setup_link", "use_setup_link",
    "read_invitation", "accept_invitation", "read_guest_page", "open_guest_phone",
}  # fmt: skip


@dataclass(slots=True)
class Standing:
    """An office that outlives one test, with a loop of its own."""

    runner: asyncio.Runner
    office: Office

    def ask(self, visitor: Visitor, method: str, path: str, body: bytes) -> Answer:
        headers = {"host": "office.example:8443", "content-type": "application/json", **visitor.headers}
        self.office.now[0] += 3600.0  # nobody who guesses has to wait
        return self.runner.run(through(self.office.app, method, path, body, headers))

    def something_of_everything(self) -> dict[str, str]:
        """Things that are there, by the names of parameters."""
        house = self.office.house
        house.store.put_user(new_user("101", "Anna", password="x", realm=house.realm))
        for device in house.store.devices():
            house.store.remove_device(device.id)
        device, _ = mint_device(house.store, "101", name="Desk", kind="phone", realm=house.realm)
        house.store.put_guest_page(GuestPage("sales", "101"))
        webhook, _ = house.webhooks.add("https://crm.example/", ["*"], now=1.0)
        link = house.links.make("invite", "101", now=house.clock(), lifetime=1e9)
        return {
            "number": "101", "device_id": device.id, "name": "sales", "webhook_id": webhook.id, "token": link,
        }  # fmt: skip


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with asyncio.Runner() as runner:
        whole = opened(tmp_path_factory.mktemp("office"))
        yield Standing(runner, runner.run(whole.__aenter__()))
        runner.run(whole.__aexit__(None, None, None))


def _request(case: Any, known: dict[str, str]) -> tuple[str, bytes]:
    """Path with query, and body."""
    kwargs = case.as_transport_kwargs()
    path = str(case.path)
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(
            f"{{{name}}}", quote(known.get(name, str(value)).encode("utf-8", "replace"), safe="")
        )
    query = urlencode(kwargs.get("params") or {}, doseq=True, errors="replace")
    if "json" in kwargs:
        return f"{path}?{query}", json.dumps(kwargs["json"]).encode()
    data = kwargs.get("data") or b""
    return f"{path}?{query}", data if isinstance(data, bytes) else str(data).encode("utf-8", "replace")


def _never_fails(standing: Standing, name: str, examples: int) -> None:
    visitor = standing.office.owner()
    for mode in MODES:
        known = standing.something_of_everything()
        try:
            _sends(standing, visitor, OPERATIONS[name].as_strategy(generation_mode=mode), known, examples)()
        except schemathesis.errors.SchemathesisError:
            assert mode is schemathesis.GenerationMode.NEGATIVE  # nothing about it can be wrong


def _sends(
    standing: Standing, visitor: Visitor, cases: Any, known: dict[str, str], examples: int
) -> Callable[[], None]:
    """A property: each case is sent as it is, and once more for something that is there."""

    @settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=cases)
    def never_fails(case: Any) -> None:
        for there in ({}, known):
            path, body = _request(case, there)
            answer = standing.ask(visitor, str(case.method).upper(), path, body)
            assert answer.status < 500, (case.method, path, body, answer.text)
            if answer.status >= 400:
                assert answer.json["detail"]

    return never_fails


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - LEFT_OUT))
def test_no_request_makes_an_operation_fail(standing: Standing, name: str) -> None:
    _never_fails(standing, name, examples=3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - LEFT_OUT))
def test_no_request_of_very_many_makes_an_operation_fail(standing: Standing, name: str) -> None:
    _never_fails(standing, name, examples=25)


def test_nobody_does_anything_without_signing_in(standing: Standing) -> None:
    """Every operation but the few that are there for strangers."""
    stranger, known = standing.office.stranger(), standing.something_of_everything()
    for name in sorted(set(OPERATIONS) - NO_SIGN_IN):
        operation = OPERATIONS[name]
        path = operation.path
        for parameter in operation.path_parameters:
            path = path.replace(f"{{{parameter.name}}}", known.get(parameter.name, "x"))
        answer = standing.ask(stranger, operation.method.upper(), path, b"{}")
        assert answer.status == 401, name


def test_another_site_cannot_use_the_session_of_a_browser(standing: Standing) -> None:
    owner = standing.office.owner()
    without = Visitor(owner.app, {"cookie": owner.headers["cookie"]})
    elsewhere = Visitor(owner.app, {**owner.headers, "origin": "https://evil.example"})
    for visitor in (without, elsewhere):
        assert standing.ask(visitor, "POST", "/api/v1/users", b'{"name": "Eve"}').status == 403


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"name": NaN}', b"[" * 100_000, b'{"name": "\\ud800"}']
)  # fmt: skip
def test_a_body_that_is_no_object_is_a_mistake_of_the_sender(standing: Standing, body: bytes) -> None:
    assert standing.ask(standing.office.owner(), "POST", "/api/v1/users", body).status in (400, 422)


def test_a_huge_body_is_not_read(standing: Standing) -> None:
    body = b'{"text": "' + b"x" * 2_000_000 + b'"}'
    assert standing.ask(standing.office.owner(), "POST", "/api/v1/users/bulk", body).status == 413
