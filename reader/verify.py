# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whose card is this? The card signs for its tap alone; whom it names is for the panel only."""

from __future__ import annotations

from reader.ceremony import Request
from reader.desk import Step
from reader.job import Job
from reader.sign_in import assertion


def run(job: Job) -> None:
    """Raises CardFault, Stopped."""
    request = Request(dict(job.ticket.options), job.ticket.origin)
    with job.tap("Tap the card that is to be recognised.") as tapped:
        if tapped.card.wants_pin_always:
            response = assertion(job, tapped, request)
        else:
            response = tapped.card.show_itself(request)
        tapped.check_same()
        job.tell("assertion", response=response)
    job.show(Step.DONE, "Done. The panel says whose card it is. Take it off the reader.")
