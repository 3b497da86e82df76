# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The state tables, pure: who may follow whom. Nothing else decides a transition."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import TypeVar

from .errors import WrongState


@unique
class KeyKind(StrEnum):
    """What an admin may assign."""

    CONTACTLESS_CARD = "contactless_card"
    USB_KEY = "usb_key"
    PASSKEY = "passkey"


@unique
class KeyState(StrEnum):
    """A security key's life."""

    DRAFT = "draft"
    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    NEEDS_RESET = "needs_reset"
    REVOKED = "revoked"


@unique
class Reason(StrEnum):
    """Why a key was suspended or revoked."""

    LOST = "lost"
    STOLEN = "stolen"
    DAMAGED = "damaged"
    RETURNED = "returned"
    LEFT = "left_the_company"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    ENDED = "ended"  # a temporary key's time is over
    ON_HOLD = "on_hold"
    COUNTER_REGRESSED = "counter_regressed"


@unique
class LinkState(StrEnum):
    """An activation link's life; expiry is checked at use, not by a cleaner (R11)."""

    LIVE = "live"
    USED = "used"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


@unique
class JobState(StrEnum):
    """Who has to act on a station job next."""

    QUEUED = "queued"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@unique
class JobStep(StrEnum):
    """How far the card is in an enrolment. The order matters and is `STEPS`."""

    PREPARED = "prepared"
    TAPPED = "tapped"
    PIN_SET = "pin_set"
    CREDENTIAL_MADE = "credential_made"
    REGISTERED = "registered"
    CHANGE_FORCED = "change_forced"
    DONE = "done"


@unique
class BatchState(StrEnum):
    """A batch's life. That its hour is over pauses it as well; that is looked at by the clock."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


@unique
class TurnState(StrEnum):
    """One person's turn in a batch."""

    WAITING = "waiting"
    AT_READER = "at_reader"
    DONE = "done"
    SKIPPED = "skipped"
    REFUSED = "refused"  # by a policy, say: no tap can help


@unique
class UserStatus(StrEnum):
    """What the Users list shows; derived, in this order: Suspended, Active, Pending, New."""

    NEW = "new"
    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"


STEPS: tuple[JobStep, ...] = tuple(JobStep)

KEY: Mapping[KeyState, frozenset[KeyState]] = {
    KeyState.DRAFT: frozenset(
        {KeyState.PENDING, KeyState.ACTIVE, KeyState.NEEDS_RESET, KeyState.REVOKED}
    ),
    KeyState.PENDING: frozenset(
        {KeyState.ACTIVE, KeyState.SUSPENDED, KeyState.NEEDS_RESET, KeyState.REVOKED}
    ),
    KeyState.ACTIVE: frozenset({KeyState.SUSPENDED, KeyState.NEEDS_RESET, KeyState.REVOKED}),
    KeyState.SUSPENDED: frozenset({KeyState.ACTIVE, KeyState.PENDING, KeyState.REVOKED}),
    KeyState.NEEDS_RESET: frozenset({KeyState.PENDING, KeyState.REVOKED}),
    KeyState.REVOKED: frozenset(),
}

LINK: Mapping[LinkState, frozenset[LinkState]] = {
    LinkState.LIVE: frozenset(
        {LinkState.USED, LinkState.EXPIRED, LinkState.SUPERSEDED, LinkState.CANCELLED}
    ),
    LinkState.USED: frozenset(),
    LinkState.EXPIRED: frozenset(),
    LinkState.SUPERSEDED: frozenset(),
    LinkState.CANCELLED: frozenset(),
}

JOB: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.INTERRUPTED}),
    JobState.RUNNING: frozenset(
        {JobState.DONE, JobState.INTERRUPTED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.INTERRUPTED: frozenset({JobState.QUEUED, JobState.CANCELLED, JobState.FAILED}),
    JobState.DONE: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.FAILED: frozenset(),
}

BATCH: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.DRAFT: frozenset({BatchState.RUNNING, BatchState.FINISHED}),
    BatchState.RUNNING: frozenset({BatchState.PAUSED, BatchState.FINISHED}),
    BatchState.PAUSED: frozenset({BatchState.RUNNING, BatchState.FINISHED}),
    BatchState.FINISHED: frozenset(),
}

TURN: Mapping[TurnState, frozenset[TurnState]] = {
    TurnState.WAITING: frozenset({TurnState.AT_READER, TurnState.SKIPPED, TurnState.REFUSED}),
    TurnState.AT_READER: frozenset(
        {TurnState.DONE, TurnState.SKIPPED, TurnState.REFUSED, TurnState.WAITING}
    ),
    TurnState.DONE: frozenset({TurnState.WAITING}),
    TurnState.SKIPPED: frozenset({TurnState.WAITING}),
    TurnState.REFUSED: frozenset({TurnState.WAITING}),
}

S = TypeVar("S", bound=StrEnum)


def advance(table: Mapping[S, frozenset[S]], now: S, to: S, what: str) -> S:
    """Return `to` if the table allows it after `now`; raises WrongState naming both."""
    if to not in table[now]:
        raise WrongState(f"This {what} is {words(now)}: it cannot become {words(to)}.")
    return to


def words(state: StrEnum) -> str:
    """Return a state as plain words: `needs_reset` → `needs reset`."""
    return str(state).replace("_", " ")


def reached(step: JobStep, wanted: JobStep) -> bool:
    """Say whether an enrolment that stands at `step` has passed or is at `wanted`."""
    return STEPS.index(step) >= STEPS.index(wanted)


def user_status(*, active: bool, key_states: frozenset[KeyState]) -> UserStatus:
    """Derive the status that a user is shown with."""
    if not active:
        return UserStatus.SUSPENDED
    if KeyState.ACTIVE in key_states:
        return UserStatus.ACTIVE
    if KeyState.PENDING in key_states or KeyState.NEEDS_RESET in key_states:
        return UserStatus.PENDING
    if KeyState.SUSPENDED in key_states:
        return UserStatus.SUSPENDED
    return UserStatus.NEW
