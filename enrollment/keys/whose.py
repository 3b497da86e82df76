# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whose card is this? A found card is tapped, and the panel names its key and its holder."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.desks import jobs, orders
from provisioning.desks.jobs import Op
from provisioning.errors import InvalidValue, NotFound
from provisioning.lifecycle import JobState
from provisioning.models import Job
from provisioning.panel.access import Role
from provisioning.storage.db import transaction

from .. import web
from ..desks import station_choice, tap
from ..desks.tap import Links
from ..forms import StationForm
from ..web import panel_page
from . import items

blueprint = Blueprint("whose", __name__, url_prefix="/keys/whose")


@blueprint.get("")
@panel_page(Role.OPERATOR)
def choose() -> ResponseReturnValue:
    """Ask which reader."""
    return _form(StationForm())


@blueprint.post("")
@panel_page(Role.OPERATOR)
def ask() -> ResponseReturnValue:
    """Queue the question at the chosen reader."""
    form = StationForm()
    session = web.panel_session()
    try:
        station = station_choice.chosen(form.station.data or "")
    except InvalidValue as error:
        form.blame(error, "station")
        return _form(form)
    with transaction():
        job = orders.queue_verification(
            station, web.actor(), binding=web.session_binding(session), session=session
        )
    response = redirect(url_for(".show", job_id=job.resource_id))
    station_choice.remember(response, station)
    return response


@blueprint.get("/<job_id>")
@panel_page(Role.OPERATOR)
def show(job_id: str) -> ResponseReturnValue:
    """Show the live panel, then the answer."""
    job = tap.current(_job(job_id))
    if job.state == JobState.DONE or (job.fault == "not_fido" and job.user is not None):
        return render_template("panel/whose.html", **_answer(job))
    return render_template(
        "panel/tap.html",
        title=_("Whose card is this?"),
        lead=_("The card is only asked which key it is; its PIN is not needed."),
        live=tap.tap_view(job, _links(job)),
        back=_back(),
    )


@blueprint.get("/<job_id>/state")
@panel_page(Role.OPERATOR)
def state(job_id: str) -> ResponseReturnValue:
    """Answer the live panel's poll."""
    job = tap.current(_job(job_id))
    then = url_for(".show", job_id=job_id)
    return tap.answer(job, request.args.get("seen"), _links(job), then=then)


@blueprint.post("/<job_id>/again")
@panel_page(Role.OPERATOR)
def again(job_id: str) -> ResponseReturnValue:
    """Ask once more."""
    job = _job(job_id)
    with transaction():
        if jobs.settle(job).state == JobState.INTERRUPTED:
            jobs.requeue(job, web.actor())
    return redirect(url_for(".show", job_id=job_id))


@blueprint.post("/<job_id>/cancel")
@panel_page(Role.OPERATOR)
def cancel(job_id: str) -> ResponseReturnValue:
    """Stop asking."""
    job = _job(job_id)
    with transaction():
        if job.state in jobs.OPEN:
            jobs.cancel(job, web.actor())
    return redirect(_back()["url"])


def _answer(job: Job) -> dict[str, object]:
    """Return what the card's page shows; a panel account's own card is nobody's user key."""
    user, key = job.user, job.key
    return {
        "key": items.item(key) if key is not None and user is not None else None,
        "person": {
            "name": user.display_name,
            "user_name": user.user_name,
            "status": user.status,
            "url": url_for("users.user", user_id=user.resource_id)
            if user.deleted_at is None
            else None,
        }
        if user is not None
        else None,
        "account": job.account.name if job.account is not None else None,
        "badge": job.key is None and user is not None,
        "at": job.finished_at or job.updated_at,
        "station": job.station.name,
        "again_url": url_for(".choose"),
        "back": _back(),
    }


def _form(form: StationForm) -> ResponseReturnValue:
    form.station.choices = station_choice.choices(None)
    return render_template(
        "panel/tap.html",
        title=_("Whose card is this?"),
        lead=_(
            "Tap a card that was found or came back: this page names its key and its holder. "
            "The reader's screen does not."
        ),
        live=None,
        form=form,
        start_label=_("Start"),
        station_url=url_for("stations.state_of_choice"),
        station_state=station_choice.state(form.station.data, None),
        back=_back(),
    )


def _job(job_id: str) -> Job:
    job = jobs.get(job_id)
    if job.op != Op.VERIFY or job.session_id != web.panel_session().id:
        raise NotFound(_("There is no such job."))
    return job


def _links(job: Job) -> Links:
    def to(endpoint: str) -> str:
        return url_for(endpoint, job_id=job.resource_id)

    return Links(poll=to(".state"), retry=to(".again"), cancel=to(".cancel"))


def _back() -> dict[str, str]:
    return {"label": _("Security keys"), "url": url_for("keys.keys")}
