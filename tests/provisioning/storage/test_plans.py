# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How SQLite answers where its first guess was wrong. Nobody runs ANALYZE, so it guesses."""

from __future__ import annotations

import pytest

from provisioning import directory, groups
from provisioning.audit import CLI
from provisioning.pages import group_list, people
from provisioning.pages.people import Sort, Wanted
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import tokens
from tests.fakes.people import document, person
from tests.fakes.queries import counted, plans

pytestmark = pytest.mark.sqlite

MANY = 100


def test_many_members_are_looked_up_by_their_ids(services: Services) -> None:
    """And not among all that the connection has."""
    with transaction():
        contoso = tokens.create_connection("Contoso", CLI)
        members = [
            directory.create_user(document(f"p{n}"), connection=contoso, actor=CLI).resource_id
            for n in range(MANY)
        ]
        group = groups.create_group({"displayName": "Ward 3"}, connection=contoso, actor=CLI)
        with counted() as statements:
            groups.add_members(group, members, actor=CLI)
    (plan,) = plans([each for each in statements if '"user" AS' in each])
    assert "INDEX user_resource_id (resource_id=?)" in plan


def test_the_keys_of_a_page_of_people_are_found_by_the_people(services: Services) -> None:
    for n in range(MANY):
        person(f"p{n}")
    with counted() as statements:
        assert len(people.page(Wanted()).lines) == people.PAGE
    (plan,) = plans([each for each in statements if '"security_key"' in each])
    assert "security_key_user_id" in plan


def test_people_are_counted_by_an_index_alone(services: Services) -> None:
    with counted() as statements:
        people.counts()
    assert "COVERING INDEX user_name_id" in plans(statements)[0]


def test_a_word_of_a_name_is_looked_for_in_an_index_alone(services: Services) -> None:
    with counted() as statements:
        assert group_list.members(_ward(), search="lovelace") == ([], 0)
    (plan,) = plans([each for each in statements if "LIKE" in each])
    assert "COVERING INDEX user_name_id" in plan
    assert "SCAN t3 USING INDEX" not in plan


@pytest.mark.parametrize("sort", [Sort.EMAIL, Sort.ACTIVITY])
def test_a_search_in_another_order_walks_that_order(services: Services, sort: Sort) -> None:
    """And reads nobody's row who is not found, nor sorts all who are."""
    for name in ("ada", "adam", "bob"):
        person(name, displayName=f"{name.title()} Lovelace")
    by_name = people.page(Wanted(search="ad")).lines
    with counted() as statements:
        found = people.page(Wanted(search="ad", sort=sort)).lines
    assert {line.user_name for line in found} == {line.user_name for line in by_name}
    assert {line.user_name for line in found} == {"ada", "adam"}
    plan = plans(statements)[0]
    assert "SCAN t1 USING INDEX user_" in plan
    assert "COVERING INDEX user_name_id" in plan
    assert "FOR ORDER BY" not in plan


def test_who_is_in_a_group_is_asked_for_those_alone_who_are_shown(services: Services) -> None:
    person("ada")
    with counted() as statements:
        assert len(group_list.candidates(_ward(), "ada")) == 1
    (plan,) = plans([each for each in statements if '."user_id" IN' in each and "member" in each])
    assert "member_group_id_user_id (group_id=? AND user_id=?)" in plan


def _ward() -> groups.Group:
    with transaction():
        return groups.create_group({"displayName": "Ward 3"}, connection=None, actor=CLI)
