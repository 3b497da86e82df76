# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Sign-in at the desk, for browsers that cannot reach a card reader: job `assert`."""

from __future__ import annotations

from reader.ceremony import Json, Request
from reader.desk import Step
from reader.faults import CardFault, Fault
from reader.job import Job, Tapped


def run(job: Job) -> None:
    """Raises CardFault, Stopped."""
    ticket = job.ticket
    request = Request(dict(ticket.options), ticket.origin)
    text = f"Sign-in to {ticket.organisation or job.host}. Tap your card"
    if ticket.code:
        text += f" if the page shows the code {ticket.code}"
    with job.tap(text + ".") as tapped:
        response = assertion(job, tapped, request)
        tapped.check_same()
        job.tell("assertion", response=response)
    job.show(Step.DONE, "Signed in. Take the card off the reader.")


def assertion(job: Job, tapped: Tapped, request: Request) -> Json:
    """The card's answer, for the PIN that is typed at the desk. Raises CardFault, Stopped."""
    card = tapped.card
    if tapped.facts.force_pin_change:
        raise CardFault(Fault.CHANGE_PENDING)
    if not card.has_pin:
        raise CardFault(Fault.UNSUPPORTED, "the card has no PIN")
    if request.allow and not card.held(request.rp_id, request.allow):
        raise CardFault(Fault.NO_CREDENTIAL)
    text = "Type the PIN of your card."
    if job.ticket.code:
        text = f"Type the PIN of your card. The page shows the code {job.ticket.code}."
    wrong = ""
    while True:
        tries = card.pin_retries()
        if tries == 0:
            raise CardFault(Fault.PIN_BLOCKED)
        pin = job.ask_pin(wrong + text, tries)
        job.show(Step.WORKING, "Leave the card on the reader.")
        try:
            return card.get_assertion(request, pin)
        except CardFault as fault:
            if fault.word is not Fault.PIN_INVALID:
                raise
            wrong = "The PIN is wrong. "
