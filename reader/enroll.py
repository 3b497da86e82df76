# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Enrolment: a card gets its PIN and its credential, and is told to demand another PIN.

The order is PIN, credential, the server's commit, forced change: a card that must change its PIN
does nothing else any more, so that comes last. Each step is told to the server, which lets a
later run (`ticket.resume`) go on from there with the same PIN.
"""

from __future__ import annotations

from reader.ceremony import Creation, Json
from reader.desk import Step
from reader.faults import CardFault, Fault
from reader.job import Job, Tapped
from reader.pin_rules import PinRules
from reader.ticket import JobStep


def run(job: Job) -> None:
    """Raises CardFault, Stopped, TicketRefused."""
    ticket = job.ticket
    own = ticket.pin is None or ticket.pin.own
    pin = "" if own else ticket.open_pin(job.identity)
    creation = Creation(dict(ticket.options), ticket.origin)
    with job.tap(f"Tap the card for {ticket.user or ticket.key} on the reader.") as tapped:
        if ticket.resume.registered:
            _check_credential(job, tapped)
        elif own:
            job.tell("credential", response=_with_own_pin(job, tapped, creation))
        else:
            _settle_pin(job, tapped, pin)
            job.tell("credential", response=_with_server_pin(job, tapped, creation, pin))
        job.step = JobStep.REGISTERED
        _force_change(job, tapped, "" if own else pin)
        tapped.check_same()
        job.tell("done")
        job.step = JobStep.DONE
    job.show(Step.DONE, "Done. Take the card off the reader.")


def _check_credential(job: Job, tapped: Tapped) -> None:
    credential_id = job.ticket.resume.credential_id
    if credential_id is None or not tapped.card.held(job.ticket.rp_id, [credential_id]):
        raise CardFault(Fault.CARD_SWAPPED, "it does not hold the key")


def _settle_pin(job: Job, tapped: Tapped, pin: str) -> None:
    """After this the card has the server's PIN, or may have it."""
    card = tapped.card
    if not card.has_pin:
        # From here the card may carry the PIN: the server notes it before it is so.
        job.tell("pin_setting")
        card.set_pin(pin)
        job.step = JobStep.PIN_SET
        job.tell("pin_set")
        return
    if tapped.facts.force_pin_change:
        raise CardFault(Fault.CHANGE_PENDING)
    if not job.ticket.resume.card_may_be_written:
        raise CardFault(Fault.PIN_PRESENT)
    if card.pin_retries() <= 1:
        raise CardFault(Fault.PIN_PRESENT, "its last try is not spent on a guess")
    job.step = JobStep.PIN_SET


def _with_server_pin(job: Job, tapped: Tapped, creation: Creation, pin: str) -> Json:
    try:
        return _make(job, tapped, creation, pin)
    except CardFault as fault:
        if fault.word in (Fault.PIN_INVALID, Fault.PIN_AUTH_BLOCKED, Fault.PIN_BLOCKED):
            raise CardFault(Fault.PIN_PRESENT, "it is not the one of this job") from None
        raise


def _with_own_pin(job: Job, tapped: Tapped, creation: Creation) -> Json:
    """The PIN is typed here and never leaves the station (`user_sets`)."""
    card, order = tapped.card, job.ticket.pin
    least = max(order.min_length if order else job.ticket.min_pin_length, 4)
    if tapped.facts.force_pin_change:
        raise CardFault(Fault.CHANGE_PENDING)
    if not card.has_pin:
        rules = PinRules(max(least, card.info.min_pin_length))
        pin = job.ask_new_pin("Choose a PIN for this card.", rules)
        job.tell("pin_setting")
        card.set_pin(pin)
        job.step = JobStep.PIN_SET
        job.tell("pin_set")
        return _make(job, tapped, creation, pin)
    text = "Type the PIN of this card."
    while True:
        tries = card.pin_retries()
        if tries == 0:
            raise CardFault(Fault.PIN_BLOCKED)
        pin = job.ask_pin(text, tries)
        if len(pin) < least:
            raise CardFault(Fault.PIN_TOO_SHORT, f"{least} characters are asked for here")
        try:
            response = _make(job, tapped, creation, pin)
        except CardFault as fault:
            if fault.word is not Fault.PIN_INVALID:
                raise
            text = "The PIN is wrong. Type the PIN of this card."
            continue
        return response


def _make(job: Job, tapped: Tapped, creation: Creation, pin: str) -> Json:
    job.show(Step.WORKING, "Making the key. Leave the card on the reader.")
    response = tapped.card.make_credential(creation, pin)
    # Before the server hears of a credential it must be sure whose card it is on.
    tapped.check_same()
    job.step = JobStep.CREDENTIAL_MADE
    return response


def _force_change(job: Job, tapped: Tapped, pin: str) -> None:
    card = tapped.card
    forced = card.info.force_pin_change
    if pin and job.ticket.force_change and not forced:
        forced = card.force_change(pin, job.ticket.min_pin_length)
    job.step = JobStep.CHANGE_FORCED
    job.tell("change_forced", forced=forced)
