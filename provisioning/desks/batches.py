# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Batches: which people are to get a card each, in which order; their turns are in `turns`.

Functions never commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from peewee import Expression, fn

from ..clock import now_ms
from ..errors import InvalidValue, NotFound, WrongState
from ..lifecycle import BatchState, TurnState
from ..models import Batch, BatchItem, BatchStation, PanelAccount, Station, User
from ..panel import access
from ..panel.access import Role
from ..storage.db import tuples

MOST = 1_000
MAX_NAME = 64


def make(name: str, account: PanelAccount, users: Sequence[User]) -> Batch:
    """Make a draft of these people, in this order; raises InvalidValue."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidValue(f"A batch's name has 1 to {MAX_NAME} characters.", "name")
    batch: Batch = Batch.create(resource_id=str(uuid.uuid4()), name=name, account=account)
    add(batch, users)
    return batch


def discard(batch: Batch) -> None:
    """Delete a draft, of which nothing has happened yet; raises WrongState for any other."""
    if batch.state != BatchState.DRAFT:
        raise WrongState("This batch has started: finish it instead.")
    batch.delete_instance()


def add(batch: Batch, users: Sequence[User]) -> int:
    """Add people at the end, those who are in it already left out; return how many.

    Raises InvalidValue beyond 1,000 people, WrongState for a batch that is over.
    """
    if batch.state == BatchState.FINISHED:
        raise WrongState("This batch is finished: make a new one.")
    inside = {row[0] for row in tuples(BatchItem.select(BatchItem.user).where(of(batch)))}
    fresh = [user for user in dict.fromkeys(users) if user.id not in inside]
    if len(inside) + len(fresh) > MOST:
        raise InvalidValue(f"A batch has at most {MOST:,} people.", "users")
    last = BatchItem.select(fn.MAX(BatchItem.position)).where(of(batch)).scalar() or 0
    for place, user in enumerate(fresh, last + 1):
        BatchItem.create(batch=batch, position=place, user=user)
    touch(batch)
    return len(fresh)


def remove(item: BatchItem) -> None:
    """Take somebody out who waits; raises WrongState for one whose turn has begun."""
    if item.state != TurnState.WAITING:
        raise WrongState("This person's turn has begun already: skip it instead.")
    item.delete_instance()
    touch(item.batch)


def move(item: BatchItem, places: int) -> None:
    """Let somebody who waits come sooner (negative) or later among those who wait."""
    queue = list(
        BatchItem.select()
        .where(of(item.batch), BatchItem.state == TurnState.WAITING)
        .order_by(BatchItem.position)
    )
    if item not in queue:
        return
    here = queue.index(item)
    there = min(max(here + places, 0), len(queue) - 1)
    order = [row.position for row in queue]
    queue.insert(there, queue.pop(here))
    for row, position in zip(queue, order, strict=True):
        if row.position != position:
            BatchItem.update(position=position).where(BatchItem.id == row.id).execute()
    touch(item.batch)


def is_over(batch: Batch) -> bool:
    """Say whether nobody waits and nobody is at a reader."""
    told = counts(batch)
    return not told[TurnState.WAITING] and not told[TurnState.AT_READER]


def is_open(batch: Batch) -> bool:
    """Say whether the batch's hour, and the right of who opened it, still last."""
    if batch.state == BatchState.FINISHED:
        return False
    who = batch.account
    may = who.state == "active" and access.has_role(who, Role.OPERATOR)
    return may and batch.open_until > now_ms()


def counts(batch: Batch) -> dict[TurnState, int]:
    """Return how many turns stand in each state."""
    rows = (
        BatchItem.select(BatchItem.state, fn.COUNT(BatchItem.id))
        .where(of(batch))
        .group_by(BatchItem.state)
    )
    found = {TurnState(state): int(count) for state, count in tuples(rows)}
    return {state: found.get(state, 0) for state in TurnState}


def items(batch: Batch) -> list[BatchItem]:
    """Return the turns in order, with what each shows."""
    return list(
        BatchItem.select(BatchItem, User)
        .join(User)
        .where(of(batch))
        .order_by(BatchItem.position, BatchItem.id)
    )


def get(resource_id: str) -> Batch:
    """Return a batch; raises NotFound."""
    found: Batch | None = Batch.get_or_none(Batch.resource_id == resource_id)
    if found is None:
        raise NotFound("There is no such batch.")
    return found


def item_of(batch: Batch, number: int) -> BatchItem:
    """Return one turn of a batch by its row id; raises NotFound."""
    found: BatchItem | None = BatchItem.get_or_none(BatchItem.id == number, of(batch))
    if found is None:
        raise NotFound("There is no such turn in this batch.")
    return found


def desks_of(batch: Batch) -> list[Station]:
    """Return the stations that work for a batch, by name."""
    rows = Station.select().join(BatchStation).where(BatchStation.batch == batch)
    return list(rows.order_by(Station.name, Station.id))


def recent(size: int = 50) -> list[Batch]:
    """Return the batches, the one that something happened to last first."""
    return list(Batch.select().order_by(Batch.updated_at.desc()).limit(size))


def of(batch: Batch) -> Expression:
    """Return the condition that picks a batch's turns."""
    return BatchItem.batch == batch


def touch(batch: Batch) -> None:
    """Note that something happened in a batch, which its board watches."""
    batch.updated_at = now_ms()
    Batch.update(updated_at=batch.updated_at).where(Batch.id == batch.id).execute()
