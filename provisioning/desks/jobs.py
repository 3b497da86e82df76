# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Jobs for stations: rows that a page makes, a station takes, and both can see.

A job outlives a tap: pulled cards and lost connections interrupt it, *Try again* queues it once
more with a new ticket and the same sealed PIN. Functions never commit.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from enum import StrEnum, unique

from .. import audit, keys
from ..audit import Actor, Event
from ..clock import HOUR, MINUTE, SECOND, now_ms
from ..errors import NotFound, WrongState
from ..issuing import pins
from ..lifecycle import JOB, JobState, JobStep, KeyState, Reason, advance, reached
from ..models import Challenge, Credential, Job, SecurityKey, Station, User
from ..storage.db import tuples
from ..storage.statements import Statements, models, parameter

TICKET_S = 120
TAP_S = 60
_PIN_LIVES = 72 * HOUR
_GRACE = 60 * SECOND  # after the ticket's time or the station's last word; it speaks every 3 s
_QUEUED_FOR = 5 * MINUTE  # nobody is surprised by a job that a closed page left behind

OPEN = (JobState.QUEUED, JobState.RUNNING, JobState.INTERRUPTED)
# What the panel shows of the present run; the rest of `Job.card` outlives it.
_OF_ONE_RUN = ("at", "since", "said", "detail")


@unique
class Op(StrEnum):
    """What a station can be asked to do."""

    ENROL = "enrol"
    CHANGE_PIN = "change_pin"
    ASSERT = "assert"
    RESET = "reset"
    VERIFY = "verify"
    FORCE_CHANGE = "force_change"


@unique
class Wipe(StrEnum):
    """Why a card is reset: the `purpose` of a `reset` job."""

    AGAIN = "again"  # its PIN is forgotten or its enrolment broke off; it is enrolled right after
    STOCK = "stock"  # it goes back to the shelf, and its key is over
    BLANK = "blank"  # nobody here knows its PIN; it is wiped before its first enrolment


@unique
class PinMode(StrEnum):
    """Who makes the PIN of an enrolment."""

    SERVER = "server"
    OWN = "own"


def begin(op: Op, station: Station, actor: Actor, **columns: object) -> Job:
    """Store a new job, queued; what asks for one is in `orders`."""
    job = Job.create(
        resource_id=str(uuid.uuid4()), op=op, station=station, created_by=actor.name, **columns
    )
    audit.record(
        actor,
        Event.JOB_QUEUED,
        user=job.user,
        key=job.key,
        op=op,
        station=station.name,
        step=job.step,
    )
    return job


def requeue(job: Job, actor: Actor, station: Station | None = None) -> Job:
    """Queue an interrupted job again, with all that it has reached."""
    job.renew()
    job.state = advance(JOB, JobState(job.state), JobState.QUEUED, "job")
    job.station = station or job.station
    job.fault = job.ticket_id = job.ticket_expires_at = None
    told = card_of(job)
    job.card = json.dumps({fact: told[fact] for fact in told if fact not in _OF_ONE_RUN})
    save(job)
    audit.record(
        actor,
        Event.JOB_QUEUED,
        user=job.user,
        key=job.key,
        op=job.op,
        station=job.station.name,
        step=job.step,
    )
    return job


def interrupt(job: Job, fault: str, actor: Actor) -> None:
    """Stop the present run; the job can go on later."""
    job.renew()
    job.state = advance(JOB, JobState(job.state), JobState.INTERRUPTED, "job")
    job.fault = fault
    job.ticket_id = None
    save(job)
    audit.record(
        actor,
        Event.JOB_INTERRUPTED,
        user=job.user,
        key=job.key,
        op=job.op,
        fault=fault,
        step=job.step,
    )


def finish(job: Job, actor: Actor) -> None:
    """End a job well."""
    job.state = advance(JOB, JobState(job.state), JobState.DONE, "job")
    job.fault = None  # the ticket's id stays: its last event may come twice
    job.finished_at = now_ms()
    save(job)
    audit.record(
        actor, Event.JOB_DONE, user=job.user, key=job.key, op=job.op, station=job.station.name
    )


def cancel(job: Job, actor: Actor) -> None:
    """End a job for good. A pending key whose card may carry our PIN now needs a reset (R20)."""
    job.renew()
    job.state = advance(JOB, JobState(job.state), JobState.CANCELLED, "job")
    job.finished_at = now_ms()
    job.ticket_id = None
    touched = job.op == Op.ENROL and card_touched(job)
    pins.erase(job)
    save(job)
    Challenge.delete().where(Challenge.binding == binding_of(job)).execute()
    audit.record(
        actor,
        Event.JOB_CANCELLED,
        user=job.user,
        key=job.key,
        op=job.op,
        step=job.step,
        card_touched=touched,
    )
    if touched and job.key is not None and job.key.state == KeyState.PENDING:
        keys.need_reset(job.key, actor, "the assignment was cancelled after the tap")


def cancel_bound(binding: str, actor: Actor) -> None:
    """Cancel what a browser still waits for: it waits for one thing at a time."""
    for job in Job.select().where(Job.binding == binding, Job.state.in_(OPEN)):
        cancel(job, actor)


def of_binding(binding: str) -> Job | None:
    """Return the newest job that a browser waits for, or None."""
    found: Job | None = (
        Job.select().where(Job.binding == binding).order_by(Job.id.desc()).first()
        if binding
        else None
    )
    return found


def cancel_for_key(key: SecurityKey, actor: Actor, *, besides: Job | None = None) -> int:
    """Cancel a key's open jobs; return how many."""
    return _cancel_open("key", key.id, actor, besides)


