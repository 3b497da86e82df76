# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Rows written and read by kept statements are those that models would write and read."""

from __future__ import annotations

from typing import Any

import pytest
from peewee import IntegrityError

from provisioning.models import SecurityKey, Token, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.storage.statements import Statements, insert, model, new, parameter, update
from tests.fakes.people import active_key, again, person

BY_ID = Statements(lambda table: table.select().where(table.id == parameter(0)))


def columns(row: Any) -> dict[str, object]:
    return {name: row.__data__.get(name) for name in row._meta.sorted_field_names}


def test_a_row_is_read_as_its_model_reads_it(services: Services) -> None:
    for row in (active_key(person()), person("grace", active=False)):
        table = type(row)
        (found,) = BY_ID.rows((table,), (row.id,))
        assert columns(model(table, found)) == columns(table.get_by_id(row.id))


def test_a_row_is_written_as_its_model_writes_it(services: Services) -> None:
    user = person()
    user.resource_id, user.user_name_key, user.external_id = "another", "another", None
    user.active, user.id = False, None
    with transaction():
        insert(user)
    assert user.id != User.get(User.user_name_key == "ada").id
    assert columns(User.get_by_id(user.id)) == columns(user)


def test_only_the_columns_named_are_written(services: Services) -> None:
    user = person()
    user.display_name, user.active = "Somebody else", False
    with transaction():
        update(user, "active")
    found = User.get_by_id(user.id)
    assert (found.display_name, found.active) == ("Ada Lovelace", False)
    with transaction():
        update(user)
    assert columns(User.get_by_id(user.id)) == columns(user)


def test_a_foreign_row_and_bytes_go_in_and_out(services: Services) -> None:
    key = active_key(person())
    (found,) = BY_ID.rows((SecurityKey,), (key.id,))
    read = model(SecurityKey, found)
    assert read.user == key.user
    assert bytes(read.user_handle) == bytes(key.user_handle)
    read.state = key.state = "revoked"
    with transaction():
        update(read, "state")
    assert columns(again(key)) == columns(key)


def test_what_the_database_refuses_is_heard(services: Services) -> None:
    user = person()
    user.id, user.resource_id = None, "another"
    with pytest.raises(IntegrityError), transaction():
        insert(user)


def test_a_column_that_is_not_there_is_no_column(services: Services) -> None:
    with pytest.raises(ValueError, match="nonsense"), transaction():
        update(Token(id=1), "nonsense")


def test_a_new_row_begins_as_its_model_begins() -> None:
    for table in (User, SecurityKey, Token):
        times = {"created_at", "updated_at"}
        quick, usual = columns(new(table)), columns(table())
        assert {n: v for n, v in quick.items() if n not in times} == {
            n: v for n, v in usual.items() if n not in times
        }
        assert all(isinstance(quick[n], int) for n in times & {*quick} if usual[n] is not None)
    assert new(User, user_name="Ada").user_name == "Ada"


def test_what_is_asked_ahead_is_as_things_are_in_the_transaction(services: Services) -> None:
    user = person()
    outside = BY_ID.ahead((User,), (user.id,))
    with transaction():
        first = BY_ID.ahead((User,), (user.id,))
        user.display_name = "Somebody else"
        update(user, "display_name")
        then = BY_ID.ahead((User,), (user.id,))
        (was,), (now,) = first(), then()
        assert model(User, was).display_name == "Ada Lovelace"
        assert model(User, now).display_name == "Somebody else"
    assert outside() == [was]
    with transaction():
        alone = BY_ID.ahead((User,), (user.id,))
        assert alone() == [now]
        alone = BY_ID.ahead((User,), (user.id,))  # and nobody wants to know

    def fail() -> None:
        with transaction():
            BY_ID.ahead((User,), (user.id,))
            insert(again(user))

    with pytest.raises(IntegrityError):
        fail()
    with transaction():
        assert BY_ID.ahead((User,), (0,))() == []
