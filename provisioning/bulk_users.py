# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The same for many people at once, as long work: a key by link, suspended, links sent anew.

Each row is one person and asks whatever one person's own page would ask: policy, state, address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peewee import ModelSelect, fn

from . import directory, keys, tasks
from .errors import Taken, WrongState
from .issuing import activations, approvals, assignment, group_policies
from .issuing.approvals import ApprovalState
from .lifecycle import KeyKind, KeyState
from .models import SecurityKey, User
from .panel import access
from .panel.access import Role
from .tasks import Kind, Skip, Turn

_TRIES = 20  # names for a key of somebody who has keys of that name already


@dataclass(frozen=True)
class Reach:
    """Whom a choice reaches: people, those who are active, and what they have."""

    people: int
    active: int
    without_address: int
    with_key: int
    working: int
    waiting: int


def reach(chosen: ModelSelect[User]) -> Reach:
    """Return in numbers whom a query of users reaches."""
    ids = chosen.select(User.id)
    active = User.select(fn.COUNT(User.id)).where(User.id.in_(ids), User.active)
    with_key = SecurityKey.select(fn.COUNT(SecurityKey.user.distinct())).where(
        SecurityKey.user.in_(ids), SecurityKey.state.in_(keys.LIVING)
    )

    def in_state(state: KeyState) -> int:
        found = SecurityKey.select().where(SecurityKey.user.in_(ids), SecurityKey.state == state)
        return int(found.count())

    return Reach(
        people=int(chosen.count()),
        active=int(active.scalar()),
        without_address=int(active.where(User.email.is_null()).scalar()),
        with_key=int(with_key.scalar()),
        working=in_state(KeyState.ACTIVE),
        waiting=in_state(KeyState.PENDING),
    )


def _assign(turn: Turn) -> str:
    user = directory.get_user(turn.subject)
    if not user.active:
        raise WrongState("This person is suspended: reactivate first.")
    there = [key for key in keys.of_user(user) if key.state in keys.LIVING]
    if there and not turn.options.get("again"):
        raise Skip("Has a key already.")
    kind = KeyKind(turn.options["kind"])
    key = keys.draft(kind, _name(turn.options, user), "user", user=user, actor=turn.actor)
    sent = assignment.confirm_by_user(key, user, turn.services, turn.actor)
    return f"Link to {sent[0].address}." if sent is not None else "Waits for another officer."


def _suspend(turn: Turn) -> str:
    user = directory.get_user(turn.subject)
    if not user.active:
        raise Skip("Suspended already.")
    account = access.account_of(turn.actor)
    if account is not None:
        access.check_not_above(account, user)
    directory.suspend(user, turn.actor)
    return ""


def _resend(turn: Turn) -> str:
    user = directory.get_user(turn.subject)
    policy = group_policies.of_user(user, turn.services.settings).policy
    sent, waits = 0, 0
    for key in keys.of_user(user):
        if key.state != KeyState.PENDING or key.method != "user":
            continue
        word = approvals.of_key(key)
        if policy.second_approver and word is not None and word.state == ApprovalState.WAITING:
            waits += 1
            continue
        activations.issue(key, turn.services, turn.actor)
        sent += 1
    if sent:
        return f"{sent} to {user.email}."
    raise Skip("Waits for another officer." if waits else "Waits for no activation.")


def _name(options: Mapping[str, Any], user: User) -> str:
    """Return a name that this person has no living key of; raises Taken after many tries."""
    name = str(options["name"]).replace("{name}", user.display_name)[: keys.MAX_NAME - 3]
    for number in range(1, _TRIES + 1):
        tried = name if number == 1 else f"{name} {number}"
        try:
            return keys.check_name(tried, user)
        except Taken:
            continue
    raise Taken(f"This person has too many keys named {name}.", "key_name")


ASSIGN = tasks.register(Kind("assign_keys", Role.OPERATOR, _assign))
SUSPEND = tasks.register(Kind("suspend_users", Role.OPERATOR, _suspend))
RESEND = tasks.register(Kind("resend_links", Role.OPERATOR, _resend))
