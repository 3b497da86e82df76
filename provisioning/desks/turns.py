# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Turns of a batch: each person's enrolment at a station; tap, next, tap.

A station asks for work between two jobs anyway: then `tend` puts the next person's enrolment in
front of it, or queues one that broke off once more. So a batch goes on whether a page is open or
not, and after a crash at either end. Functions never commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import audit, keys
from ..audit import Actor, Event
from ..clock import now_ms
from ..errors import InvalidValue, KeywrightError, Taken, WrongState
from ..issuing import activations
from ..lifecycle import (
    BATCH,
    TURN,
    BatchState,
    JobState,
    KeyKind,
    KeyState,
    Reason,
    TurnState,
    advance,
)
from ..mails import notices, outbox
from ..models import Batch, BatchItem, BatchStation, Job, PanelAccount, SecurityKey, Station
from ..panel import access
from ..panel.access import STEP_UP
from ..services import Services
from ..storage.db import transaction
from . import batches, jobs, orders

# Another try needs nobody: what broke off was the connection, or the card comes back by itself.
_AT_ONCE = frozenset({"station_gone", "server_gone", "card_removed"})
REFUSALS = 20  # in a row and in one transaction: a tenth of a second
_TRIES = 5  # in a row, before the card has to leave the reader
# Somebody has to look first: nobody tapped, or the desk itself cannot go on.
_WAITS = frozenset({"no_card", "cancelled_at_desk", "refused_ticket", "no_service", "no_reader"})


def start(batch: Batch, desks: Sequence[Station], actor: Actor) -> None:
    """Open the batch at these stations for an hour; the caller has asked for the step-up.

    Raises InvalidValue without people or stations, Taken for a station that works for another.
    """
    if not BatchItem.select().where(batches.of(batch)).exists():
        raise InvalidValue("Choose people first.", "users")
    if not desks:
        raise InvalidValue("Choose at least one reader.", "station")
    for desk in desks:
        other = _at(desk)
        if other is not None and other != batch and batches.is_over(other):
            finish(other, actor)
        elif other is not None and other != batch:
            raise Taken(f"{desk.name} works for the batch “{other.name}”.", "station")
        if desk.user_id is not None:
            raise InvalidValue(f"{desk.name} is somebody's own.", "station")
    batch.state = advance(BATCH, BatchState(batch.state), BatchState.RUNNING, "batch")
    batch.open_until = now_ms() + STEP_UP
    batch.save()
    batches.touch(batch)
    BatchStation.delete().where(BatchStation.batch == batch).execute()
    for desk in desks:
        BatchStation.create(batch=batch, station=desk)
    people = BatchItem.select().where(batches.of(batch)).count()
    audit.record(actor, Event.BATCH_STARTED, batch=batch.name, people=people)


def reopen(batch: Batch, account: PanelAccount, actor: Actor) -> None:
    """Go on after a pause or an hour; whoever pressed answers for it from here."""
    if batch.state != BatchState.RUNNING:
        batch.state = advance(BATCH, BatchState(batch.state), BatchState.RUNNING, "batch")
    batch.account = account
    batch.open_until = now_ms() + STEP_UP
    batch.save()
    batches.touch(batch)
    for item in _current(batch):
        if item.job is not None and jobs.settle(item.job).state == JobState.INTERRUPTED:
            jobs.requeue(item.job, actor)
    people = (
        BatchItem.select().where(batches.of(batch), BatchItem.state == TurnState.WAITING).count()
    )
    audit.record(actor, Event.BATCH_STARTED, batch=batch.name, people=people)


def pause(batch: Batch, actor: Actor) -> None:
    """Begin no further turn; those at the readers end as they end."""
    batch.state = advance(BATCH, BatchState(batch.state), BatchState.PAUSED, "batch")
    batch.save()
    batches.touch(batch)
    audit.record(actor, Event.BATCH_PAUSED, batch=batch.name)


def finish(batch: Batch, actor: Actor) -> None:
    """End a batch: who waits stays without a card of it, and its readers are free."""
    for item in _current(batch):
        skip(item, actor)
    batch.state = advance(BATCH, BatchState(batch.state), BatchState.FINISHED, "batch")
    batch.finished_at = now_ms()
    batch.save()
    batches.touch(batch)
    BatchStation.delete().where(BatchStation.batch == batch).execute()
    told = batches.counts(batch)
    done = told[TurnState.DONE]
    left = sum(told.values()) - done
    audit.record(actor, Event.BATCH_FINISHED, batch=batch.name, done=done, left=left)


