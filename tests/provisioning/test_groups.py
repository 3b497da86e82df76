# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning import groups, nesting
from provisioning.audit import CLI
from provisioning.errors import InvalidValue, NotFound, Taken
from provisioning.models import Connection, Group, Member
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import people
from tests.fakes.queries import counted


def make(name: str, connection: Connection | None = None) -> Group:
    with transaction():
        return groups.create_group({"displayName": name}, connection=connection, actor=CLI)


def ids(group: Group) -> list[str]:
    return [member.resource_id for member in groups.members(group)]


def test_members_are_added_once_and_in_order(services: Services) -> None:
    nurses, ada, bob = make("Nurses"), people.person("ada"), people.person("bob")
    with transaction():
        assert groups.add_members(nurses, [ada.resource_id, bob.resource_id], actor=CLI) == 2
        version = nurses.version
        assert groups.add_members(nurses, [ada.resource_id], actor=CLI) == 0
    assert ids(nurses) == [ada.resource_id, bob.resource_id]
    assert people.again(nurses).version == version


def test_removing_a_stranger_is_no_error_and_no_change(services: Services) -> None:
    nurses, ada = make("Nurses"), people.person()
    with transaction():
        assert groups.remove_members(nurses, [ada.resource_id, "nobody"], actor=CLI) == 0
    assert people.again(nurses).version == 1


def test_an_unknown_member_is_named_and_nothing_is_added(services: Services) -> None:
    nurses, ada = make("Nurses"), people.person()
    with pytest.raises(InvalidValue, match="no user or group ghost"), transaction():
        groups.add_members(nurses, [ada.resource_id, "ghost"], actor=CLI)
    assert ids(nurses) == []


@pytest.mark.req("R6")
def test_a_group_can_not_contain_itself_however_far_down(services: Services) -> None:
    chain = [make(f"G{n}") for n in range(4)]
    with transaction():
        for outer, inner in pairwise(chain):
            groups.add_members(outer, [inner.resource_id], actor=CLI)
    for inner in (chain[0], chain[1]):
        with pytest.raises(InvalidValue, match="member of itself"), transaction():
            groups.add_members(chain[-1], [inner.resource_id], actor=CLI)


@pytest.mark.req("R6")
def test_groups_nest_eight_deep_and_no_deeper(services: Services) -> None:
    chain = [make(f"G{n}") for n in range(9)]
    with transaction():
        for outer, inner in pairwise(chain[:8]):
            groups.add_members(outer, [inner.resource_id], actor=CLI)
    with pytest.raises(InvalidValue, match="at most 8"), transaction():
        groups.add_members(chain[7], [chain[8].resource_id], actor=CLI)


@pytest.mark.req("R6")
def test_a_short_cut_does_not_hide_how_deep_groups_lie(services: Services) -> None:
    chain = [make(f"G{n}") for n in range(9)]
    with transaction():
        for outer, inner in pairwise(chain[:8]):
            groups.add_members(outer, [inner.resource_id], actor=CLI)
        groups.add_members(chain[0], [chain[7].resource_id], actor=CLI)
    for outer, inner in ((chain[7], chain[8]), (chain[8], chain[0])):
        with pytest.raises(InvalidValue, match="at most 8"), transaction():
            groups.add_members(outer, [inner.resource_id], actor=CLI)


@pytest.mark.req("R6")
def test_the_depth_of_groups_that_lie_in_each_other_in_every_way_is_soon_known(
    services: Services,
) -> None:
    chain = [make(f"G{n}") for n in range(8)]
    with transaction():
        for place, outer in enumerate(chain):
            inner = [group.resource_id for group in chain[place + 1 :]]
            groups.add_members(outer, inner, actor=CLI)
    top = make("Top")
    with counted() as asked, pytest.raises(InvalidValue, match="at most 8"), transaction():
        groups.add_members(top, [group.resource_id for group in chain], actor=CLI)
    assert len(asked) < 2 * nesting.MAX_NESTING


@pytest.mark.req("R6")
def test_groups_that_lie_deeper_than_they_may_are_read_to_the_end(services: Services) -> None:
    chain, ada = [make(f"G{n}") for n in range(12)], people.person()
    for outer, inner in pairwise(chain):
        Member.create(group=outer, subgroup=inner)
    with transaction():
        groups.add_members(chain[-1], [ada.resource_id], actor=CLI)
    every = {group.id for group in chain}
    assert len(nesting.groups_of(ada)) == len(chain)
    assert nesting.above({chain[-1].id}) == nesting.below({chain[0].id}) == every


@pytest.mark.req("S15")
def test_a_user_sees_direct_and_indirect_groups(services: Services) -> None:
    ward, hospital, ada = make("Ward 3"), make("Hospital"), people.person()
    with transaction():
        groups.add_members(ward, [ada.resource_id], actor=CLI)
        groups.add_members(hospital, [ward.resource_id], actor=CLI)
    assert [(g.display, g.type) for g in nesting.groups_of(ada)] == [
        ("Ward 3", "direct"),
        ("Hospital", "indirect"),
    ]


def test_a_page_of_users_asks_for_groups_in_a_bounded_number_of_queries(
    services: Services,
) -> None:
    crowd = [people.person(f"u{n}") for n in range(12)]
    nurses = make("Nurses")
    with transaction():
        groups.add_members(nurses, [user.resource_id for user in crowd], actor=CLI)
    with counted() as asked:
        found = nesting.groups_of_many(crowd)
    assert all(len(found[user.id]) == 1 for user in crowd)
    assert len(asked) <= 3


def test_a_group_name_is_unique_within_its_connection(services: Services) -> None:
    entra = Connection.create(name="Entra")
    make("Nurses", entra)
    make("Nurses")
    for connection in (entra, None):
        with pytest.raises(Taken):
            make("NURSES", connection)


def test_a_deleted_group_is_gone_with_its_memberships(services: Services) -> None:
    nurses, ada = make("Nurses"), people.person()
    with transaction():
        groups.add_members(nurses, [ada.resource_id], actor=CLI)
        groups.delete_group(nurses, CLI)
    assert nesting.groups_of(ada) == []
    assert Member.select().count() == 0
    with pytest.raises(NotFound):
        groups.get_group(nurses.resource_id)
    make("Nurses")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "remove", "replace"]), st.lists(st.integers(0, 4), max_size=5)
        ),
        max_size=8,
    )
)
def test_member_operations_agree_with_a_set(
    services: Services, steps: list[tuple[str, list[int]]]
) -> None:
    known = [user.resource_id for user in _crowd()]
    group = make(f"Group {Group.select().count()}")
    model: set[str] = set()
    for verb, picks in steps:
        chosen = [known[pick] for pick in picks]
        with transaction():
            if verb == "add":
                assert groups.add_members(group, chosen, actor=CLI) == len(set(chosen) - model)
                model |= set(chosen)
            elif verb == "remove":
                assert groups.remove_members(group, chosen, actor=CLI) == len(set(chosen) & model)
                model -= set(chosen)
            else:
                assert groups.replace_members(group, chosen, actor=CLI) == len(set(chosen) ^ model)
                model = set(chosen)
        assert set(ids(group)) == model


def _crowd() -> list[object]:
    from provisioning.models import User

    return list(User.select().order_by(User.id)) or [people.person(f"u{n}") for n in range(5)]
