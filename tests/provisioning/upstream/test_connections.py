# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from provisioning import audit, directory, groups, tasks
from provisioning.audit import CLI, Actor, Event
from provisioning.clock import now_ms
from provisioning.errors import InvalidValue, NotFound, Taken, Unauthenticated, WrongState
from provisioning.event_streams import streams
from provisioning.event_streams.streams import Method, StreamState
from provisioning.models import AuditEvent, Connection, Group, MassDeparture, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import connections, departures, guard, tally, tokens
from scim.quirks import PROFILES
from tests.fakes import people


@pytest.fixture
def entra(services: Services) -> Connection:
    with transaction():
        return tokens.create_connection("Entra ID", CLI)


def change(connection: Connection, **terms: object) -> list[str]:
    with transaction():
        wanted = replace(connections.terms_of(connection), **terms)  # type: ignore[arg-type]
        return connections.change(connection, wanted, CLI)


def pushed(connection: Connection, name: str) -> User:
    with transaction():
        return directory.create_user(
            people.document(name, externalId=f"x-{name}"), connection=connection, actor=CLI
        )


def group(connection: Connection | None, name: str) -> Group:
    with transaction():
        return groups.create_group({"displayName": name}, connection=connection, actor=CLI)


def last_detail(event: Event) -> dict[str, object]:
    row = AuditEvent.select().where(AuditEvent.event == event).order_by(AuditEvent.id.desc()).get()
    return dict(json.loads(row.detail))


def test_every_profile_of_the_door_can_be_chosen() -> None:
    assert set(PROFILES) == set(connections.Profile)


def test_a_change_tells_the_log_what_was_and_what_is(entra: Connection) -> None:
    assert change(entra, scope="read", profile="strict", name="  Entra ") == [
        "name",
        "profile",
        "scope",
    ]
    assert last_detail(Event.CONNECTION_CHANGED) == {
        "connection": "Entra ID",
        "changes": {
            "name": ["Entra ID", "Entra"],
            "profile": ["tolerant", "strict"],
            "scope": ["write", "read"],
        },
    }
    assert connections.by_name("Entra").scope == "read"


