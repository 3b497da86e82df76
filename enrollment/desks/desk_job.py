# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A job at a reader as the person in front of it sees it: the live panel, Try again, Cancel.

One set of addresses for all that a user does at a reader: activate, sign in, change a PIN. A job
is shown only to the browser that waits for it.
"""

from __future__ import annotations

import contextlib
import hmac
from dataclasses import dataclass

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from provisioning.audit import NOBODY, Actor
from provisioning.desks import jobs, stations
from provisioning.desks.jobs import Op
from provisioning.errors import KeywrightError, NotFound, Unauthenticated
from provisioning.lifecycle import JobState
from provisioning.models import Job, Station, User
from provisioning.panel import access, sign_in
from provisioning.panel.access import SessionKind
from provisioning.storage.db import transaction

from .. import web
from ..activation import visit
from . import station_choice, tap
from .tap import Links, Live

blueprint = Blueprint("desk_job", __name__, url_prefix="/desk")


@dataclass(frozen=True)
class Place:
    """Where a job was begun (`back`), where it leads (`then`), and who waits for it."""

    back: str
    then: str
    actor: Actor


@blueprint.get("/readers")
def readers() -> ResponseReturnValue:
    """Answer how the readers are that this person may choose from."""
    return render_template("activation/_reader_states.html", stations=listed(_person()))


@blueprint.get("/<job_id>")
def live(job_id: str) -> ResponseReturnValue:
    """Answer the live panel's own question."""
    job = tap.current(jobs.get(job_id))
    place = _place_of(job)
    if job.op == Op.ASSERT and job.state == JobState.DONE:
        return render_template("activation/_answered.html", live=panel(job), polled=True)
    return tap.answer(job, request.args.get("seen"), _links(job), then=place.then)


@blueprint.post("/<job_id>/retry")
def retry(job_id: str) -> ResponseReturnValue:
    """Queue an interrupted job once more, at the same reader."""
    job = tap.current(jobs.get(job_id))
    place = _place_of(job)
    try:
        with transaction():
            jobs.requeue(jobs.get(job_id), place.actor)
    except KeywrightError as refused:
        flash(str(refused), "error")
    return redirect(place.back, 303)


@blueprint.post("/<job_id>/cancel")
def cancel(job_id: str) -> ResponseReturnValue:
    """Stop a job. An enrolment that has touched a card is kept: it can go on with that card."""
    job = tap.current(jobs.get(job_id))
    place = _place_of(job)
    with transaction():
        job = jobs.get(job_id)
        if job.op == Op.ENROL and jobs.card_touched(job):
            if job.state in (JobState.QUEUED, JobState.RUNNING):
                jobs.interrupt(job, "cancelled_at_desk", place.actor)
        elif job.state in jobs.OPEN:
            jobs.cancel(job, place.actor)
    return redirect(f"{place.back}?choose=1", 303)


def panel(job: Job) -> Live:
    """Return the job for `_tap.html`."""
    return tap.tap_view(job, _links(job))


def listed(user: User | None) -> list[dict[str, object]]:
    """Return the readers to choose from, the one used last on this browser first and checked.

    A person's own reader is offered to nobody else; who has not signed in yet is known by it.
    """
    offered = station_choice.offered(user)
    last = _last_used()
    if last is not None and user is None and last not in offered:
        offered.insert(0, last)
    return [
        {
            "id": station.resource_id,
            "name": station.name,
            **station_choice.shown(station),
            "checked": station == offered[0],
        }
        for station in offered
    ]


def _person() -> User | None:
    """Return who this browser works for, as far as it is known."""
    with contextlib.suppress(Unauthenticated):
        return visit.current(quiet=True).user
    with contextlib.suppress(Unauthenticated):
        return web.session_of(SessionKind.USER, quiet=True).user
    return None


def _last_used() -> Station | None:
    with contextlib.suppress(NotFound):
        return stations.living(request.cookies.get(station_choice.COOKIE, ""))
    return None


def begun(job: Job, page: str) -> Response:
    """Return to the page that shows the job; this browser offers its reader first from now on."""
    response = Response(status=303, headers={"Location": page})
    station_choice.remember(response, job.station)
    return response


def _links(job: Job) -> Links:
    return Links(
        poll=url_for("desk_job.live", job_id=job.resource_id),
        retry=url_for("desk_job.retry", job_id=job.resource_id),
        cancel=url_for("desk_job.cancel", job_id=job.resource_id),
        change_pin=url_for("me_pin.page"),
        collect=url_for("me_sign_in.collect"),
    )


def _place_of(job: Job) -> Place:
    """Return where this browser stands with a job; raises NotFound for somebody else's."""
    place = _of_browser(job) or _of_visit(job) or _of_user(job)
    if place is None:
        raise NotFound("There is no such job.")
    return place


def _of_browser(job: Job) -> Place | None:
    waiting = request.cookies.get(web.WAIT_COOKIE)
    if not waiting or not hmac.compare_digest(job.binding, web.browser_binding(waiting)):
        return None
    if job.op == Op.ASSERT and job.purpose == sign_in.USER:
        here = url_for("me_sign_in.page")
        return Place(here, here, NOBODY)
    if job.op == Op.CHANGE_PIN:
        return Place(url_for("me_pin.page"), url_for("me_sign_in.page"), NOBODY)
    return None


def _of_visit(job: Job) -> Place | None:
    with contextlib.suppress(Unauthenticated):
        here = visit.current(quiet=True)
        if job.key_id != here.key.id:
            return None
        done = url_for("activation.done")
        if job.op == Op.ENROL and job.session_id == here.session.id:
            return Place(url_for("activation_reader.page"), done, here.actor)
        if job.op == Op.CHANGE_PIN:
            return Place(url_for("activation_reader.pin_page"), done, here.actor)
    return None


def _of_user(job: Job) -> Place | None:
    with contextlib.suppress(Unauthenticated):
        session = web.session_of(SessionKind.USER, quiet=True)
        if job.op == Op.CHANGE_PIN and job.key is not None and job.user_id == session.user_id:
            back = url_for("me.pin_page", key_id=job.key.resource_id)
            return Place(back, url_for("me.page"), access.actor_of(session))
    return None
