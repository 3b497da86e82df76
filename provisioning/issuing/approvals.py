# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A second person's word: keys that do not work before another officer agrees (R25).

Where a person's policy asks for it, an assigned key waits: a tapped card keeps its PIN sealed, a
link is not sent. Whoever asked never decides, nor does the person whose key it is. What follows
from the word is in `assignment`. Functions never commit.
"""

from __future__ import annotations

import uuid
from enum import StrEnum, unique

from .. import audit
from ..audit import Actor, Event
from ..clock import now_ms
from ..errors import Forbidden, NotFound, PolicyForbids, WrongState
from ..lifecycle import KeyState
from ..models import Approval, PanelAccount, SecurityKey, User
from ..panel import access
from ..panel.access import Role
from .policy import Policy


@unique
class ApprovalState(StrEnum):
    """What became of a request."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"


def ask(key: SecurityKey, user: User, actor: Actor) -> Approval:
    """Have a key wait for a second person; one that waits already goes on waiting."""
    open_one = of_key(key)
    if open_one is not None and open_one.state != ApprovalState.DECLINED:
        return open_one
    account = int(actor.id) if actor.kind == "account" and actor.id else None
    made: Approval = Approval.create(
        resource_id=str(uuid.uuid4()),
        key=key,
        user=user,
        requested_by=account,
        requester=actor.name,
    )
    _record_asked(made, actor)
    return made


def ask_again(user: User, actor: Actor) -> None:
    """Have keys that wait for their activation wait for a second person's word once more.

    For whose mail address has changed: the link would go to another place than the one that the
    word was given for (T12).
    """
    given = (
        Approval.select(Approval, SecurityKey)
        .join(SecurityKey)
        .where(
            Approval.user == user,
            Approval.state == ApprovalState.APPROVED,
            SecurityKey.state == KeyState.PENDING,
        )
    )
    for approval in list(given):
        approval.state, approval.decider = ApprovalState.WAITING, ""
        approval.decided_by = approval.decided_at = None
        approval.save()
        _record_asked(approval, actor)


def decide(approval: Approval, account: PanelAccount, *, approved: bool) -> None:
    """Give the word. Raises Forbidden for who asked, whose key it is, or whose role is too low.

    Raises WrongState when somebody else was faster, or nothing is left to decide.
    """
    if not access.has_role(account, Role.OFFICER):
        raise Forbidden("Only an officer or an owner can decide this.")
    if approval.requested_by_id == account.id:
        raise Forbidden("Nobody approves their own request: ask another officer.")
    access.check_may_activate(account, approval.user)
    state = ApprovalState.APPROVED if approved else ApprovalState.DECLINED
    taken = (
        Approval.update(state=state, decided_by=account, decider=account.name, decided_at=now_ms())
        .where(Approval.id == approval.id, Approval.state == ApprovalState.WAITING)
        .execute()
    )
    if not taken:
        raise WrongState("This was decided already.")
    approval.state = state
    audit.record(
        Actor("account", str(account.id), account.name),
        Event.APPROVAL_GIVEN if approved else Event.APPROVAL_DECLINED,
        user=approval.user,
        key=approval.key,
        name=approval.key.name,
        requester=approval.requester,
        approval=approval.resource_id,
    )


def require(policy: Policy, key: SecurityKey) -> None:
    """Raise PolicyForbids while a key that needs a second person's word does not have it."""
    if policy.second_approver and not is_approved(key):
        raise PolicyForbids("This key waits for a second person's approval.", "method")


def is_approved(key: SecurityKey) -> bool:
    """Say whether a second person agreed to this key."""
    given = of_key(key)
    return given is not None and given.state == ApprovalState.APPROVED


def of_key(key: SecurityKey) -> Approval | None:
    """Return a key's newest request, or None."""
    found: Approval | None = (
        Approval.select().where(Approval.key == key).order_by(Approval.id.desc()).first()
    )
    return found


def get(resource_id: str) -> Approval:
    """Return a request by its public id; raises NotFound."""
    found: Approval | None = Approval.get_or_none(Approval.resource_id == resource_id)
    if found is None:
        raise NotFound("There is no such request.")
    return found


def waiting(size: int = 50, after: int = 0) -> tuple[list[Approval], bool]:
    """Return a page of what waits, the oldest first, and whether more follows.

    A key that was stopped or whose person left waits for nothing any more.
    """
    rows = list(
        Approval.select(Approval, SecurityKey, User)
        .join(SecurityKey)
        .switch(Approval)
        .join(User)
        .where(
            Approval.state == ApprovalState.WAITING,
            Approval.id > after,
            SecurityKey.state == KeyState.PENDING,
            User.active,
        )
        .order_by(Approval.id)
        .limit(size + 1)
    )
    return rows[:size], len(rows) > size


def how_many_wait_for(account: PanelAccount) -> int:
    """Return how many requests this account may decide: see `decide`."""
    if not access.has_role(account, Role.OFFICER):
        return 0
    others = Approval.requested_by.is_null() | (Approval.requested_by != account)
    if account.user_id is not None:
        others &= Approval.user != account.user_id
    return int(
        Approval.select()
        .join(SecurityKey)
        .where(
            Approval.state == ApprovalState.WAITING,
            SecurityKey.state == KeyState.PENDING,
            others,
        )
        .count()
    )


def _record_asked(approval: Approval, actor: Actor) -> None:
    audit.record(
        actor,
        Event.APPROVAL_ASKED,
        user=approval.user,
        key=approval.key,
        name=approval.key.name,
        approval=approval.resource_id,
    )