def suspend_key(key: SecurityKey, reason: Reason, actor: Actor) -> None:
    """Stop a key for now, and what readers do with it; `keys.resume` undoes it.

    A card that may carry our PIN already needs a reset then, and its key is in that state (R20).
    """
    key.renew()
    before = key.state
    cancel_for_key(key, actor)
    key.renew()
    if key.state == before:
        keys.suspend(key, reason, actor)


def cancel_for_user(user: User, actor: Actor) -> int:
    """Cancel a leaver's open jobs, as part of the cascade; return how many."""
    return _cancel_open("user", user.id, actor)


def _cancel_open(whose: str, owner: int, actor: Actor, besides: Job | None = None) -> int:
    open_jobs = [job for job in models(Job, _OPEN_OF.rows((whose,), (owner,))) if job != besides]
    for job in open_jobs:
        cancel(job, actor)
    return len(open_jobs)


_OPEN_OF = Statements(
    lambda whose: Job.select().where(getattr(Job, whose) == parameter(0), Job.state.in_(OPEN))
)


def forget_old_pins() -> int:
    """Erase PINs that nobody fetched for 72 hours (R19); return how many.

    An open job ends with its PIN: a card that may carry it is flagged as one that needs a reset.
    """
    old = list(
        Job.select()
        .where(Job.sealed_pin.is_null(False), Job.updated_at < now_ms() - _PIN_LIVES)
        .limit(100)
    )
    for job in old:
        if job.state in OPEN:
            cancel(job, audit.SYSTEM)
        else:
            pins.erase(job)
            save(job)
    return len(old)


def settle(job: Job) -> Job:
    """Return the job as it counts now: one whose station went silent is interrupted.

    Looked at by whoever reads a job; nothing waits for a cleaner.
    """
    if is_lost(job):
        job.renew()
    if is_lost(job):
        interrupt(job, "station_gone", audit.SYSTEM)
    return job


def is_lost(job: Job) -> bool:
    """Say whether the job's station went silent or never came, so that `settle` would stop it."""
    now = now_ms()
    if job.state == JobState.RUNNING:
        return now > (job.ticket_expires_at or 0) + _GRACE
    return job.state == JobState.QUEUED and now > job.updated_at + _QUEUED_FOR


def is_out(job: Job, ticket_id: str) -> bool:
    """Say whether this ticket of the job is the one that is out at the station."""
    return (
        job.state == JobState.RUNNING
        and job.ticket_id == ticket_id
        and now_ms() <= (job.ticket_expires_at or 0) + _GRACE
    )


def heard(job: Job) -> None:
    """Note that the station is at this job; from its last word on it has `_GRACE` to go on.

    Its first word makes the ticket's own time irrelevant. `updated_at` stays: nothing to show.
    """
    job.ticket_expires_at = now_ms()
    Job.update(ticket_expires_at=job.ticket_expires_at).where(Job.id == job.id).execute()


def heard_at(job: Job) -> int:
    """Return when something was last heard of a running job, or its ticket went out."""
    return min(job.ticket_expires_at or 0, now_ms()) if "at" in card_of(job) else job.updated_at


def get(resource_id: str) -> Job:
    """Return a job by its public id; raises NotFound."""
    job = Job.get_or_none(Job.resource_id == resource_id)
    if job is None:
        raise NotFound("There is no such job.")
    return job


def waits_for_another(job: Job) -> bool:
    """Say whether a queued job's station is at work on another one."""
    other = Job.select().where(
        Job.station == job.station, Job.state == JobState.RUNNING, Job.id != job.id
    )
    return job.state == JobState.QUEUED and bool(other.exists())


def of_key(key: SecurityKey, op: Op) -> Job | None:
    """Return the newest job of this kind for a key that was not cancelled, or None."""
    found: Job | None = (
        Job.select()
        .where(
            Job.key == key, Job.op == op, Job.state.not_in((JobState.CANCELLED, JobState.FAILED))
        )
        .order_by(Job.id.desc())
        .first()
    )
    return found


def finished_for(some: Sequence[SecurityKey]) -> set[int]:
    """Return the row ids of those of these keys for which a card is finished."""
    rows = (
        Job.select(Job.key)
        .join(Credential, on=(Credential.key == Job.key))  # or the card was reset since
        .where(Job.key.in_(list(some)), Job.op == Op.ENROL, Job.state == JobState.DONE)
    )
    return {row[0] for row in tuples(rows)} if some else set()


def key_of(job: Job) -> SecurityKey:
    """Return the key that a job is for; raises WrongState for a job without one."""
    if job.key is None:
        raise WrongState("This job is for no key.")
    return job.key


def card_of(job: Job) -> dict[str, object]:
    """Return what the station told of the card."""
    told: dict[str, object] = json.loads(job.card)
    return told


def card_touched(job: Job) -> bool:
    """Say whether a card may carry this job's PIN or credential."""
    return bool(card_of(job).get("pin_setting")) or reached(JobStep(job.step), JobStep.PIN_SET)


def step_to(job: Job, step: JobStep) -> None:
    """Record progress; never backwards."""
    if not reached(JobStep(job.step), step):
        job.step = step
    save(job)


def tell(job: Job, **facts: object) -> None:
    """Add to what is known of the card."""
    job.card = json.dumps({**card_of(job), **facts})
    save(job)


def binding_of(job: Job) -> str:
    """Return the name under which a job's challenge is kept."""
    return f"job:{job.resource_id}"


def save(job: Job) -> None:
    """Store a job with the time of its change, which the live pages watch."""
    job.updated_at = now_ms()
    job.save()
