# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Wipes: resets of a card at a reader, and what each means for the key on it.

A reset takes the PIN and the credentials of every site (CTAP 2.1 §6.6). The station says `wiping`
before it sends one: from that moment the key does not count, whatever becomes of the card. Hence
no key is ever active whose card may be empty. Functions never commit.
"""

from __future__ import annotations

from .. import audit, keys
from ..audit import Actor, Event
from ..clock import now_ms
from ..errors import KeywrightError
from ..issuing import activations
from ..issuing.policy import Policy
from ..lifecycle import KeyState, Reason
from ..mails import notices, outbox
from ..models import Job
from ..services import Services
from . import jobs, orders
from .jobs import Op, PinMode, Wipe

_THEN_ENROLLED = (Wipe.AGAIN, Wipe.BLANK)


def has_begun(job: Job) -> bool:
    """Say whether the card of a reset may be wiped already."""
    return bool(jobs.card_of(job).get("wiping"))


def any_card_will_do(job: Job) -> bool:
    """Say whether a job takes a card that does not show the job's key.

    A key that needs a reset may be on a card that was never finished, and a card that was wiped
    a moment ago shows nothing any more; the station compares the UID then.
    """
    if job.op != Op.RESET:
        return False
    unfinished = jobs.key_of(job).state in (KeyState.NEEDS_RESET, KeyState.PENDING, KeyState.DRAFT)
    return unfinished or has_begun(job)


def begin(job: Job, services: Services, actor: Actor) -> None:
    """Stop counting the key: the station is about to wipe its card."""
    if has_begun(job):
        return
    jobs.tell(job, wiping=True)
    key = jobs.key_of(job)
    if job.purpose == Wipe.BLANK:
        return  # the key was never on this card
    outbox.withdraw_pin(key, actor)
    if job.purpose == Wipe.STOCK and key.state != KeyState.REVOKED:
        activations.cancel(key, actor)
        jobs.cancel_for_key(key, actor, besides=job)
        keys.revoke(key, Reason.RETURNED, actor)
        notices.key_revoked(key, actor, services)
    elif key.state == KeyState.ACTIVE:
        keys.need_reset(key, actor, "its card is being reset")


def end(job: Job, services: Services, actor: Actor) -> None:
    """Note that the card is empty, and go on with its enrolment if that is what it was for."""
    key = jobs.key_of(job)
    audit.record(actor, Event.CARD_WIPED, user=key.user, key=key, name=key.name, why=job.purpose)
    if job.purpose == Wipe.AGAIN:
        keys.was_reset(key, actor)
    if job.purpose in _THEN_ENROLLED:
        before = jobs.of_key(key, Op.ENROL)
        own = before is not None and before.pin_mode == PinMode.OWN
        try:
            orders.queue_enrolment(
                job.station, key, services, actor, own_pin=own, policy=_policy_of_draft(before)
            )
        except KeywrightError:
            return  # the key waits for its activation; the card is empty all the same


def _policy_of_draft(before: Job | None) -> Policy | None:
    """Return what the wizard asked of the card before; a person who is there has an own policy."""
    if before is None or before.user is not None:
        return None
    return Policy(pin_length=before.pin_length, force_pin_change=before.force_change)


def follow_up(job: Job) -> Job | None:
    """Return the enrolment that goes on with the card of a finished reset, or None."""
    if job.op != Op.RESET or job.key is None or job.purpose not in _THEN_ENROLLED:
        return None
    enrolment = jobs.of_key(job.key, Op.ENROL)
    if enrolment is None or (enrolment.finished_at or now_ms()) < (job.finished_at or 0):
        return None
    return enrolment
