# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The live panel of a job at a reader, the same for wizard, activation, sign-in and PIN change.

A page asks for it every 700 ms; the answer is empty (204) while nothing has changed, so a screen
reader announces each state once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from flask import Response, render_template
from flask_babel import gettext as _

from provisioning.clock import SECOND, now_ms
from provisioning.desks import faults, jobs, stations
from provisioning.desks.faults import Next
from provisioning.desks.jobs import Op, PinMode
from provisioning.lifecycle import JobState, JobStep, reached
from provisioning.models import Job
from provisioning.storage.db import transaction

Live = dict[str, object]


@dataclass(frozen=True)
class Links:
    """Where the panel's buttons of one page go; an empty one is not offered.

    `poll` is asked by GET, the others are posted with `fields`; `change_pin` and `reset` are
    pages. `collect`
    takes the answer of a sign-in that is done.
    """

    poll: str = ""
    retry: str = ""
    cancel: str = ""
    reset: str = ""
    own_pin: str = ""
    badge: str = ""
    change_pin: str = ""
    collect: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def current(job: Job) -> Job:
    """Return the job as it counts now; one whose station went silent is interrupted on the way."""
    if not jobs.is_lost(job):
        return job
    with transaction():
        return jobs.settle(jobs.get(job.resource_id))


def tap_view(job: Job, links: Links | None = None) -> Live:
    """Return what `_tap.html` calls `live`."""
    links = links or Links()
    phase = _phase(job)
    fault = faults.of(job.fault) if phase == "fault" else None
    state, headline, detail = _words(job, phase)
    told = jobs.card_of(job)
    moving = phase not in ("done", "fault", "cancelled")
    shows_card = told.get("at") == "card" and "fido" in told
    return {
        "phase": phase,
        "state": state,
        "headline": headline,
        "detail": detail,
        "poll_url": _with_seen(links.poll, job) if moving and links.poll else None,
        "seconds": _seconds_left(job) if phase == "waiting" else None,
        "total": jobs.TAP_S,
        "card": {
            "model": told.get("model"),
            "fido2": bool(told.get("fido")),
            # Worth a word only where a new card is wanted.
            "has_pin": job.op == Op.ENROL
            and not jobs.card_touched(job)
            and bool(told.get("client_pin")),
        }
        if shows_card
        else None,
        "steps": _steps(job, phase),
        "next": [_sentence(step) for step in _helping(fault.steps, links)] if fault else [],
        "actions": _actions(fault.steps, links) if fault else _after(job, phase, links),
        "cancel_url": links.cancel if links.cancel and phase not in ("done", "cancelled") else None,
        "code": job.code or None if moving else None,
        "form_fields": dict(links.fields),
    }


def version_of(job: Job) -> str:
    """Return a word that changes whenever the panel of this job looks different."""
    phase = _phase(job)
    waits = ".waits" if phase == "starting" and jobs.waits_for_another(job) else ""
    return f"{job.updated_at}.{job.step}.{phase}{waits}"


def answer(job: Job, seen: str | None, links: Links, then: str = "") -> Response:
    """Answer a poll: 204 while nothing changed, the panel, or a move to `then` when it is done."""
    job = current(job)
    if seen == version_of(job):
        return Response(status=204)
    response = Response(render_template("_tap.html", live=tap_view(job, links), polled=True))
    if job.state == JobState.DONE and then:
        response.headers["HX-Redirect"] = then
    return response


def _phase(job: Job) -> str:
    state = JobState(job.state)
    if state is JobState.DONE:
        return "done"
    if state in (JobState.INTERRUPTED, JobState.FAILED):
        return "fault"
    if state is JobState.CANCELLED:
        return "cancelled"
    told = jobs.card_of(job)
    if state is JobState.QUEUED or "at" not in told:
        return "offline" if stations.shown_state(job.station) == "offline" else "starting"
    if told["at"] == "waiting":
        return "waiting"
    return "working" if job.op == Op.ENROL and told.get("pin_setting") else "card"


def _words(job: Job, phase: str) -> tuple[str, str, str]:
    """Return the panel's state word, its headline and one more sentence or nothing."""
    station = job.station.name
    if phase == "offline":
        return (
            _("Offline"),
            _("%(station)s does not answer", station=station),
            _("Start the reader driver on its computer. This page goes on by itself."),
        )
    if phase == "starting" and jobs.waits_for_another(job):
        return (
            _("Waiting"),
            _("%(station)s is busy with another card", station=station),
            _("This one follows by itself as soon as that is done."),
        )
    if phase == "starting":
        return _("Starting"), _("Asking %(station)s …", station=station), ""
    if phase == "waiting":
        return (
            _("Waiting for the card"),
            _("Tap the card on %(station)s", station=station),
            _("Leave it on the reader until this screen says that it is done."),
        )
    if phase == "card":
        return _("Card detected"), *_at_the_card(job, station)
    if phase == "working":
        return _("Working"), _("Leave the card on the reader"), _("This takes a few seconds.")
    if phase == "done":
        return _("Done"), _done(job), _("You can take the card off the reader.")
    if phase == "cancelled":
        return _("Cancelled"), _("This was cancelled."), _("Nothing more happens at the reader.")
    told = jobs.card_of(job)
    said = told.get("said") or (told.get("detail") if job.fault == "card_error" else "")
    return _("Not finished"), str(faults.of(job.fault).sentence), str(said or "")


