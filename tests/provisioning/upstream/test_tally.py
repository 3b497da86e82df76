# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The tally is what counting would find, whatever happened before."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning import directory, groups
from provisioning.audit import CLI, Actor
from provisioning.errors import Taken
from provisioning.models import Connection, Group, Tally, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import guard, tally
from tests.fakes import people

STEPS = ["user", "group", "leave", "delete user", "delete group", "undone", "taken", "by hand"]


def counted(connection: Connection) -> tuple[int, int]:
    found = [
        table.select().where(table.connection == connection, table.deleted_at.is_null()).count()
        for table in (User, Group)
    ]
    return found[0], found[1]


def told(connection: Connection) -> tuple[int, int]:
    return tally.living(User, connection.id), tally.living(Group, connection.id)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=12))
def test_who_comes_and_goes_is_counted(services: Services, steps: list[str]) -> None:
    number = Connection.select().count() * 100
    mine, other = (Connection.create(name=f"{number} {name}") for name in ("mine", "other"))
    actor = Actor("connection", str(mine.id), mine.name)
    users: list[User] = []
    made: list[Group] = []
    for step in [*steps, "user"]:
        number += 1
        with transaction():
            if step == "user":
                document = people.document(f"u{number}")
                users.append(directory.create_user(document, connection=mine, actor=actor))
            elif step == "group":
                name = {"displayName": f"g{number}"}
                made.append(groups.create_group(name, connection=mine, actor=actor))
            elif step == "leave" and users:
                directory.replace_user(
                    users[-1], {**directory.document_of(users[-1]), "active": False}, actor=actor
                )
            elif step == "delete user" and users:
                directory.delete_user(users.pop(), actor)
            elif step == "delete group" and made:
                groups.delete_group(made.pop(), actor)
            elif step == "by hand":
                directory.create_user(people.document(f"u{number}"), connection=None, actor=CLI)
        if step == "undone":
            with pytest.raises(ZeroDivisionError), transaction():
                raise ZeroDivisionError(
                    directory.create_user(people.document("x"), connection=mine, actor=actor)
                )
        if step == "taken" and users:
            twin = people.document(users[0].user_name)
            with pytest.raises(Taken), transaction():
                directory.create_user(twin, connection=other, actor=actor)
        assert told(mine) == counted(mine)
    assert told(other) == (0, 0)


def test_those_whom_a_person_brings_back_count_again(services: Services) -> None:
    connection = Connection.create(name="Entra")
    actor = Actor("connection", str(connection.id), "Entra")
    for number in range(30):
        with transaction():
            directory.create_user(people.document(f"u{number}"), connection=connection, actor=actor)
    for user in list(User.select().limit(20)):
        with transaction():
            directory.delete_user(user, actor)
    assert told(connection) == counted(connection) == (10, 0)
    people.brought_back(services, guard.undecided()[0])
    assert told(connection) == counted(connection) == (30, 0)
    assert Tally.select().count() == 1
