# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from provisioning import audit, keys
from provisioning.audit import CLI, SYSTEM, Actor, Event
from provisioning.lifecycle import KeyKind, Reason
from provisioning.models import PanelAccount, SecurityKey, User
from provisioning.pages import audit_list
from provisioning.pages.audit_list import Wanted
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.people import active_key, pending_key, person
from tests.fakes.queries import counted, plans


def note(actor: Actor, user: User | None = None, times: int = 1) -> None:
    with transaction():
        for _ in range(times):
            audit.record(actor, Event.USER_CHANGED, user=user)


def found(search: str) -> list[tuple[str, str | None]]:
    rows, _more = audit_list.page(Wanted(search=search))
    return [(row.actor_name, row.user.display_name if row.user else None) for row in rows]


@pytest.fixture
def log(services: Services) -> None:
    """What Ada did, what was done to Alan, what Grace and the machine did."""
    ada, alan = person("ada"), person("alan", displayName="Alan Turing")
    PanelAccount.create(name="Grace Hopper", role="owner", user_handle=b"g")
    note(Actor("user", ada.resource_id, "Ada Lovelace"), ada)
    note(Actor("account", "1", "Grace Hopper"), alan)
    note(SYSTEM)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("few", [200, 0])
def test_a_search_finds_who_did_it_and_to_whom(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_list, "_FEW", few)
    created = ("command line", "Ada Lovelace")
    assert found("love") == [("Ada Lovelace", "Ada Lovelace"), created]
    assert found("turing") == [("Grace Hopper", "Alan Turing"), (CLI.name, "Alan Turing")]
    assert found("grace") == [("Grace Hopper", "Alan Turing")]
    assert found("keywr") == [("Keywright", None)]
    assert found("command") == [(CLI.name, "Alan Turing"), created]
    assert found("nobody") == []


def test_a_page_asks_the_same_whoever_is_on_it(services: Services) -> None:
    people = [person(f"p{n}") for n in range(20)]
    for one in people:
        note(CLI, one)
    with counted() as statements:
        rows, _ = audit_list.page(Wanted())
        assert {row.user.display_name for row in rows} == {"Ada Lovelace"}
    assert len(statements) == 1


def tapped_in_a_wizard(name: str) -> SecurityKey:
    """A key whose card is tapped before anybody has it."""
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, name, "admin", user=None, actor=CLI)
        audit.record(Actor("station", "1", "Desk NFC"), Event.JOB_TAPPED, key=key)
    return key


def lines(wanted: Wanted) -> list[tuple[str, str | None]]:
    rows, _more = audit_list.page(wanted)
    return [(row.event, row.user.display_name if row.user else None) for row in rows]


@pytest.mark.parametrize("few", [200, 0])
def test_lines_of_before_a_person_was_there_are_theirs_by_the_key(
    services: Services, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_list, "_FEW", few)
    key = tapped_in_a_wizard("Card of Ada")
    assert ("job.tapped", None) in lines(Wanted())
    ada = person("ada")
    SecurityKey.update(user=ada).where(SecurityKey.id == key.id).execute()
    tapped = ("job.tapped", "Ada Lovelace")
    assert tapped in lines(Wanted(person=ada))
    assert tapped in lines(Wanted(search="lovelace"))
    assert tapped not in lines(Wanted(person=person("alan")))


@pytest.mark.parametrize("few", [200, 0])
def test_a_search_finds_the_lines_of_a_key_by_its_name(
    services: Services, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_list, "_FEW", few)
    given_up = tapped_in_a_wizard("Blue card")
    key = active_key(person(), "Green card")
    pending_key(person("alan"), "Red card")
    with transaction():
        keys.suspend(key, Reason.ON_HOLD, CLI)
    assert lines(Wanted(search="een car"))[0] == ("key.suspended", "Ada Lovelace")
    assert {row.key_id for row in audit_list.page(Wanted(search="green"))[0]} == {key.id}
    assert {row.key_id for row in audit_list.page(Wanted(search="blue"))[0]} == {given_up.id}


@pytest.mark.sqlite
def test_lines_of_a_person_and_of_a_key_are_found_by_indexes(services: Services) -> None:
    active_key(person(), "Green card")
    with counted() as statements:
        audit_list.page(Wanted(person=User.get()))
        audit_list.page(Wanted(search="green"))
    for plan in plans([each for each in statements if '"audit_event" AS' in each]):
        assert "INDEX audit_event_of_user" in plan
        assert "INDEX audit_event_of_key_alone" in plan
        assert "SCAN" not in plan


@pytest.mark.sqlite
def test_lines_of_a_rare_kind_are_found_by_an_index(services: Services) -> None:
    with counted() as statements:
        for kind in ("station", "key"):
            audit_list.page(Wanted(kind=kind))
    rare, often = plans(statements)
    assert "audit_event_of_rare_kind" in rare
    assert "audit_event_of_rare_kind" not in often
    assert "INDEX audit_event_of_user" not in often