def test_what_stays_the_same_leaves_no_line(entra: Connection) -> None:
    rows = audit.head().rows
    assert change(entra) == []
    assert audit.head().rows == rows


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"scope": "everything"}, "scope"),
        ({"profile": "lenient"}, "profile"),
        ({"patch_reply": "loud"}, "patch_reply"),
        ({"name": " "}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"merges_bulk": True, "profile": "strict"}, "merges_bulk"),
    ],
)
def test_a_word_that_is_none_changes_nothing(
    entra: Connection, terms: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        change(entra, **terms)
    assert refused.value.field == field
    assert connections.terms_of(connections.get(entra.id)) == connections.Terms(
        "Entra ID", "write", "tolerant", "usual", True, False
    )


def test_a_name_that_another_one_has_is_refused(entra: Connection) -> None:
    with transaction():
        tokens.create_connection("Okta", CLI)
    with pytest.raises(Taken):
        change(entra, name="Okta")


def test_group_names_may_be_let_go_and_made_unique_again(entra: Connection) -> None:
    group(entra, "Staff")
    with pytest.raises(Taken):
        group(entra, "staff")
    change(entra, unique_group_names=False)
    second = group(entra, "staff")
    group(entra, "Staff")
    with pytest.raises(WrongState, match="Staff"):
        change(entra, unique_group_names=True)
    with transaction():
        groups.delete_group(second, CLI)
        groups.delete_group(Group.get(Group.twin != "", Group.deleted_at.is_null()), CLI)
    change(entra, unique_group_names=True)
    with pytest.raises(Taken):
        group(entra, "STAFF")


def test_a_retired_directory_is_out_and_its_people_stay(entra: Connection) -> None:
    with transaction():
        _row, text = tokens.create(entra, 30, CLI)
    ada = pushed(entra, "ada")
    with transaction():
        assert connections.retire(entra, CLI) == 1
    with pytest.raises(Unauthenticated):
        tokens.verify(f"Bearer {text}")
    assert directory.get_user(ada.resource_id, entra).active
    with pytest.raises(WrongState), transaction():
        connections.retire(entra, CLI)
    with transaction():
        connections.resume(entra, CLI)
        _row, text = tokens.create(entra, 30, CLI)
    assert tokens.verify(f"Bearer {text}").connection == entra
    with pytest.raises(WrongState), transaction():
        connections.resume(entra, CLI)


def test_a_directory_is_not_deleted_while_its_departure_is_taken_back(
    services: Services, entra: Connection
) -> None:
    leavers = [pushed(entra, f"u{number}") for number in range(20)]
    for user in leavers:
        with transaction():
            directory.delete_user(user, Actor("connection", str(entra.id), entra.name))
    (held,) = guard.undecided()
    with transaction():
        connections.retire(entra, CLI)
        task = departures.take_back(held, CLI)
    with pytest.raises(WrongState, match="taken back"), transaction():
        connections.delete(entra, CLI)
    tasks.finish(task, services)
    assert User.select().where(User.deleted_at.is_null(), User.active).count() == 20
    with transaction():
        connections.delete(entra, CLI)


def test_a_deleted_directory_leaves_its_people_and_groups_to_the_panel(entra: Connection) -> None:
    ada = pushed(entra, "ada")
    key = people.active_key(ada)
    group(None, "Staff")
    staff, other = group(entra, "staff"), group(entra, "Ward 3")
    with pytest.raises(WrongState, match="Retire"), transaction():
        connections.delete(entra, CLI)
    assert connections.clashes(entra) == 1
    assert connections.holdings(entra) == connections.Holdings(1, 2, 0)
    with transaction():
        connections.retire(entra, CLI)
        connections.delete(entra, CLI)
    with pytest.raises(NotFound):
        connections.get(entra.id)
    ada = User.get_by_id(ada.id)
    assert (ada.connection, ada.active, people.again(key).state) == (None, True, "active")  # type: ignore[attr-defined]
    staff = Group.get_by_id(staff.id)
    assert staff.display_name == f"staff (Entra ID {staff.id})"
    assert json.loads(staff.document)["displayName"] == staff.display_name
    assert Group.get_by_id(other.id).display_name == "Ward 3"
    assert tally.living(User, entra.id) == 0
    assert last_detail(Event.CONNECTION_DELETED) == {
        "connection": "Entra ID",
        "users": 1,
        "groups": 2,
        "renamed": 1,
    }
    with pytest.raises(Taken):
        group(None, "STAFF")


def test_groups_that_share_a_name_are_told_apart_when_their_directory_goes(
    entra: Connection,
) -> None:
    change(entra, unique_group_names=False)
    first, second = group(entra, "Staff"), group(entra, "Staff")
    with transaction():
        connections.retire(entra, CLI)
        connections.delete(entra, CLI)
    assert Group.get_by_id(first.id).display_name == "Staff"
    assert Group.get_by_id(second.id).display_name == f"Staff (Entra ID {second.id})"


@pytest.mark.req("R17")
def test_a_held_departure_keeps_its_directory(entra: Connection) -> None:
    """Without it what is held would be let go by the way."""
    MassDeparture.create(connection=entra, started_at=1)
    with transaction():
        connections.retire(entra, CLI)
    with pytest.raises(WrongState, match="mass departure"), transaction():
        connections.delete(entra, CLI)
    assert guard.open_for(entra) is not None


def test_a_retired_directory_is_told_nothing_more(services: Services, entra: Connection) -> None:
    with transaction():
        streams.add(
            entra,
            CLI,
            vault=services.vault,
            method=Method.PUSH,
            endpoint="https://receiver.example.org/",
        )
    pushed(entra, "ada")
    with transaction():
        connections.retire(entra, CLI)
    assert streams.every(entra)[0].state == StreamState.STOPPED
    assert streams.claim(now_ms()) is None
