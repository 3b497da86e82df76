# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from provisioning import directory, groups, nesting
from provisioning.audit import CLI, Actor
from provisioning.clock import now_ms
from provisioning.errors import WrongState
from provisioning.lifecycle import KeyState, Reason
from provisioning.models import Connection, Group, MassDeparture, SecurityKey, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import guard
from tests.fakes import people
from tests.fakes.queries import counted, plans

pytestmark = pytest.mark.req("R17")

DIRECTORY = Actor("connection", "1", "Entra")


@pytest.fixture
def crowd(services: Services) -> list[User]:
    connection = Connection.create(name="Entra")
    made = []
    for number in range(30):
        with transaction():
            made.append(
                directory.create_user(
                    people.document(f"u{number}"), connection=connection, actor=DIRECTORY
                )
            )
        people.active_key(made[-1])
    return made


def leave(users: list[User], actor: Actor = DIRECTORY) -> None:
    for user in users:
        with transaction():
            directory.delete_user(user, actor)


def finish() -> int:
    with transaction():
        return directory.finish_leavers(-1)


def test_few_departures_are_everyday(crowd: list[User]) -> None:
    leave(crowd[:10])
    assert guard.undecided() == []
    assert finish() == 10
    assert SecurityKey.select().where(SecurityKey.state == KeyState.REVOKED).count() == 10


def test_too_many_are_suspended_at_once_and_nothing_is_revoked(crowd: list[User]) -> None:
    leave(crowd[:20])
    assert len(guard.undecided()) == 1
    assert finish() == 0
    states = [key.state for key in SecurityKey.select()]
    assert states.count(KeyState.SUSPENDED) == 20
    assert states.count(KeyState.REVOKED) == 0


def test_rejecting_brings_people_and_keys_back(services: Services, crowd: list[User]) -> None:
    leave(crowd[:20])
    assert people.brought_back(services, guard.undecided()[0]) == 20
    assert User.select().where(User.deleted_at.is_null(), User.active).count() == 30
    assert {key.state for key in SecurityKey.select()} == {KeyState.ACTIVE}
    assert all(directory.document_of(user)["active"] for user in User.select())
    assert finish() == 0


def test_rejecting_brings_people_back_into_the_groups_that_are_there_still(
    services: Services, crowd: list[User]
) -> None:
    with transaction():
        strict, gone, other = (
            groups.create_group({"displayName": name}, connection=connection, actor=CLI)
            for name, connection in (("Strict", Connection.get()), ("Gone", None), ("Other", None))
        )
        for group in (strict, gone):
            groups.add_members(group, [user.resource_id for user in crowd], actor=CLI)
        groups.add_members(other, [crowd[25].resource_id], actor=CLI)
    leave(crowd[:20])
    with transaction():
        groups.delete_group(gone, CLI)
    assert len(list(groups.members(strict))) == 10
    version = Group.get_by_id(strict.id).version
    people.brought_back(services, guard.undecided()[0])
    assert {ref.resource_id for ref in groups.members(strict)} == {u.resource_id for u in crowd}
    assert Group.get_by_id(strict.id).version > version
    assert list(groups.members(gone)) == []
    assert len(list(groups.members(other))) == 1
    assert [ref.display for ref in nesting.groups_of(crowd[0])] == ["Strict"]


def test_what_groups_somebody_left_is_forgotten_when_that_is_final(crowd: list[User]) -> None:
    with transaction():
        group = groups.create_group({"displayName": "All"}, connection=None, actor=CLI)
        groups.add_members(group, [user.resource_id for user in crowd], actor=CLI)
        directory.deactivate(crowd[29], Reason.LEFT, CLI)
    finish()
    leave([*crowd[:20], User.get_by_id(crowd[29].id)])
    noted = User.select().where(User.groups_left.is_null(False))
    assert noted.count() == 20, "who left long ago does not come back"
    with transaction():
        guard.approve(guard.undecided()[0], CLI)
    finish()
    assert noted.count() == 0


