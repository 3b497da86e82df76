# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from provisioning import directory, groups, tasks
from provisioning.audit import CLI
from provisioning.clock import now_ms
from provisioning.errors import NotFound, WrongState
from provisioning.models import (
    AuditEvent,
    Conflict,
    Connection,
    Group,
    MassDeparture,
    Member,
    SecurityKey,
    User,
)
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import conflicts, hand_overs, tally, tokens
from provisioning.upstream.conflicts import Clash, Held
from tests.fakes import people


@pytest.fixture
def entra(services: Services) -> Connection:
    with transaction():
        return tokens.create_connection("Entra ID", CLI)


@pytest.fixture
def okta(services: Services) -> Connection:
    with transaction():
        return tokens.create_connection("Okta", CLI)


def clash(
    connection: Connection, value: str = "ada", attribute: str = "userName", at: int = 0
) -> Clash:
    kind = "Group" if attribute == "displayName" else "User"
    return Clash(connection.id, at or now_ms(), kind, attribute, value)


def note(*clashes: Clash) -> None:
    with transaction():
        conflicts.note(clashes)


def line(connection: Connection) -> conflicts.Line:
    return conflicts.page(connection)[0][0]


def hand_over(connection: Connection) -> User:
    with transaction():
        return conflicts.hand_over(line(connection), CLI)


def pushed(connection: Connection, name: str = "ada", **more: object) -> User:
    with transaction():
        return directory.create_user(
            people.document(name, **more), connection=connection, actor=CLI
        )


def test_a_name_is_one_row_however_often_it_is_wanted(entra: Connection, okta: Connection) -> None:
    note(clash(entra, at=1), clash(entra, "ADA", at=2), clash(okta, at=3))
    note(clash(entra, "ada ", at=4), clash(entra, "ada", "externalId", at=5))
    rows = {
        (row.connection.name, row.attribute): (row.seen, row.first_seen_at, row.last_seen_at)
        for row in Conflict.select()
    }
    assert rows == {
        ("Entra ID", "userName"): (3, 2, 4),
        ("Entra ID", "externalId"): (1, 5, 5),
        ("Okta", "userName"): (1, 3, 3),
    }


def test_external_ids_have_case(entra: Connection) -> None:
    note(clash(entra, "a", "externalId"), clash(entra, "A", "externalId"))
    assert conflicts.count(entra) == 2


def test_a_directory_in_a_loop_does_not_fill_the_table(
    entra: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conflicts, "MOST", 3)
    note(*(clash(entra, f"u{number}") for number in range(5)))
    note(clash(entra, "u0"), clash(entra, "u9"))
    assert conflicts.count(entra) == 3
    assert Conflict.get(Conflict.value == "u0").seen == 2


def test_a_connection_that_is_gone_is_passed_over(entra: Connection) -> None:
    note(Clash(entra.id + 7, 1, "User", "userName", "ada"), clash(entra))
    assert Conflict.select().count() == 1


def test_who_holds_it_is_looked_up_when_it_is_shown(entra: Connection, okta: Connection) -> None:
    note(clash(entra))
    assert line(entra).held is Held.FREE
    ada = people.person("Ada")
    assert (line(entra).held, line(entra).holder) == (Held.ELSEWHERE, ada)
    with transaction():
        directory.delete_user(ada, CLI)
    assert line(entra).held is Held.FREE
    pushed(entra)
    assert line(entra).held is Held.OWN


def test_only_ones_own_groups_and_external_ids_hold_anything(
    entra: Connection, okta: Connection
) -> None:
    pushed(okta, externalId="7")
    with transaction():
        groups.create_group({"displayName": "Staff"}, connection=okta, actor=CLI)
    note(clash(entra, "7", "externalId"), clash(entra, "Staff", "displayName"))
    assert {each.held for each in conflicts.page(entra)[0]} == {Held.FREE}
    pushed(entra, "bob", externalId="7")
    with transaction():
        groups.create_group({"displayName": "staff"}, connection=entra, actor=CLI)
    assert {each.held for each in conflicts.page(entra)[0]} == {Held.OWN}


def test_a_person_made_by_hand_is_handed_over(entra: Connection) -> None:
    ada = people.person()
    key = people.active_key(ada)
    note(clash(entra))
    handed = hand_over(entra)
    assert handed == ada
    found = directory.get_user(ada.resource_id, entra)
    assert (found.version, found.active) == (ada.version + 1, True)
    assert SecurityKey.get_by_id(key.id).state == "active"
    assert tally.living(User, entra.id) == 1
    assert conflicts.count(entra) == 0
    row = AuditEvent.get(AuditEvent.event == "user.handed_over")
    assert row.user == ada
    assert json.loads(row.detail) == {
        "connection": "Entra ID",
        "source": None,
        "user_name": "ada",
    }


