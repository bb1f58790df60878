# SPDX-License-Identifier: Apache-2.0
"""Are people, their sessions, tokens and links kept as they should be: found, unique, and worth nothing to a thief?"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ringback.server.storage import entrances
from ringback.server.storage.audit import AuditStore
from ringback.server.storage.entrances import LinkStore, SessionStore, TokenStore
from ringback.server.storage.people import AlreadyThere, NoSuchPerson, Passkey, PeopleStore, Person
from ringback.server.storage.sealing import Sealer


class Stores(NamedTuple):
    people: PeopleStore
    sessions: SessionStore
    tokens: TokenStore
    links: LinkStore
    changes: AuditStore
    file: Path


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    file, sealer = tmp_path / "ringback.db", Sealer(bytes(32))
    kinds = (PeopleStore, SessionStore, TokenStore, LinkStore, AuditStore)
    made = [kind.open(file, sealer=sealer) for kind in kinds]
    yield Stores(*made, file)  # type: ignore[arg-type]
    for store in made:
        store.close()


OLGA = Person("1" * 16, "Olga", "Olga@Example.com", "101", "owner", "$argon2id$x", "JBSWY3DPEHPK3PXP", 1.0)
ANNA = Person("2" * 16, "Anna", "", "102", "person", "", "", 2.0)


def session(stores: Stores, person: Person, now: float, lifetime: float = 100.0) -> str:
    cookie, _ = stores.sessions.make(
        person.id, now=now, lifetime=lifetime, address="192.0.2.1", agent="Browser"
    )
    return cookie


def test_a_person_is_found_by_what_people_type(stores: Stores):
    stores.people.add_person(OLGA)
    kept = stores.people.add_person(ANNA)
    assert kept == ANNA
    for login in ("olga@example.COM", "101", "olga", " Olga "):
        found = stores.people.sign_in_as(login)
        assert found is not None
        assert (found.id, found.email, found.totp) == (OLGA.id, "olga@example.com", OLGA.totp)
    assert stores.people.sign_in_as("") is None
    assert stores.people.sign_in_as("nobody") is None
    assert stores.people.person_with("102") == ANNA


def test_a_name_that_two_people_have_signs_nobody_in(stores: Stores):
    stores.people.add_person(ANNA)
    stores.people.add_person(Person("3" * 16, "ANNA"))
    assert stores.people.sign_in_as("Anna") is None


def test_addresses_and_numbers_are_had_once(stores: Stores):
    stores.people.add_person(OLGA)
    with pytest.raises(AlreadyThere, match="e-mail"):
        stores.people.add_person(Person("3" * 16, "X", "OLGA@example.com"))
    with pytest.raises(AlreadyThere, match="number"):
        stores.people.add_person(Person("3" * 16, "X", "", "101"))
    stores.people.add_person(ANNA)
    with pytest.raises(AlreadyThere, match="e-mail"):
        stores.people.change_person(ANNA.id, email="olga@Example.com")
    assert stores.people.change_person(ANNA.id, email="Anna@Example.com").email == "anna@example.com"


def test_the_last_owner_stays_the_owner(stores: Stores):
    stores.people.add_person(OLGA)
    stores.people.add_person(ANNA)
    for attempt in (
        lambda: stores.people.change_person(OLGA.id, role="admin"),
        lambda: stores.people.remove_person(OLGA.id),
        lambda: stores.people.add_person(Person("3" * 16, "X", role="owner"), only_as_first=True),
    ):
        with pytest.raises(AlreadyThere):
            attempt()
    stores.people.change_person(ANNA.id, role="owner")
    stores.people.change_person(OLGA.id, role="admin")
    assert stores.people.remove_person(OLGA.id)
    with pytest.raises(NoSuchPerson):
        stores.people.change_person(OLGA.id, name="X")


def test_with_a_person_goes_all_that_let_them_in(stores: Stores):
    stores.people.add_person(OLGA)
    stores.people.add_person(ANNA)
    cookie = session(stores, ANNA, 1.0)
    text, _ = stores.tokens.make(ANNA.id, "x", frozenset({"calls:read"}), now=1.0)
    stores.people.put_passkey(Passkey("key", ANNA.id, "Key", b"public"))
    stores.people.remove_person(ANNA.id)
    assert stores.sessions.find(cookie, now=2.0) is None
    assert stores.tokens.find(text, now=2.0) is None
    assert stores.people.passkey("key") is None


def test_nothing_in_the_file_opens_a_door(stores: Stores):
    stores.people.add_person(OLGA)
    secrets = [
        session(stores, OLGA, 1.0),
        stores.tokens.make(OLGA.id, "x", frozenset(), now=1.0)[0],
        stores.links.make("setup", "", now=1.0, lifetime=9.0, short=True),
        OLGA.totp,
    ]
    kept = b"".join(file.read_bytes() for file in stores.file.parent.glob("ringback.db*"))
    assert [secret for secret in secrets if secret.encode() in kept] == []
    assert b"Olga" in kept


def test_a_session_holds_until_it_ends_and_the_oldest_of_too_many_goes(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(entrances, "MAX_SESSIONS_EACH", 3)
    stores.people.add_person(OLGA)
    cookies = [session(stores, OLGA, float(now)) for now in range(4)]
    assert [stores.sessions.find(cookie, now=5.0) is not None for cookie in cookies] == [
        False,
        True,
        True,
        True,
    ]
    assert stores.sessions.find(cookies[1], now=101.0) is None
    newest = stores.sessions.of(OLGA.id, now=5.0)[0]
    stores.sessions.end_all(OLGA.id, but=newest.hash)
    assert [record.hash for record in stores.sessions.of(OLGA.id, now=5.0)] == [newest.hash]


def test_a_token_holds_until_it_ends_or_is_removed_by_its_owner(stores: Stores):
    stores.people.add_person(OLGA)
    stores.people.add_person(ANNA)
    text, record = stores.tokens.make(OLGA.id, "x", frozenset({"b", "a"}), now=1.0, expires_at=10.0)
    assert text.startswith("rb_")
    assert stores.tokens.find(text, now=9.0) == record
    assert stores.tokens.find(text, now=10.0) is None
    assert not stores.tokens.remove(record.id, person=ANNA.id)
    assert stores.tokens.remove(record.id, person=OLGA.id)
    assert stores.tokens.of(OLGA.id) == []


def test_a_link_works_once_and_a_newer_one_takes_its_place(stores: Stores):
    first = stores.links.make("invite", "101", now=1.0, lifetime=10.0)
    other = stores.links.make("invite", "102", now=1.0, lifetime=10.0)
    second = stores.links.make("invite", "101", now=2.0, lifetime=10.0)
    assert stores.links.look(first, now=3.0) is None
    assert stores.links.look(second, now=12.0) is None
    found = stores.links.use(second, now=3.0)
    assert found is not None
    assert (found.kind, found.subject) == ("invite", "101")
    assert stores.links.use(second, now=3.0) is None
    assert stores.links.use(other, now=3.0) is not None


def test_the_audit_log_is_searched_as_text_and_keeps_what_was(stores: Stores):
    for number in range(3):
        stores.changes.add(
            at=float(number), person="1", name="Olga 100%", address="192.0.2.1", action="user.change",
            subject=f"10{number}", before={"name": "A"}, after={"name": "B" * (number * 20_000)},
        )  # fmt: skip
    found, total = stores.changes.search("100%")
    assert ([change.subject for change in found], total) == (["102", "101", "100"], 3)
    assert (found[-1].before, found[-1].after) == ({"name": "A"}, {"name": ""})
    assert found[0].after == "(too long to be kept)"
    assert stores.changes.search("1_0") == ([], 0)
    assert [change.subject for change in stores.changes.search(page=2, size=2)[0]] == ["100"]


def test_the_oldest_changes_of_too_many_are_forgotten(stores: Stores, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringback.server.storage.audit.MAX_ROWS", 2)
    for number in range(5):
        stores.changes.add(at=0.0, person="", name="", address="", action="x", subject=str(number))
    assert [change.subject for change in stores.changes.search()[0]] == ["4", "3"]
