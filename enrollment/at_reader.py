# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Step-up at a reader, where the browser cannot reach the admin's card itself."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from provisioning.clock import MINUTE, now_ms
from provisioning.desks import jobs, orders
from provisioning.desks.jobs import Op
from provisioning.errors import InvalidValue, NotFound
from provisioning.lifecycle import JobState
from provisioning.models import Job
from provisioning.panel import access, sign_in
from provisioning.panel.access import SessionKind
from provisioning.services import services
from provisioning.storage.db import transaction

from . import web
from .desks import station_choice, tap
from .desks.tap import Links
from .forms import StationForm
from .web import panel_page

FRESH = 5 * MINUTE  # how old the assertion may be when its page comes for it

blueprint = Blueprint("at_reader", __name__, url_prefix="/step-up/reader")


@blueprint.get("")
@panel_page()
def choose() -> ResponseReturnValue:
    """Ask which reader."""
    return _form(StationForm())


@blueprint.post("")
@panel_page()
def ask() -> ResponseReturnValue:
    """Queue the assertion at the chosen reader; the demonstration has one reader only."""
    form = StationForm()
    account = web.panel_account()
    name = form.station.data
    if services().settings.demo and not name:
        name = next((s.resource_id for s in station_choice.offered(account.user)), "")
    try:
        station = station_choice.chosen(name or "")
    except InvalidValue as error:
        form.blame(error, "station")
        return _form(form)
    session = web.panel_session()
    with transaction():
        job = orders.queue_assertion(
            station,
            web.actor(),
            purpose=sign_in.STEP_UP,
            binding=web.session_binding(session),
            account=account,
            session=session,
        )
    response = redirect(url_for(".show", job_id=job.resource_id, next=web.safe_next("/")))
    station_choice.remember(response, station)
    return response


@blueprint.get("/<job_id>")
@panel_page()
def show(job_id: str) -> ResponseReturnValue:
    """Show the live panel with the short code."""
    job = tap.current(_job(job_id))
    taken = redirect(web.safe_next("/"))
    if _claim(job, taken):
        return taken
    return render_template(
        "panel/tap.html",
        title=_("Confirm with your key"),
        lead=_("Tap your own card and type its PIN at the reader."),
        live=tap.tap_view(job, _links(job)),
        back=_back(),
    )


@blueprint.get("/<job_id>/state")
@panel_page()
def state(job_id: str) -> ResponseReturnValue:
    """Answer the live panel's poll; when the key was used, go on where it was asked for."""
    job = tap.current(_job(job_id))
    then = web.safe_next("/")
    shown = make_response(tap.answer(job, request.args.get("seen"), _links(job), then=then))
    _claim(job, shown)
    return shown


@blueprint.post("/<job_id>/again")
@panel_page()
def again(job_id: str) -> ResponseReturnValue:
    """Ask once more."""
    job = _job(job_id)
    with transaction():
        if jobs.settle(job).state == JobState.INTERRUPTED:
            jobs.requeue(job, web.actor())
    return redirect(url_for(".show", job_id=job_id, next=web.safe_next("/")))


@blueprint.post("/<job_id>/cancel")
@panel_page()
def cancel(job_id: str) -> ResponseReturnValue:
    """Stop asking."""
    job = _job(job_id)
    with transaction():
        if job.state in jobs.OPEN:
            jobs.cancel(job, web.actor())
    return redirect(_back()["url"])


def _claim(job: Job, answer: Response) -> bool:
    """Take the answer, once: this session has stepped up, and gets a new id."""
    session = web.panel_session()
    if job.state != JobState.DONE or job.binding != web.session_binding(session):
        return False
    if now_ms() - (job.finished_at or 0) > FRESH:
        return False
    with transaction():
        taken = Job.update(binding="").where(Job.id == job.id, Job.binding == job.binding).execute()
        if not taken:
            return False
        access.stepped_up(session)
        secret = access.renew(session)
    web.set_cookie(answer, web.COOKIE[SessionKind.PANEL], secret)
    return True


def _job(job_id: str) -> Job:
    job = jobs.get(job_id)
    mine = job.session_id == web.panel_session().id and job.op == Op.ASSERT
    if not mine or job.purpose != sign_in.STEP_UP:
        raise NotFound(_("There is no such job."))
    return job


def _form(form: StationForm) -> ResponseReturnValue:
    user = web.panel_account().user
    form.station.choices = station_choice.choices(user)
    return render_template(
        "panel/tap.html",
        title=_("Confirm with your key"),
        lead=_("Choose the reader that your card will be tapped on."),
        live=None,
        form=form,
        start_label=_("Start"),
        station_url=url_for("stations.state_of_choice"),
        station_state=station_choice.state(form.station.data, user),
        back=_back(),
    )


def _links(job: Job) -> Links:
    target = web.safe_next("/")

    def to(endpoint: str) -> str:
        return url_for(endpoint, job_id=job.resource_id, next=target)

    return Links(poll=to(".state"), retry=to(".again"), cancel=to(".cancel"))


def _back() -> dict[str, str]:
    target = web.safe_next("/")
    return {"label": _("Back"), "url": url_for("sign_in.step_up", next=target)}
