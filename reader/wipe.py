# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Reset of a card: the PIN and the keys for every site are gone. Only with a yes at the desk.

CTAP takes a reset in the first ten seconds after power-up only, so a yes is followed by a power
cycle, and where that is not enough by a second tap. At a headless station the second tap is the
yes (R24).
"""

from __future__ import annotations

import time

from reader.card import Card
from reader.card_reader import is_random
from reader.desk import Question, Step
from reader.faults import CardFault, Fault
from reader.job import CONSENT_SECONDS, Job, Tapped
from reader.ticket import JobStep


def run(job: Job) -> None:
    """Raises CardFault, Stopped."""
    with job.tap("Tap the card that is to be wiped.") as tapped:
        if job.desk.attended:
            _consent(job, tapped)
            _repower(job, tapped)
        else:
            _tap_again(job, tapped, "To wipe it, take the card off and tap it again.")
        # From here the card may be empty: the server stops counting its key before it is so.
        job.tell("wiping")
        try:
            tapped.card.reset()
        except CardFault as fault:
            if fault.word is not Fault.RESET_TOO_LATE or not job.desk.attended:
                raise
            _tap_again(job, tapped, "Take the card off and tap it once more.")
            tapped.card.reset()
        # Some cards are deselected after a reset; a fresh start also shows that it worked.
        tapped.session.power_cycle()
        if Card(tapped.session.device).has_pin:
            raise CardFault(Fault.CARD_ERROR, "the card has kept its PIN")
        job.tell("done")
        job.step = JobStep.DONE
    job.show(Step.DONE, "The card is wiped. Take it off the reader.")


def _what(job: Job, tapped: Tapped) -> str:
    """Names server, user and card (R24), and what is lost."""
    ticket, uid = job.ticket, tapped.session.uid
    names = [name for name in (ticket.key, ticket.user) if name]
    card = f"the card {uid.hex().upper()}" if uid else "this card"
    return (
        f"{ticket.organisation or job.host} ({job.host}) asks to wipe {card}"
        f"{' (' + ', '.join(names) + ')' if names else ''}: its PIN and its keys for every site "
        "will be gone for good."
    )


def _consent(job: Job, tapped: Tapped) -> None:
    text = _what(job, tapped) + " Wipe it?"
    job.show(Step.CONFIRM, text, CONSENT_SECONDS)
    with job.waiting() as over:
        agreed = job.desk.confirm(Question(text, CONSENT_SECONDS, cancelled=over))
    if not agreed:
        raise CardFault(Fault.CANCELLED_AT_DESK)


def _repower(job: Job, tapped: Tapped) -> None:
    before = tapped.session.uid
    tapped.session.power_cycle()
    _meet_again(job, tapped, before)


def _tap_again(job: Job, tapped: Tapped, text: str) -> None:
    """The same card leaves and comes back within the time for a yes."""
    before = tapped.session.uid
    tapped.session.close()
    until = time.monotonic() + CONSENT_SECONDS
    job.show(Step.REMOVE, f"{_what(job, tapped)} {text}", CONSENT_SECONDS)
    gone = False
    with job.waiting() as over:
        gone = job.reader.wait_for_removal(job.presence, CONSENT_SECONDS, over)
    try:
        if not gone:
            raise CardFault(Fault.NO_CARD)
        tapped.session = job.wait_for_card("Tap it again.", max(until - time.monotonic(), 0.0))
    except CardFault as fault:
        if fault.word is not Fault.NO_CARD:
            raise
        raise CardFault(Fault.CANCELLED_AT_DESK, "the card was not tapped again") from None
    _meet_again(job, tapped, before)


def _meet_again(job: Job, tapped: Tapped, before: bytes | None) -> None:
    """Nothing is wiped but the card that was agreed on."""
    now = tapped.session.uid
    if before is not None and not is_random(before) and now != before:
        raise CardFault(Fault.CARD_SWAPPED)
    tapped.card = Card(tapped.session.device)
    facts = tapped.card.facts(job.ticket.rp_id)
    if (facts.aaguid, set(facts.known)) != (tapped.facts.aaguid, set(tapped.facts.known)):
        raise CardFault(Fault.CARD_SWAPPED)
