# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Statements are written once and answer like queries that are written anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning import audit, directory
from provisioning.models import Connection, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from scim.statements import MAX_KEPT, ListStatements, Statements, parameter


@pytest.fixture
def people(services: Services) -> list[int]:
    with transaction():
        connection = Connection.create(name="mine")
        return [
            directory.create_user(
                {"userName": f"u{place}", "active": True}, connection=connection, actor=audit.CLI
            ).id
            for place in range(20)
        ]


def by_name(operator: str) -> Any:
    column, wanted = User.user_name_key, parameter(0)
    return User.select(User.id).where(column == wanted if operator == "is" else column != wanted)


def test_a_statement_is_built_once_for_each_shape(people: list[int]) -> None:
    built: list[str] = []

    def build(operator: str) -> Any:
        built.append(operator)
        return by_name(operator)

    statements = Statements(build)
    for place in range(5):
        assert statements.rows(("is",), [f"u{place}"]) == [(people[place],)]
        assert len(statements.rows(("not",), [f"u{place}"])) == 19
    assert built == ["is", "not"]


def test_a_value_is_never_part_of_the_text(people: list[int]) -> None:
    statements = Statements(by_name)
    for hostile in ("' OR 1=1 --", '"; DROP TABLE user', "?", "%s", "\\"):
        assert statements.rows(("is",), [hostile]) == []


def test_shapes_beyond_the_cap_start_again(people: list[int]) -> None:
    statements = Statements(lambda number: User.select(User.id).where(User.id == number))
    for number in range(MAX_KEPT + 5):
        statements.rows((number,), [])
    assert len(statements._kept) == 5


def test_a_list_of_any_length_is_answered_by_few_statements(people: list[int]) -> None:
    sizes: list[int] = []

    def build(ids: list[Any], scope: Any) -> Any:
        sizes.append(len(ids))
        return User.select(User.id).where(User.id.in_(ids), User.connection == scope)

    statements = ListStatements(build)
    statements.LONGEST = 8

    @settings(max_examples=40)
    @given(wanted=st.lists(st.sampled_from([*people, 10**6]), max_size=20, unique=True))
    def check(wanted: list[int]) -> None:
        found = sorted(pk for (pk,) in statements.rows(wanted, scope=1))
        assert found == sorted(set(wanted) & set(people))
        assert list(statements.rows(wanted, scope=2)) == []

    check()
    assert sorted(sizes) == sorted(set(sizes))
    assert set(sizes) <= {1, 2, 4, 8}
