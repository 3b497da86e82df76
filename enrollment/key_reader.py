# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is done to a user's card at a reader: change its PIN, reset it, assign one to a key."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import access, jobs, keys, orders
from provisioning.access import Role
from provisioning.db import transaction
from provisioning.errors import InvalidValue, NotFound, StepUpNeeded
from provisioning.jobs import Op
from provisioning.lifecycle import JobState
from provisioning.models import Job, SecurityKey, Station, User
from provisioning.services import services

from . import station_choice, tap, web
from .forms import StationForm
from .tap import Links
from .web import panel_page

OPS = {"change-pin": Op.CHANGE_PIN, "reset": Op.RESET, "assign": Op.ENROL}

blueprint = Blueprint(
    "key_reader",
    __name__,
    url_prefix="/keys/<key_id>/<any('change-pin',reset,assign):verb>",
)


@dataclass(frozen=True)
class Words:
    """What the page of an operation says."""

    title: str
    lead: str
    start: str
    warning: tuple[str, ...] = ()


@blueprint.get("")
@panel_page(Role.OPERATOR)
def choose(key_id: str, verb: str) -> ResponseReturnValue:
    """Ask which reader."""
    key, user = _key(key_id)
    first = _allowed(user, verb)
    return first if first is not None else _form(key, user, verb, StationForm())


@blueprint.post("")
@panel_page(Role.OPERATOR)
def start(key_id: str, verb: str) -> ResponseReturnValue:
    """Queue the job at the chosen reader."""
    key, user = _key(key_id)
    first = _allowed(user, verb)
    if first is not None:
        return first
    form = StationForm()
    try:
        station = station_choice.chosen(form.station.data or "")
        with transaction():
            job = _queue(OPS[verb], station, key)
    except InvalidValue as error:
        form.blame(error, "station")
        return _form(key, user, verb, form)
    response = redirect(url_for(".show", key_id=key_id, verb=verb, job_id=job.resource_id))
    station_choice.remember(response, station)
    return response


@blueprint.get("/<job_id>")
@panel_page(Role.OPERATOR)
def show(key_id: str, verb: str, job_id: str) -> ResponseReturnValue:
    """Show the live panel."""
    key, user = _key(key_id)
    job = tap.current(_job(key, verb, job_id))
    words = _words(key, verb)
    return render_template(
        "panel/tap.html",
        title=words.title,
        lead=words.lead,
        live=tap.tap_view(job, _links(key_id, verb, job)),
        back=_back(user),
    )


@blueprint.get("/<job_id>/state")
@panel_page(Role.OPERATOR)
def state(key_id: str, verb: str, job_id: str) -> ResponseReturnValue:
    """Answer the live panel's poll."""
    job = _job(_key(key_id)[0], verb, job_id)
    return tap.answer(job, request.args.get("seen"), _links(key_id, verb, job))


@blueprint.post("/<job_id>/again")
@panel_page(Role.OPERATOR)
def again(key_id: str, verb: str, job_id: str) -> ResponseReturnValue:
    """Queue an interrupted job once more."""
    job = _job(_key(key_id)[0], verb, job_id)
    with transaction():
        if jobs.settle(job).state == JobState.INTERRUPTED:
            jobs.requeue(job, web.actor())
    return redirect(url_for(".show", key_id=key_id, verb=verb, job_id=job_id))


@blueprint.post("/<job_id>/cancel")
@panel_page(Role.OPERATOR)
def cancel(key_id: str, verb: str, job_id: str) -> ResponseReturnValue:
    """Stop the job; the station says so too."""
    key, user = _key(key_id)
    job = _job(key, verb, job_id)
    with transaction():
        if job.state in jobs.OPEN:
            jobs.cancel(job, web.actor())
    return redirect(_back(user)["url"])


def _queue(op: Op, station: Station, key: SecurityKey) -> Job:
    if op is Op.CHANGE_PIN:
        return orders.queue_pin_change(station, key, web.actor())
    if op is Op.RESET:
        return orders.queue_reset(station, key, web.actor())
    return orders.queue_enrolment(station, key, services(), web.actor())


def _allowed(user: User, verb: str) -> ResponseReturnValue | None:
    """Change PIN is the holder's own affair; the others act for somebody else (R25, step-up)."""
    if OPS[verb] is Op.CHANGE_PIN:
        return None
    access.check_may_activate(web.panel_account(), user)
    try:
        access.require_step_up(web.panel_session())
    except StepUpNeeded:
        return redirect(url_for("sign_in.step_up", next=request.path))
    return None


def _form(key: SecurityKey, user: User, verb: str, form: StationForm) -> ResponseReturnValue:
    form.station.choices = station_choice.choices(user)
    words = _words(key, verb)
    return render_template(
        "panel/tap.html",
        title=words.title,
        lead=words.lead,
        live=None,
        form=form,
        start_label=words.start,
        warning=words.warning,
        station_url=url_for("stations.state_of_choice", user_id=user.resource_id),
        station_state=station_choice.state(form.station.data, user),
        back=_back(user),
    )


def _words(key: SecurityKey, verb: str) -> Words:
    if OPS[verb] is Op.CHANGE_PIN:
        return Words(
            _("Change PIN"),
            _(
                "The holder types the present and the new PIN of “%(key)s” at the reader.",
                key=key.name,
            ),
            _("Start"),
        )
    if OPS[verb] is Op.RESET:
        return Words(
            _("Reset card"),
            _("“%(key)s” is empty afterwards and can be assigned again.", key=key.name),
            _("Reset card"),
            (
                _("The sign-ins of every site on this card are wiped, not only ours."),
                _("Tap the card when the screen asks, and confirm at the reader."),
            ),
        )
    return Words(
        _("Assign Contactless Card"),
        _("Give “%(key)s” its card here instead of by link.", key=key.name),
        _("Assign Contactless Card"),
    )


def _links(key_id: str, verb: str, job: Job) -> Links:
    def to(endpoint: str) -> str:
        return url_for(endpoint, key_id=key_id, verb=verb, job_id=job.resource_id)

    return Links(poll=to(".state"), retry=to(".again"), cancel=to(".cancel"))


def _job(key: SecurityKey, verb: str, job_id: str) -> Job:
    job = jobs.get(job_id)
    if job.key_id != key.id or job.op != OPS[verb]:
        raise NotFound(_("There is no such job."))
    return job


def _key(key_id: str) -> tuple[SecurityKey, User]:
    key = keys.get_key(key_id)
    if key.user is None:
        raise NotFound(_("There is no such key."))
    return key, key.user


def _back(user: User) -> dict[str, str]:
    return {"label": user.display_name, "url": url_for("users.user", user_id=user.resource_id)}
