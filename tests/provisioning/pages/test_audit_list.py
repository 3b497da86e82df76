# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from provisioning import audit
from provisioning.audit import CLI, SYSTEM, Actor, Event
from provisioning.models import PanelAccount, User
from provisioning.pages import audit_list
from provisioning.pages.audit_list import Wanted
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.people import person
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


@pytest.mark.sqlite
def test_lines_of_a_rare_kind_are_found_by_an_index(services: Services) -> None:
    with counted() as statements:
        for kind in ("station", "key"):
            audit_list.page(Wanted(kind=kind))
    rare, often = plans(statements)
    assert "audit_event_of_rare_kind" in rare
    assert "audit_event_of_rare_kind" not in often
    assert "INDEX audit_event_of_user" not in often
