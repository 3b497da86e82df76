# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Another PIN for a card whose PIN its holder knows: typed at the desk, told to nobody."""

from __future__ import annotations

from reader.card import Card
from reader.desk import Question, Step
from reader.faults import CardFault, Fault
from reader.job import CONSENT_SECONDS, Job
from reader.pin_rules import PinRules


def run(job: Job) -> None:
    """Raises CardFault, Stopped."""
    ticket = job.ticket
    with job.tap("Tap the card whose PIN is to be changed.") as tapped:
        card = tapped.card
        if not card.has_pin:
            raise CardFault(Fault.UNSUPPORTED, "the card has no PIN")
        consent(job, "to change the PIN of the card")
        wrong = ""
        while True:
            tries = card.pin_retries()
            if tries == 0:
                raise CardFault(Fault.PIN_BLOCKED)
            current = job.ask_pin(wrong + "Type the present PIN of the card.", tries)
            least = max(ticket.min_pin_length, card.info.min_pin_length)
            rules = PinRules(least, current=current)
            new = job.ask_new_pin("Choose a new PIN.", rules)
            job.show(Step.WORKING, "Leave the card on the reader.")
            try:
                card.change_pin(current, new)
            except CardFault as fault:
                if fault.word is not Fault.PIN_INVALID:
                    raise
                wrong = "That PIN is wrong. "
                continue
            break
        check_changed(card)
        tapped.check_same()
        job.tell("done")
    job.show(Step.DONE, "The PIN is changed. Take the card off the reader.")


def check_changed(card: Card) -> None:
    if card.info.force_pin_change:
        raise CardFault(Fault.PIN_POLICY, "the card still demands another PIN")


def consent(job: Job, what: str) -> None:
    """R24. Nobody can type a PIN at a headless station, so there is no second tap here."""
    whose = f" of {job.ticket.user}" if job.ticket.user else ""
    text = (
        f"{job.ticket.organisation or job.host} ({job.host}) asks {what}"
        f"{whose}: {job.ticket.key or 'no name'}. Go on?"
    )
    job.show(Step.CONFIRM, text, CONSENT_SECONDS)
    with job.waiting() as over:
        agreed = job.desk.confirm(Question(text, CONSENT_SECONDS, cancelled=over))
    if not agreed:
        why = "" if job.desk.attended else "nobody can type a PIN at this station"
        raise CardFault(Fault.CANCELLED_AT_DESK, why)