def test_who_leaves_within_the_hour_after_it_is_held_with_them(
    crowd: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(crowd[:20])
    held = guard.undecided()[0]
    began = held.started_at + guard.WINDOW
    for after, user, together in (
        (guard.WINDOW - 1_000, crowd[20], True),
        (guard.WINDOW + 60_000, crowd[21], False),
    ):
        monkeypatch.setattr(guard, "now_ms", lambda now=began + after: now)
        monkeypatch.setattr(directory, "now_ms", lambda now=began + after: now)
        leave([user])
        assert (User.get_by_id(user.id).departure_id == held.id) is together
    assert guard.count(held) == 21


def test_approving_lets_the_grace_time_go_on(crowd: list[User]) -> None:
    leave(crowd[:20])
    held = guard.undecided()[0]
    with transaction():
        assert guard.approve(held, CLI) == 20
    assert finish() == 20
    with pytest.raises(WrongState, match="approved already"):
        guard.get(held.id)


def test_who_was_decided_about_is_not_held_with_the_next_ones(
    services: Services, crowd: list[User]
) -> None:
    leave(crowd[:15])
    with transaction():
        assert guard.approve(guard.undecided()[0], CLI) == 15
    MassDeparture.update(decided_at=now_ms() - 2).execute()
    User.update(left_at=now_ms() - 3).where(User.left_at.is_null(False)).execute()
    leave(crowd[15:25])
    assert guard.undecided() == [], "ten leave, as on any day"
    leave(crowd[25:26])
    (held,) = guard.undecided()
    assert User.select().where(User.departure == held).count() == 11
    assert finish() == 15
    assert people.brought_back(services, held) == 11


def test_a_key_that_was_suspended_for_another_reason_stays_so(
    services: Services, crowd: list[User]
) -> None:
    from provisioning import keys

    lost = SecurityKey.get(SecurityKey.user == crowd[0])
    with transaction():
        keys.suspend(lost, Reason.LOST, CLI)
    leave(crowd[:20])
    people.brought_back(services, guard.undecided()[0])
    assert people.again(lost).state == KeyState.SUSPENDED


def test_a_name_that_somebody_else_has_by_now_stays_with_them(
    services: Services, crowd: list[User]
) -> None:
    leave(crowd[:20])
    people.person("u0")
    assert people.brought_back(services, guard.undecided()[0]) == 19
    assert people.again(crowd[0]).deleted_at is not None
    assert guard.undecided() == [], "nobody has to decide about them once more"


def test_what_people_do_in_the_panel_is_not_held(crowd: list[User]) -> None:
    leave(crowd[:20], actor=Actor("account", "1", "Grace"))
    assert MassDeparture.select().count() == 0


@pytest.mark.parametrize("living", [0, 1, 10, 189, 190, 191, 200, 1_000, 100_000])
def test_counting_no_further_than_it_matters_holds_the_same(living: int) -> None:
    enough = guard._enough(living)
    for deleted in (0, enough // 2, enough):
        assert guard.would_hold(enough, living + deleted)
        assert guard.would_hold(enough + 1_000, living + deleted + 1_000)


def test_people_who_came_inactive_have_not_left_and_do_not_come_back(
    services: Services, crowd: list[User]
) -> None:
    connection = Connection.get()
    for number in range(20):
        with transaction():
            away = people.document(f"away{number}", active=False)
            directory.create_user(away, connection=connection, actor=DIRECTORY)
    leave(crowd[:1])
    assert guard.undecided() == []
    leave(crowd[1:20])
    assert people.brought_back(services, guard.undecided()[0]) == 20
    away_still = User.select().where(User.user_name.startswith("away"))
    assert not any(user.active for user in away_still)


def test_deleting_people_who_left_long_ago_is_no_departure(crowd: list[User]) -> None:
    for user in crowd:
        with transaction():
            directory.deactivate(user, Reason.LEFT, CLI)
    finish()
    leave([people.again(user) for user in crowd])  # type: ignore[misc]
    assert guard.undecided() == []
    assert finish() == 0


def test_an_external_id_that_somebody_else_has_by_now_stays_with_them(
    services: Services, crowd: list[User]
) -> None:
    connection = Connection.get()
    with transaction():
        first = directory.document_of(crowd[0])
        directory.replace_user(crowd[0], {**first, "externalId": "e-1"}, actor=DIRECTORY)
    leave(crowd[:20])
    with transaction():
        anew = people.document("renamed", externalId="e-1")
        directory.create_user(anew, connection=connection, actor=DIRECTORY)
    assert people.brought_back(services, guard.undecided()[0]) == 19
    assert people.again(crowd[0]).deleted_at is not None  # type: ignore[attr-defined]


@pytest.mark.sqlite
def test_whether_a_place_is_taken_is_read_from_indexes(services: Services) -> None:
    """For each of a mass departure's thousands, so not by reading everybody."""
    with transaction():
        entra = Connection.create(name="Entra")
        given = people.document(externalId="e-1")
        gone = directory.create_user(given, connection=entra, actor=DIRECTORY)
        directory.delete_user(gone, DIRECTORY)
    with counted() as statements:
        assert not guard._is_taken(gone)
    by_name, by_external_id = plans(statements)
    assert "SEARCH t1 USING INDEX user_living_user_name_key (user_name_key=?)" in by_name
    assert "user_living_external_id (connection_id=? AND external_id=?)" in by_external_id


def test_who_came_back_and_left_by_themselves_is_not_brought_back_with_the_others(
    services: Services, crowd: list[User]
) -> None:
    for user in crowd[:20]:
        with transaction():
            directory.deactivate(user, Reason.LEFT, DIRECTORY)
    held = guard.undecided()[0]
    one = User.get_by_id(crowd[0].id)
    with transaction():
        directory.reactivate(one, DIRECTORY)
    with transaction():
        directory.deactivate(one, Reason.LEFT, CLI)
    assert people.brought_back(services, held) == 19
    assert not people.again(one).active  # type: ignore[attr-defined]
