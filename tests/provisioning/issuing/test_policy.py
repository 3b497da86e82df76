# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Policies as values: how several become one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from provisioning.issuing.policy import ANY, DELIVERIES, Method, Policy, strictest
from provisioning.lifecycle import KeyKind
from provisioning.panel.access import Role

ROLES = (Role.OPERATOR, Role.OFFICER, Role.OWNER)
policies = st.builds(
    Policy,
    kinds=st.frozensets(st.sampled_from(list(KeyKind))),
    methods=st.frozensets(st.sampled_from(list(Method))),
    pin_length=st.integers(0, 16),
    pin_delivery=st.sampled_from(DELIVERIES),
    force_pin_change=st.booleans(),
    role=st.sampled_from(ROLES),
    second_approver=st.booleans(),
)


@given(policies, policies)
def test_the_order_of_two_groups_does_not_matter(one: Policy, other: Policy) -> None:
    assert strictest([one, other]) == strictest([other, one])


@given(policies, policies, policies)
def test_how_groups_are_nested_does_not_matter(a: Policy, b: Policy, c: Policy) -> None:
    assert strictest([strictest([a, b]), c]) == strictest([a, strictest([b, c])])


@given(policies)
def test_being_in_a_group_twice_changes_nothing(one: Policy) -> None:
    assert strictest([one, one]) == one
    assert strictest([one]) == one


@given(st.lists(policies, max_size=6))
def test_the_result_is_never_looser_than_any_part(parts: list[Policy]) -> None:
    result = strictest(parts)
    assert all(strictest([result, part]) == result for part in parts)
    for part in parts:
        for kind in KeyKind:
            for method in Method:
                assert part.allows(kind, method) or not result.allows(kind, method)
        assert result.pin_length >= part.pin_length
        assert DELIVERIES.index(result.pin_delivery) >= DELIVERIES.index(part.pin_delivery)
        assert ROLES.index(result.role) >= ROLES.index(part.role)
        assert result.force_pin_change or not part.force_pin_change
        assert result.second_approver or not part.second_approver


@given(st.lists(policies, min_size=1, max_size=4))
def test_the_result_is_no_stricter_than_it_must_be(parts: list[Policy]) -> None:
    result = strictest(parts)
    # Every part of it is asked for by somebody: nothing is made up.
    assert result.pin_length == max(p.pin_length for p in parts)
    assert result.pin_delivery in {p.pin_delivery for p in parts}
    assert result.role in {p.role for p in parts}
    assert all(kind in result.kinds for kind in KeyKind if all(kind in p.kinds for p in parts))
    assert result.second_approver == any(p.second_approver for p in parts)


@given(policies)
def test_without_a_rule_everything_is_allowed(one: Policy) -> None:
    assert strictest([]) == ANY
    assert strictest([ANY, one]) == one
    assert strictest([one, ANY]) == one


def test_groups_that_contradict_each_other_leave_nothing() -> None:
    by_admin = Policy(methods=frozenset({Method.ADMIN}))
    by_user = Policy(methods=frozenset({Method.USER}))
    assert by_admin.is_possible
    assert by_user.is_possible
    assert not strictest([by_admin, by_user]).is_possible
