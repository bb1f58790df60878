# SPDX-License-Identifier: Apache-2.0
"""Does a passkey open a session, once for each question, and only with the device that has it (WebAuthn)?"""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from web_rig import Browser, WebRig
from webauthn import base64url_to_bytes
from webauthn.helpers import bytes_to_base64url

from ringback.web import pending

ME, SESSION = "/api/v1/me", "/api/v1/session"
PRESENT_AND_VERIFIED, WITH_CREDENTIAL = 0x05, 0x40


class Device:
    """A security key in software: one credential, made for one name."""

    def __init__(self, identifier: bytes = b"i" * 16) -> None:
        self.identifier = identifier
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.uses = 0

    def make(self, options: dict[str, Any], origin: str) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        credential = (
            bytes(16) + len(self.identifier).to_bytes(2, "big") + self.identifier + cbor2.dumps(public)
        )
        about = self._about(options["rp"]["id"], WITH_CREDENTIAL) + credential
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": about})
        client = _client("webauthn.create", options, origin)
        return self._credential(clientDataJSON=client, attestationObject=attestation)

    def use(self, options: dict[str, Any], origin: str) -> dict[str, Any]:
        self.uses += 1
        about, client = self._about(options["rpId"]), _client("webauthn.get", options, origin)
        signature = self.key.sign(about + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(clientDataJSON=client, authenticatorData=about, signature=signature)

    def _about(self, party: str, flags: int = 0) -> bytes:
        flag = bytes([PRESENT_AND_VERIFIED | flags])
        return hashlib.sha256(party.encode()).digest() + flag + self.uses.to_bytes(4, "big")

    def _credential(self, **response: bytes) -> dict[str, Any]:
        identifier = bytes_to_base64url(self.identifier)
        coded = {name: bytes_to_base64url(value) for name, value in response.items()}
        return {"id": identifier, "rawId": identifier, "type": "public-key", "response": coded}


def _client(kind: str, options: dict[str, Any], origin: str) -> bytes:
    return json.dumps({"type": kind, "challenge": options["challenge"], "origin": origin}).encode()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WebRig]:
    async with WebRig(tmp_path) as rig:
        rig.address = f"http://localhost:{rig.port}"
        yield rig


async def registered(rig: WebRig, browser: Browser, device: Device, name: str = "Key") -> tuple[int, Any]:
    _, options = await browser.call("POST", f"{ME}/passkeys/options")
    credential = device.make(options, rig.address)
    return await browser.call("POST", f"{ME}/passkeys", {"name": name, "credential": credential})


async def test_a_passkey_opens_a_session_without_a_password_or_a_code(rig: WebRig):
    browser, device = await rig.signed_in(name="Olga"), Device()
    status, made = await registered(rig, browser, device)
    assert (status, made["name"]) == (201, "Key")
    other = rig.browser()
    _, options = await other.call("POST", f"{SESSION}/passkey/options")
    credential = device.use(options, rig.address)
    status, session = await other.call("POST", f"{SESSION}/passkey", {"credential": credential})
    assert (status, session["person"]["name"]) == (200, "Olga")
    # The same answer does not count again.
    assert (await rig.browser().call("POST", f"{SESSION}/passkey", {"credential": credential}))[0] == 401


async def test_only_the_device_for_this_name_is_accepted(rig: WebRig):
    browser, device = await rig.signed_in(name="Olga"), Device()
    await registered(rig, browser, device)
    stranger = Device(device.identifier)
    for who, origin, party in (
        (stranger, rig.address, "localhost"),
        (device, "https://evil.example", "localhost"),
        (device, rig.address, "evil.example"),
    ):
        _, options = await rig.browser().call("POST", f"{SESSION}/passkey/options")
        credential = who.use({**options, "rpId": party}, origin)
        assert (await rig.browser().call("POST", f"{SESSION}/passkey", {"credential": credential}))[0] == 401
        rig.clock.now += 5