def test_what_belongs_to_the_directory_before_stays_with_it(
    entra: Connection, okta: Connection
) -> None:
    ada = pushed(okta, externalId="okta-7")
    with transaction():
        theirs = groups.create_group({"displayName": "Staff"}, connection=okta, actor=CLI)
        ours = groups.create_group({"displayName": "Ward 3"}, connection=None, actor=CLI)
        groups.add_members(theirs, [ada.resource_id], actor=CLI)
        groups.add_members(ours, [ada.resource_id], actor=CLI)
    people.active_key(ada)
    note(clash(entra))
    assert conflicts.consequences(ada) == conflicts.Consequences("Okta", 1, 1, None)
    hand_over(entra)
    ada = User.get_by_id(ada.id)
    assert (ada.external_id, directory.document_of(ada).get("externalId")) == (None, None)
    assert [row.group for row in Member.select()] == [ours]
    assert Group.get_by_id(theirs.id).version == theirs.version + 1
    assert (tally.living(User, okta.id), tally.living(User, entra.id)) == (0, 1)
    with pytest.raises(NotFound):
        directory.get_user(ada.resource_id, okta)
    pushed(okta, "bob", externalId="okta-7")  # the id is free there


def test_the_role_in_the_panel_is_among_what_follows(entra: Connection) -> None:
    ada = people.person()
    with transaction():
        account = access.create_account("Ada", Role.OFFICER, CLI)
        account.user = ada
        account.save()
    assert conflicts.consequences(ada).account == Role.OFFICER


def test_what_nobody_else_holds_is_not_handed_over(entra: Connection) -> None:
    note(clash(entra))
    with pytest.raises(WrongState):
        hand_over(entra)
    pushed(entra)
    with pytest.raises(WrongState):
        hand_over(entra)
    assert conflicts.count(entra) == 1


@pytest.mark.req("R17")
def test_a_held_departure_is_decided_first(entra: Connection, okta: Connection) -> None:
    ada = pushed(okta)
    ada.departure = MassDeparture.create(connection=okta, started_at=1)
    ada.save()
    note(clash(entra))
    with pytest.raises(WrongState, match="mass departure"):
        hand_over(entra)


def test_a_dismissal_is_taken_back(entra: Connection) -> None:
    note(clash(entra))
    with transaction():
        conflicts.dismiss(line(entra).conflict, CLI)
    note(clash(entra))
    assert conflicts.count(entra) == 0
    (dismissed,), more = conflicts.page(entra, dismissed=True)
    assert (dismissed.conflict.seen, more) == (2, False)
    with transaction():
        conflicts.reopen(dismissed.conflict, CLI)
    assert conflicts.count(entra) == 1


def test_what_was_not_wanted_for_a_month_is_forgotten(entra: Connection) -> None:
    note(clash(entra, "old", at=now_ms() - conflicts.AGE - 1), clash(entra, "new"))
    with transaction():
        assert conflicts.sweep() == 1
    assert line(entra).conflict.value == "new"


def test_a_page_of_conflicts_takes_a_bounded_number_of_queries(entra: Connection) -> None:
    note(*(clash(entra, f"u{number}") for number in range(60)))
    first, more = conflicts.page(entra)
    assert (len(first), more) == (50, True)
    rest, more = conflicts.page(entra, after=first[-1].conflict.id)
    assert (len(rest), more) == (10, False)


def test_everybody_is_handed_over_at_once_but_those_with_an_account(
    entra: Connection, okta: Connection, services: Services
) -> None:
    wanted = [people.person(f"u{number}") for number in range(5)]
    boss = people.person("boss")
    with transaction():
        account = access.create_account("Boss", Role.OWNER, CLI)
        account.user = boss
        account.save()
    pushed(entra, "own")
    pushed(okta, "theirs")
    names = ("u0", "u1", "u2", "u3", "u4", "boss", "own", "theirs", "free")
    note(*(clash(entra, name) for name in names), clash(okta, "u0"))
    with transaction():
        conflicts.dismiss(Conflict.get(Conflict.value == "u4"), CLI)
    assert hand_overs.count(entra) == 5
    with transaction():
        task = hand_overs.begin(entra, CLI)
    pushed(entra, "late")
    done = tasks.finish(task, services)
    assert (done.total, done.failed, done.state) == (5, 0, "done")
    mine = {user.user_name for user in User.select().where(User.connection == entra)}
    assert mine == {"u0", "u1", "u2", "u3", "theirs", "own", "late"}
    assert User.get_by_id(wanted[4].id).connection is None
    assert {row.value for row in Conflict.select().where(Conflict.connection == entra)} == {
        "u4",
        "boss",
        "own",
        "free",
    }


def test_who_is_somebody_elses_by_then_is_passed_over(
    entra: Connection, services: Services
) -> None:
    ada, bob = people.person("ada"), people.person("bob")
    note(clash(entra, "ada"), clash(entra, "bob"))
    with transaction():
        task = hand_overs.begin(entra, CLI)
        directory.delete_user(ada, CLI)
        account = access.create_account("Bob", Role.OWNER, CLI)
        account.user = bob
        account.save()
    done = tasks.finish(task, services)
    outcomes = [outcome for _label, outcome, _detail in tasks.results(done)]
    assert outcomes == ["skipped", "skipped"]
    assert tally.living(User, entra.id) == 0
