# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A card that demands another PIN before its next use (CTAP 2.1 §6.11.4).

It takes the present PIN, so only its holder can have it done.
"""

from __future__ import annotations

from reader.change_pin import consent
from reader.desk import Step
from reader.faults import CardFault, Fault
from reader.job import Job, Tapped


def run(job: Job) -> None:
    """Raises CardFault, Stopped."""
    with job.tap("Tap the card that is to demand another PIN.") as tapped:
        card = tapped.card
        if not card.has_pin:
            raise CardFault(Fault.UNSUPPORTED, "the card has no PIN")
        forced = card.info.force_pin_change
        if not forced:
            consent(job, "to have a change of PIN demanded by the card")
            forced = _demand(job, tapped)
        tapped.check_same()
        job.tell("change_forced", forced=forced)
        job.tell("done")
    job.show(Step.DONE, "The card demands another PIN now. Take it off the reader.")


def _demand(job: Job, tapped: Tapped) -> bool:
    card, wrong = tapped.card, ""
    while True:
        tries = card.pin_retries()
        if tries == 0:
            raise CardFault(Fault.PIN_BLOCKED)
        pin = job.ask_pin(wrong + "Type the present PIN of the card.", tries)
        job.show(Step.WORKING, "Leave the card on the reader.")
        try:
            return card.force_change(pin, card.info.min_pin_length)
        except CardFault as fault:
            if fault.word is not Fault.PIN_INVALID:
                raise
            wrong = "That PIN is wrong. "
