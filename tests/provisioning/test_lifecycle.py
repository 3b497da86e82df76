# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import lifecycle
from provisioning.errors import WrongState
from provisioning.lifecycle import JOB, KEY, LINK, STEPS, JobStep, KeyState, UserStatus


@pytest.mark.parametrize("table", [KEY, LINK, JOB])
def test_every_state_has_its_row(table: dict[object, frozenset[object]]) -> None:
    states = set(type(next(iter(table))))  # type: ignore[call-overload]
    assert set(table) == states
    assert all(followers <= states for followers in table.values())


@given(path=st.lists(st.sampled_from(list(KeyState)), max_size=12))
def test_a_revoked_key_never_comes_back_and_only_a_registered_path_is_active(
    path: list[KeyState],
) -> None:
    state, revoked = KeyState.DRAFT, False
    for to in path:
        try:
            state = lifecycle.advance(KEY, state, to, "key")
        except WrongState:
            continue
        assert not revoked
        revoked = state is KeyState.REVOKED


def test_a_key_that_needs_a_reset_cannot_become_active_directly() -> None:
    with pytest.raises(WrongState, match="needs reset: it cannot become active"):
        lifecycle.advance(KEY, KeyState.NEEDS_RESET, KeyState.ACTIVE, "key")


def test_steps_are_in_the_order_of_the_job() -> None:
    assert STEPS[0] is JobStep.PREPARED
    assert STEPS[-1] is JobStep.DONE
    assert lifecycle.reached(JobStep.REGISTERED, JobStep.PIN_SET)
    assert not lifecycle.reached(JobStep.PIN_SET, JobStep.REGISTERED)


@given(active=st.booleans(), states=st.frozensets(st.sampled_from(list(KeyState))))
def test_the_shown_status_is_suspended_then_active_then_pending_then_new(
    active: bool, states: frozenset[KeyState]
) -> None:
    status = lifecycle.user_status(active=active, key_states=states)
    if not active:
        assert status is UserStatus.SUSPENDED
    elif KeyState.ACTIVE in states:
        assert status is UserStatus.ACTIVE
    elif states & {KeyState.PENDING, KeyState.NEEDS_RESET}:
        assert status is UserStatus.PENDING
    elif states <= {KeyState.DRAFT, KeyState.REVOKED}:
        assert status is UserStatus.NEW
