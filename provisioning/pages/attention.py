# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What needs a hand now, and how it has been going: the figures of the Overview.

Every question is answered from an index and counts no further than `MOST`, so that the page costs
the same in a bad week.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from peewee import JOIN, ModelSelect, Select, fn

from ..clock import DAY, HOUR, MINUTE, now_ms
from ..desks import stations
from ..issuing import approvals
from ..lifecycle import KeyState
from ..mails import alert_mails, alerts
from ..mails.outbox import MailState
from ..models import (
    LIVE,
    UNSENT,
    Activation,
    Alert,
    Connection,
    MassDeparture,
    OutboxMail,
    PanelAccount,
    SecurityKey,
    Station,
    User,
)
from ..storage.db import database, tuples

MOST = 100
LINK_SOON = 6 * HOUR
SILENT_AFTER = 3 * DAY
STUCK_AFTER = 10 * MINUTE
DEAD_SHOWN = 7 * DAY
DAYS = 30


@dataclass(frozen=True)
class Held:
    """A mass departure that waits for a decision."""

    id: int
    connection: str
    users: int
    since: int


@dataclass(frozen=True)
class Attention:
    """What needs a hand. Counts stop at MOST, which then means "or more"."""

    departures: list[Held]
    approvals: int  # that this account may decide
    dead_mails: int
    stuck_mail: OutboxMail | None  # the oldest that waits because no mail server takes it
    resets: int
    links: int
    silent: list[tuple[str, int, int]]  # directory, its id, last seen
    tokens: list[tuple[str, int, int]]  # directory, its id, end of its last token
    locked: list[Alert]
    kept: list[Alert]  # panel accounts that a directory wanted gone, the second within an hour
    stations: list[Station]  # all that are paired, by name


def now(account: PanelAccount | None = None) -> Attention:
    """Ask everything; eleven queries, however much there is. Decisions are those of `account`."""
    at = now_ms()
    return Attention(
        departures=_departures(),
        approvals=approvals.how_many_wait_for(account) if account is not None else 0,
        dead_mails=_some(
            OutboxMail.select(OutboxMail.id).where(
                UNSENT, OutboxMail.state == MailState.DEAD, OutboxMail.due_at >= at - DEAD_SHOWN
            )
        ),
        stuck_mail=_stuck(at),
        resets=_some(
            SecurityKey.select(SecurityKey.id).where(SecurityKey.state == KeyState.NEEDS_RESET)
        ),
        links=_some(
            Activation.select(Activation.id).where(
                Activation.state == LIVE,
                Activation.expires_at > at,
                Activation.expires_at <= at + LINK_SOON,
            )
        ),
        silent=_silent(at),
        tokens=alert_mails.expiring_tokens(),
        locked=alerts.recent(alerts.Kind.KEY_LOCKED, 10),
        kept=alerts.recent(alerts.Kind.ACCOUNT_DOUBTED, 10),
        stations=stations.all_living(),
    )


def activations_by_day(today: int) -> list[tuple[int, int]]:
    """Return (start of the day in ms UTC, keys activated) for thirty days up to `today` (ms)."""
    last = today // DAY
    days = [number * DAY for number in range(last - DAYS + 1, last + 1)]
    # A range of the index for each day, in one statement: grouping would sort them all once more.
    of_days = [
        SecurityKey.select(fn.COUNT(SecurityKey.id)).where(
            SecurityKey.activated_at >= day, SecurityKey.activated_at < day + DAY
        )
        for day in days
    ]
    [counts] = Select(columns=of_days).bind(database).tuples()
    return list(zip(days, counts, strict=True))


def _some(query: ModelSelect[Any]) -> int:
    """Count rows, MOST at most."""
    return query.limit(MOST).count()


def _departures() -> list[Held]:
    users = fn.COUNT(User.id)
    rows = (
        MassDeparture.select(MassDeparture.id, Connection.name, users, MassDeparture.started_at)
        .join(Connection)
        .switch(MassDeparture)
        .join(User, JOIN.LEFT_OUTER, on=(User.departure == MassDeparture.id))
        .where(MassDeparture.decided_at.is_null())
        .group_by(MassDeparture.id, Connection.name, MassDeparture.started_at)
        .order_by(MassDeparture.id)
        .limit(20)
    )
    return [Held(*row) for row in tuples(rows)]


def _stuck(at: int) -> OutboxMail | None:
    """A mail that has been tried in vain; the queue's head is the one that waits longest."""
    head = (
        OutboxMail.select()
        .where(UNSENT, OutboxMail.state == MailState.QUEUED)
        .order_by(OutboxMail.due_at)
        .first()
    )
    waits = head is not None and head.last_error and head.created_at < at - STUCK_AFTER
    return head if waits else None


def _silent(at: int) -> list[tuple[str, int, int]]:
    rows = (
        Connection.select(Connection.name, Connection.id, Connection.last_seen_at)
        .where(Connection.last_seen_at < at - SILENT_AFTER, Connection.retired_at.is_null())
        .order_by(Connection.last_seen_at)
        .limit(20)
    )
    return list(tuples(rows))
