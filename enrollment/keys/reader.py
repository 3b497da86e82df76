# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is done to a user's card at a reader, from the user's page; see `reader_verbs`."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import keys
from provisioning.desks import jobs, orders, wipes
from provisioning.errors import InvalidValue, NotFound, StepUpNeeded, Taken, WrongState
from provisioning.issuing import badges
from provisioning.lifecycle import JobState
from provisioning.models import Job, SecurityKey, Station, User
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..desks import station_choice, tap
from ..desks.tap import Links
from ..forms import StationForm
from ..web import panel_page
from . import reader_verbs
from .reader_verbs import Verb

_ANY = ",".join(f"'{verb}'" for verb in Verb)

blueprint = Blueprint("key_reader", __name__, url_prefix=f"/keys/<key_id>/<any({_ANY}):verb>")


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
            job = _queue(Verb(verb), station, key)
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
    then = _then(job)
    if then:
        return redirect(then)
    words = reader_verbs.words(key, Verb(verb))
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
    job = tap.current(_job(_key(key_id)[0], verb, job_id))
    return tap.answer(job, request.args.get("seen"), _links(key_id, verb, job), then=_then(job))


@blueprint.post("/<job_id>/again")
@panel_page(Role.OPERATOR)
def again(key_id: str, verb: str, job_id: str) -> ResponseReturnValue:
    """Queue an interrupted job once more; whoever asks now must be one who may."""
    key, user = _key(key_id)
    first = _allowed(user, verb)
    if first is not None:
        return first
    job = _job(key, verb, job_id)
    with transaction():
        if jobs.settle(job).state == JobState.INTERRUPTED:
            jobs.requeue(job, web.actor())
    return redirect(url_for(".show", key_id=key_id, verb=verb, job_id=job_id))


@blueprint.post("/<job_id>/badge")
@panel_page(Role.OPERATOR)
def badge(key_id: str, verb: str, job_id: str) -> ResponseReturnValue:
    """Keep the plain badge that was tapped as an identifier of its holder; it is no key."""
    key, user = _key(key_id)
    job = tap.current(_job(key, verb, job_id))
    if job.fault != "not_fido":
        raise WrongState(_("No plain badge was tapped."))
    try:
        with transaction():
            uid = badges.uid_of(jobs.card_of(job))
            badges.add(user, uid, services(), web.actor())
            if job.state in jobs.OPEN:
                jobs.cancel(job, web.actor())
    except (InvalidValue, Taken) as error:
        flash(str(error), "error")
        return redirect(url_for(".show", key_id=key_id, verb=verb, job_id=job_id))
    flash(_("Kept as an identifier. It is not a key: assign a FIDO2 card as well."), "success")
    return redirect(_back(user)["url"])


@blueprint.post("/<job_id>/own-pin")
@panel_page(Role.OPERATOR)
def own_pin(key_id: str, verb: str, job_id: str) -> ResponseReturnValue:
    """Go on with the PIN that the card has: its holder types it at the reader."""
    key, user = _key(key_id)
    first = _allowed(user, verb)
    if first is not None:
        return first
    job = tap.current(_job(key, verb, job_id))
    with transaction():
        job = orders.queue_enrolment(job.station, key, services(), web.actor(), own_pin=True)
    return redirect(url_for(".show", key_id=key_id, verb=verb, job_id=job.resource_id))


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


def _queue(verb: Verb, station: Station, key: SecurityKey) -> Job:
    if verb is Verb.CHANGE_PIN:
        return orders.queue_pin_change(station, key, web.actor())
    if verb is Verb.FORCE_CHANGE:
        return orders.queue_forced_change(station, key, web.actor())
    if verb is Verb.ASSIGN:
        return orders.queue_enrolment(station, key, services(), web.actor())
    return orders.queue_reset(station, key, services(), web.actor(), reader_verbs.wipe_of(verb))


def _allowed(user: User, verb: str) -> ResponseReturnValue | None:
    if Verb(verb) in reader_verbs.UNGUARDED:
        return None
    web.check_may_activate(user)
    try:
        access.require_step_up(web.panel_session())
    except StepUpNeeded:
        return redirect(url_for("sign_in.step_up", next=request.path))
    return None


def _form(key: SecurityKey, user: User, verb: str, form: StationForm) -> ResponseReturnValue:
    form.station.choices = station_choice.choices(user)
    words = reader_verbs.words(key, Verb(verb))
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


def _links(key_id: str, verb: str, job: Job) -> Links:
    def to(endpoint: str) -> str:
        return url_for(endpoint, key_id=key_id, verb=verb, job_id=job.resource_id)

    links = Links(
        poll=to(".state"),
        retry=to(".again"),
        cancel=to(".cancel"),
        change_pin=url_for(".choose", key_id=key_id, verb=Verb.CHANGE_PIN),
    )
    if verb != Verb.ASSIGN:
        return links
    return replace(
        links,
        own_pin=to(".own_pin"),
        badge=to(".badge"),
        reset=url_for(".choose", key_id=key_id, verb=Verb.BLANK),
    )


def _then(job: Job) -> str:
    """Return where a finished reset goes on: the card is enrolled while it lies there."""
    enrolment = wipes.follow_up(job) if job.state == JobState.DONE else None
    if enrolment is None:
        return ""
    key_id = jobs.key_of(job).resource_id
    return url_for(".show", key_id=key_id, verb=Verb.ASSIGN, job_id=enrolment.resource_id)


def _job(key: SecurityKey, verb: str, job_id: str) -> Job:
    job = jobs.get(job_id)
    if job.key_id != key.id or not reader_verbs.is_of(job, Verb(verb)):
        raise NotFound(_("There is no such job."))
    return job


def _key(key_id: str) -> tuple[SecurityKey, User]:
    key = keys.get_key(key_id)
    if key.user is None:
        raise NotFound(_("There is no such key."))
    return key, key.user


def _back(user: User) -> dict[str, str]:
    return {"label": user.display_name, "url": url_for("users.user", user_id=user.resource_id)}