def skip(item: BatchItem, actor: Actor) -> None:
    """Let somebody's turn pass. A card that was written for them needs a reset, and says so."""
    item.state = advance(TURN, TurnState(item.state), TurnState.SKIPPED, "turn")
    job, key = item.job, item.key
    if job is not None and job.state in jobs.OPEN:
        jobs.cancel(job, actor)
    if key is not None:
        key = SecurityKey.get_by_id(key.id)
        # A key that waited before the turn stays with its person.
        if key.state == KeyState.PENDING and item.made_key:
            keys.revoke(key, Reason.CANCELLED, actor)
    item.station = item.job = None
    _save(item)


def retry(item: BatchItem, actor: Actor) -> None:
    """Let somebody have their turn after all, or their card be tapped once more."""
    if item.state == TurnState.AT_READER:
        if item.job is not None and jobs.settle(item.job).state == JobState.INTERRUPTED:
            jobs.requeue(item.job, actor)
            _save(item)
        return
    item.state = advance(TURN, TurnState(item.state), TurnState.WAITING, "turn")
    item.note = ""
    _save(item)


def undo(item: BatchItem, actor: Actor, services: Services) -> None:
    """Take a finished card back: its key is revoked for ever, its holder waits again.

    Raises WrongState once the batch is not open any more: what was handed out is in use by then,
    and to end it is an officer's.
    """
    if item.state != TurnState.DONE or item.key is None:
        raise WrongState("Only a finished turn can be taken back.")
    if not batches.is_open(item.batch):
        raise WrongState("This batch is no longer open: revoke the key on its person's page.")
    key = SecurityKey.get_by_id(item.key_id)
    worked = key.state == KeyState.ACTIVE
    outbox.withdraw_pin(key, actor)
    outbox.cancel(key=key)
    activations.cancel(key, actor)
    if key.state != KeyState.REVOKED:
        keys.revoke(key, Reason.CANCELLED, actor)
    if worked:
        notices.key_revoked(key, actor, services)
    item.state = advance(TURN, TurnState(item.state), TurnState.WAITING, "turn")
    item.key = item.job = item.station = None
    item.note = ""
    _save(item)
    audit.record(actor, Event.BATCH_UNDONE, user=item.user, key=key, name=key.name)


def done(job: Job) -> None:
    """Note that an enrolment is finished, in its own transaction."""
    changed = (
        BatchItem.update(state=TurnState.DONE, note="", updated_at=now_ms())
        .where(BatchItem.job == job, BatchItem.state == TurnState.AT_READER)
        .execute()
    )
    if changed:
        batches.touch(BatchItem.get(BatchItem.job == job).batch)


def wake(batch: Batch, services: Services) -> bool:
    """Give the batch's idle stations their next turn now, after a change on a page.

    Returns what `tend` does.
    """
    return any(tend(desk, desk.state, services) for desk in batches.desks_of(batch))


def tend(station: Station, state: str, services: Services) -> bool:
    """Put in front of a station that asks for work what its batch has for it.

    `state` is how its reader is just now. Called before its next job is looked for; one indexed
    look-up where there is no batch. Returns whether it ended with `REFUSALS`: to be called again
    in another transaction, so that others can write in between.
    """
    batch = _at(station)
    if batch is None or batch.state != BatchState.RUNNING:
        return False
    mine = (
        BatchItem.select()
        .where(
            batches.of(batch), BatchItem.state == TurnState.AT_READER, BatchItem.station == station
        )
        .first()
    )
    if mine is not None:
        if _goes_on(mine, state):
            return False
        _drop(mine)
    if not batches.is_open(batch):
        return False
    return all(_begin_next(batch, station, services) is False for _ in range(REFUSALS))


def taken_from(batch_job: Job, known: Sequence[SecurityKey], uid_hash: str | None) -> str | None:
    """Return the fault word if the card on the reader is another one's in the same batch."""
    item = BatchItem.get_or_none(BatchItem.job == batch_job)
    if item is None:
        return None
    others = (
        BatchItem.select(BatchItem, SecurityKey)
        .join(SecurityKey)
        .where(batches.of(item.batch), BatchItem.id != item.id)
    )
    ids = [key.id for key in known]
    if ids and others.where(SecurityKey.id.in_(ids)).exists():
        return "tapped_twice"
    if uid_hash is None:
        return None
    same = others.where(SecurityKey.uid_hash == uid_hash).first()
    if same is None:
        return None
    if same.state == TurnState.DONE:
        return "tapped_twice"
    return "out_of_order" if same.state == TurnState.AT_READER else None


