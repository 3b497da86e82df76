# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Temporary keys: lent until a moment, then they end by themselves; till then it can be moved.

A key past its end opens nothing from that moment on, whether the worker has revoked it yet or
not. Functions never commit.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from .. import audit, keys
from ..audit import SYSTEM, Actor, Event
from ..clock import DAY, SECOND, now_ms
from ..desks import jobs
from ..errors import InvalidValue, WrongState
from ..lifecycle import KeyState, Reason
from ..mails import notices
from ..models import SecurityKey
from ..services import Services
from . import activations

LONGEST = 366 * DAY


def end_of(day: date) -> int:
    """Return the last moment of a day in UTC, as ms."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp()) * SECOND + DAY - 1


def day_of(key: SecurityKey) -> date | None:
    """Return a temporary key's last day, or None."""
    return datetime.fromtimestamp(key.ends_at / 1000, UTC).date() if key.ends_at else None


def set_end(key: SecurityKey, ends_at: int | None, actor: Actor) -> None:
    """Let a key end at a moment (ms), later or earlier than before, or never (None).

    Raises InvalidValue for a moment that is past or more than a year away, WrongState for a key
    that is over.
    """
    key.renew()
    if key.state == KeyState.REVOKED or has_ended(key):
        raise WrongState("This key is over: assign another one.")
    if ends_at is not None:
        left = ends_at - now_ms()
        if left <= 0:
            raise InvalidValue("This day is over: choose a later one.", "ends_on")
        if left > LONGEST:
            raise InvalidValue("A temporary key ends within a year.", "ends_on")
    if ends_at == key.ends_at:
        return
    key.ends_at = ends_at
    key.save()
    audit.record(actor, Event.KEY_TERM_SET, user=key.user, key=key, name=key.name, ends_at=ends_at)


def takes_away(key: SecurityKey, ends_at: int | None) -> bool:
    """Say whether this end would revoke a key that was activated sooner than it ends now."""
    if ends_at is None or key.state in (KeyState.DRAFT, KeyState.PENDING):
        return False
    return key.ends_at is None or ends_at < key.ends_at


def has_ended(key: SecurityKey) -> bool:
    """Say whether a temporary key's time is over."""
    return key.ends_at is not None and key.ends_at <= now_ms()


def end_due(services: Services) -> int:
    """Revoke the temporary keys whose time is over and tell their holders; return how many."""
    due = list(
        SecurityKey.select()
        .where(
            SecurityKey.ends_at.is_null(False),
            SecurityKey.ends_at <= now_ms(),
            SecurityKey.state != KeyState.REVOKED,
        )
        .limit(100)
    )
    for key in due:
        activations.cancel(key, SYSTEM)
        jobs.cancel_for_key(key, SYSTEM)
        keys.revoke(key, Reason.ENDED, SYSTEM)
        notices.key_revoked(key, SYSTEM, services)
    return len(due)