def _at_the_card(job: Job, station: str) -> tuple[str, str]:
    if job.op == Op.ASSERT:
        return (
            _("Compare the code, then type your PIN at %(station)s", station=station),
            _("Go on only if the reader shows the same code as this page."),
        )
    if job.op == Op.CHANGE_PIN:
        return (
            _("Type the present PIN, then the new one, at %(station)s", station=station),
            _("The PIN is typed in the station's window and never leaves it."),
        )
    if job.op == Op.VERIFY:
        return _("The card is asked which key it is"), _("Leave it on the reader a moment.")
    if job.op == Op.FORCE_CHANGE:
        return (
            _("Type the present PIN at %(station)s", station=station),
            _("The PIN is typed in the station's window and never leaves it."),
        )
    if job.op == Op.RESET:
        return (
            _("Confirm the reset at %(station)s", station=station),
            _("It wipes the sign-ins of every site on this card."),
        )
    if job.pin_mode == PinMode.OWN and not reached(JobStep(job.step), JobStep.PIN_SET):
        return (
            _("Choose a PIN at %(station)s", station=station),
            _("The PIN is typed in the station's window and never leaves it."),
        )
    return _("Leave the card on the reader"), _("This takes a few seconds.")


def _done(job: Job) -> str:
    words = {
        Op.ENROL: _("The card is assigned"),
        Op.CHANGE_PIN: _("The PIN is changed"),
        Op.RESET: _("The card is empty again"),
        Op.ASSERT: _("The key was accepted"),
        Op.VERIFY: _("The card was recognised"),
        Op.FORCE_CHANGE: _("The card demands another PIN at its next use"),
    }
    return str(words[Op(job.op)])


def _steps(job: Job, phase: str) -> list[dict[str, str]]:
    if job.op != Op.ENROL:
        return []
    line = [
        (JobStep.TAPPED, _("Card read")),
        (JobStep.PIN_SET, _("PIN set")),
        (JobStep.REGISTERED, _("Key made and checked")),
    ]
    if job.pin_mode == PinMode.SERVER:
        line.append((JobStep.CHANGE_FORCED, _("PIN change at first use")))
    shown, todo = [], "current"
    for step, label in line:
        done = phase == "done" or reached(JobStep(job.step), step)
        shown.append({"label": label, "state": "done" if done else todo})
        if not done:
            todo = "todo"
    return shown


def _seconds_left(job: Job) -> int:
    since = jobs.card_of(job).get("since")
    started = since if isinstance(since, int) else now_ms()
    return max(0, jobs.TAP_S - ceil((now_ms() - started) / SECOND))


def _helping(steps: tuple[Next, ...], links: Links) -> list[Next]:
    # What only this page could offer is not advised where it does not.
    offered = {Next.OWN_PIN: links.own_pin, Next.KEEP_BADGE: links.badge}
    return [step for step in steps if offered.get(step, True)]


def _sentence(step: Next) -> str:
    words = {
        Next.TRY_AGAIN: _("Try again, with the card lying still on the reader."),
        Next.OTHER_CARD: _("Use another card."),
        Next.RESET: _("Reset this card. That wipes the sign-ins of every site on it."),
        Next.OWN_PIN: _("If its holder knows the PIN, keep it: it is typed at the reader."),
        Next.KEEP_BADGE: _("Keep it as an identifier, if it is of use: it will never be a key."),
        Next.CHANGE_PIN: _("Change the card's PIN first."),
        Next.MEND_STATION: _(
            "Look at the station's computer: “keywright-reader doctor” says what is wrong there."
        ),
    }
    return str(words[step])


def _actions(steps: tuple[Next, ...], links: Links) -> list[dict[str, object]]:
    actions: list[dict[str, object]] = []

    def offer(label: str, url: str, icon: str, tone: str = "", *, link: bool = False) -> None:
        if url:
            actions.append({"label": label, "url": url, "icon": icon, "tone": tone, "link": link})

    if Next.CHANGE_PIN in steps:
        offer(_("Change PIN"), links.change_pin, "key-round", "primary", link=True)
    if Next.TRY_AGAIN in steps or Next.OTHER_CARD not in steps:
        offer(_("Try again"), links.retry, "rotate-ccw", "" if actions else "primary")
    else:
        offer(_("Try another card"), links.retry, "credit-card", "primary")
    if Next.OWN_PIN in steps:
        offer(_("Use the card's own PIN"), links.own_pin, "lock")
    if Next.KEEP_BADGE in steps:
        offer(_("Keep as an identifier"), links.badge, "scan-line")
    if Next.RESET in steps:
        offer(_("Reset this card"), links.reset, "rotate-ccw", "danger-quiet", link=True)
    return actions


def _after(job: Job, phase: str, links: Links) -> list[dict[str, object]]:
    if phase != "done" or job.op != Op.ASSERT or not links.collect:
        return []
    return [
        {
            "label": _("Go on"),
            "url": links.collect,
            "icon": "arrow-right",
            "tone": "primary",
            "link": False,
        }
    ]


def _with_seen(url: str, job: Job) -> str:
    return f"{url}{'&' if '?' in url else '?'}seen={version_of(job)}"
