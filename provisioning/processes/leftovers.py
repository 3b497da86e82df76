# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What was over long ago and nobody asks for any more: the worker deletes it bit by bit.

What happened stands in the audit log, which refers to none of it. Mails that were given up stay:
the page of mails shows them.
"""

from __future__ import annotations

from typing import Any

from peewee import fn

from ..clock import DAY, now_ms
from ..mails.outbox import MailState
from ..models import Job, OutboxMail, OwnerLink, PairingCode, Row, Session
from ..storage.db import tuples

KEPT = 30 * DAY
AT_ONCE = 500  # rows of each table in one transaction: some 10 ms
_ENDED = (MailState.SENT, MailState.CANCELLED)


def forget() -> int:
    """Delete sessions, one-time links and codes, and mails, that ended before `KEPT`.

    Return how many rows.
    """
    end = now_ms() - KEPT
    count = _forget_sessions(end)
    for table in (OwnerLink, PairingCode):
        count += _delete(table, _old(table, table.expires_at < end))
    mails = _old(OutboxMail, OutboxMail.created_at < end, OutboxMail.state.in_(_ENDED))
    return count + _delete(OutboxMail, mails)


def _forget_sessions(end: int) -> int:
    """Delete those that no job waits to finish; of a finished one nobody asks who wanted it."""
    waits = Job.select().where(Job.session == Session.id, Job.finished_at.is_null())
    ids = _old(Session, Session.expires_at < end, ~fn.EXISTS(waits))
    Job.update(session=None).where(Job.session.in_(ids)).execute()
    return _delete(Session, ids)


def _old(table: type[Row], is_old: Any, *only: Any) -> list[int]:
    """Return ids of old rows. Ids grow with time: nothing past the first that is new is read."""
    new = table.select(table.id).where(~is_old).order_by(table.id).limit(1).scalar()
    old = table.select(table.id).where(is_old, *only)
    if new is not None:
        old = old.where(table.id < new)
    return [row for (row,) in tuples(old.order_by(table.id).limit(AT_ONCE))]


def _delete(table: type[Row], ids: list[int]) -> int:
    return int(table.delete().where(table.id.in_(ids)).execute()) if ids else 0