def _begin_next(batch: Batch, station: Station, services: Services) -> bool | None:
    """Begin the next turn here: True; False when it was refused; None when nobody waits."""
    item = (
        BatchItem.select()
        .where(batches.of(batch), BatchItem.state == TurnState.WAITING)
        .order_by(BatchItem.position, BatchItem.id)
        .first()
    )
    if item is None:
        return None
    taken = (
        BatchItem.update(state=TurnState.AT_READER, station=station, updated_at=now_ms())
        .where(BatchItem.id == item.id, BatchItem.state == TurnState.WAITING)
        .execute()
    )
    if not taken:
        return False  # another station was faster
    item = BatchItem.get_by_id(item.id)
    actor = Actor("account", str(batch.account.id), batch.account.name)
    try:
        access.check_may_activate(batch.account, item.user)
        if not item.user.active or item.user.deleted_at is not None:
            raise WrongState("This person is suspended.")
        with transaction():  # a refusal leaves no key behind
            key = _waiting_key(item)
            item.made_key = key is None
            key = key or _new_key(item, actor)
            item.job = orders.queue_enrolment(station, key, services, actor)
        item.key = key
    except KeywrightError as refused:
        item.state = advance(TURN, TurnState.AT_READER, TurnState.REFUSED, "turn")
        item.station, item.note = None, str(refused)
        _save(item)
        return False
    _save(item)
    return True


def _waiting_key(item: BatchItem) -> SecurityKey | None:
    found: SecurityKey | None = (
        SecurityKey.select()
        .where(
            SecurityKey.user == item.user,
            SecurityKey.kind == KeyKind.CONTACTLESS_CARD,
            SecurityKey.state == KeyState.PENDING,
        )
        .order_by(SecurityKey.id.desc())
        .first()
    )
    return found


def _new_key(item: BatchItem, actor: Actor) -> SecurityKey:
    name = keys.free_name(f"Card of {item.user.display_name}"[: keys.MAX_NAME], item.user)
    key = keys.draft(KeyKind.CONTACTLESS_CARD, name, "admin", user=item.user, actor=actor)
    keys.assign(key, item.user, actor)
    return key


def _goes_on(item: BatchItem, state: str) -> bool:
    """Say whether a turn at this station lasts; one that broke off is queued once more."""
    job = item.job
    if job is None:
        return False
    job = jobs.settle(job)
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        return True
    if job.state != JobState.INTERRUPTED:
        return False
    tries = jobs.card_of(job).get("tries")
    tries = tries if isinstance(tries, int) else 0
    at_once = job.fault in _AT_ONCE and state in ("no_card", "card") and tries < _TRIES
    # A card that was refused must leave the reader first, or it would be refused for ever.
    swapped = state == "no_card" and job.fault not in _WAITS
    if at_once or swapped:
        item.note = str(job.fault or "")
        jobs.requeue(job, audit.SYSTEM)
        jobs.tell(job, tries=tries + 1 if at_once else 0)
        _save(item)
    return True


def _drop(item: BatchItem) -> None:
    """End a turn whose job somebody ended elsewhere, or whose card is finished."""
    job = item.job
    if job is not None and job.state == JobState.DONE:
        done(job)
        return
    item.state = advance(TURN, TurnState(item.state), TurnState.SKIPPED, "turn")
    item.note = "cancelled"
    item.station = None
    _save(item)


def _at(station: Station) -> Batch | None:
    found: Batch | None = (
        Batch.select(Batch, PanelAccount)
        .join(PanelAccount)
        .switch(Batch)
        .join(BatchStation)
        .where(BatchStation.station == station)
        .first()
    )
    return found


def _current(batch: Batch) -> list[BatchItem]:
    return list(BatchItem.select().where(batches.of(batch), BatchItem.state == TurnState.AT_READER))


def _save(item: BatchItem) -> None:
    item.updated_at = now_ms()
    item.save()
    batches.touch(item.batch)