async def test_an_answer_to_one_question_is_none_to_another(rig: WebRig):
    olga, anna, device = await rig.signed_in(name="Olga"), await rig.signed_in("admin", name="Anna"), Device()
    _, options = await olga.call("POST", f"{ME}/passkeys/options")
    credential = device.make(options, rig.address)
    assert (await anna.call("POST", f"{ME}/passkeys", {"name": "Key", "credential": credential}))[0] == 409
    _, options = await olga.call("POST", f"{SESSION}/passkey/options")
    credential = device.make({**options, "rp": {"id": "localhost"}}, rig.address)
    assert (await olga.call("POST", f"{ME}/passkeys", {"name": "Key", "credential": credential}))[0] == 409


async def test_a_passkey_belongs_to_one_person_who_can_remove_it(rig: WebRig):
    olga, anna, device = await rig.signed_in(name="Olga"), await rig.signed_in("admin", name="Anna"), Device()
    _, made = await registered(rig, olga, device)
    assert (await registered(rig, anna, device))[0] == 409
    assert (await anna.call("DELETE", f"{ME}/passkeys/{made['id']}"))[0] == 404
    assert len((await olga.call("GET", ME))[1]["passkeys"]) == 1
    assert (await olga.call("DELETE", f"{ME}/passkeys/{made['id']}"))[0] == 204
    _, options = await rig.browser().call("POST", f"{SESSION}/passkey/options")
    credential = device.use(options, rig.address)
    assert (await rig.browser().call("POST", f"{SESSION}/passkey", {"credential": credential}))[0] == 401


async def test_an_address_without_a_name_has_no_passkeys(rig: WebRig):
    browser = await rig.signed_in()
    status, answer = await browser.call("POST", f"{ME}/passkeys/options", Host=f"127.0.0.1:{rig.port}")
    assert (status, answer["type"]) == (409, "urn:ringback:no-name")


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"id": 5},
        {"response": None},
        {"id": "a", "response": {"clientDataJSON": 5}},
        {"id": "a", "response": {"clientDataJSON": "!!"}},
        {"id": "a", "response": {"clientDataJSON": bytes_to_base64url(b"[" * 5000)}},
        {"id": "a", "response": {"clientDataJSON": bytes_to_base64url(b'{"challenge": 5}')}},
        {"id": "\ud800" * 3, "response": {"clientDataJSON": bytes_to_base64url(b'{"challenge": "AAAA"}')}},
    ],
)
async def test_nonsense_is_refused(rig: WebRig, credential: dict[str, Any]):
    browser = await rig.signed_in()
    assert (await rig.browser().call("POST", f"{SESSION}/passkey", {"credential": credential}))[0] in (
        401,
        422,
    )
    status, _ = await browser.call("POST", f"{ME}/passkeys", {"name": "Key", "credential": credential})
    assert status in (409, 422)


async def test_a_damaged_answer_is_refused_and_not_a_failure_of_ours(rig: WebRig):
    browser = await rig.signed_in()
    device = Device()
    for damage in ("attestationObject", "clientDataJSON"):
        for change in (b"", b"\xff" * 50, None):
            _, options = await browser.call("POST", f"{ME}/passkeys/options")
            credential = device.make(options, rig.address)
            whole = base64url_to_bytes(credential["response"][damage])
            credential["response"][damage] = bytes_to_base64url(whole[:-7] if change is None else change)
            status, _ = await browser.call(
                "POST", f"{ME}/passkeys", {"name": "Key", "credential": credential}
            )
            assert status in (409, 422)


async def test_strangers_who_begin_and_begin_disturb_nobody_who_is_signed_in(
    rig: WebRig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pending, "MOST", 3)
    browser = await rig.signed_in()
    _, options = await browser.call("POST", "/api/v1/me/passkeys/options")
    for _ in range(5):
        status, _ = await rig.browser().call("POST", "/api/v1/session/passkey/options")
        assert status == 200
    credential = Device().make(options, rig.address)
    made = {"name": "Key", "credential": credential}
    assert (await browser.call("POST", "/api/v1/me/passkeys", made))[0] == 201
