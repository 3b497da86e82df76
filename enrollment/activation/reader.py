# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Activation at a reader, and the change of PIN that a new card insists on."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.desks import jobs, orders
from provisioning.desks.jobs import Op, PinMode
from provisioning.errors import InvalidValue, PolicyForbids, WrongState
from provisioning.issuing import activations, group_policies
from provisioning.lifecycle import JobState
from provisioning.models import Job
from provisioning.services import services
from provisioning.settings import PinDelivery
from provisioning.storage.db import transaction

from ..desks import desk_job, station_choice, tap
from . import visit
from .visit import Visit

blueprint = Blueprint("activation_reader", __name__, url_prefix="/activate")
visit.guard(blueprint)


@blueprint.get("/station")
def page() -> ResponseReturnValue:
    """Let the person choose a reader; then show what happens there."""
    here = visit.current()
    if here.is_finished:
        return redirect(url_for("activation.done"))
    activations.check_live(here.activation)
    job = None if "choose" in request.args else _job_of(here, Op.ENROL)
    may_choose = _mails_pin(here)
    return render_template(
        "activation/station.html",
        key={"name": here.key.name, "kind": here.key.kind},
        stations=desk_job.listed(here.user),
        states_url=url_for("desk_job.readers"),
        live=desk_job.panel(job) if job is not None else None,
        start_url=url_for(".start"),
        pin_mode=job.pin_mode if job is not None else "server" if may_choose else "own",
        pin_choice=may_choose,
        driver_url=url_for("activation_driver.page"),
        back_url=url_for("activation.choose"),
    )


@blueprint.post("/station")
def start() -> ResponseReturnValue:
    """Queue the enrolment at the chosen reader."""
    here = visit.inside()
    own = not _mails_pin(here) or request.form.get("pin") == PinMode.OWN
    try:
        station = station_choice.chosen(request.form.get("station", ""))
        with transaction():
            here = visit.inside()
            _take_over(here)
            job = orders.queue_enrolment(
                station, here.key, services(), here.actor, own_pin=own, session=here.session
            )
    except (InvalidValue, WrongState, PolicyForbids) as refused:
        flash(str(refused), "error")
        return redirect(url_for(".page", choose=1), 303)
    return desk_job.begun(job, url_for(".page"))


@blueprint.get("/change-pin")
def pin_page() -> ResponseReturnValue:
    """The PIN that came by mail serves for one thing: to be replaced."""
    here = visit.current()
    if not here.is_finished:
        return redirect(url_for("activation.choose"))
    job = None if "choose" in request.args else _job_of(here, Op.CHANGE_PIN)
    return render_template(
        "activation/tap.html",
        title=_("Change the PIN"),
        lead=_(
            "Have the PIN from the mail ready. In the window at the reader you type it, then one "
            "of your own."
        ),
        live=desk_job.panel(job) if job is not None else None,
        stations=desk_job.listed(here.user),
        states_url=url_for("desk_job.readers"),
        start_url=url_for(".start_pin"),
        start_label=_("Change the PIN at this reader"),
        back={"label": _("Back"), "url": url_for("activation.done")},
    )


@blueprint.post("/change-pin")
def start_pin() -> ResponseReturnValue:
    """Queue the change of PIN at the chosen reader."""
    here = visit.current()
    try:
        station = station_choice.chosen(request.form.get("station", ""))
        with transaction():
            job = orders.queue_pin_change(station, here.key, here.actor)
    except (InvalidValue, WrongState) as refused:
        flash(str(refused), "error")
        return redirect(url_for(".pin_page", choose=1), 303)
    return desk_job.begun(job, url_for(".pin_page"))


def _mails_pin(here: Visit) -> bool:
    policy = group_policies.of_user(here.user, services().settings).policy
    return policy.pin_delivery is PinDelivery.MAIL


def _job_of(here: Visit, op: Op) -> Job | None:
    """Return what this visit has under way at a reader, or None."""
    job = jobs.of_key(here.key, op)
    if job is None or (op is Op.ENROL and job.session_id != here.session.id):
        return None
    job = tap.current(job)
    return job if job.state in jobs.OPEN else None


def _take_over(here: Visit) -> None:
    """Let go of the same key's job that another tab, or a scanner, left waiting."""
    job = jobs.of_key(here.key, Op.ENROL)
    if job is not None and job.state in (JobState.QUEUED, JobState.RUNNING):
        jobs.interrupt(job, "cancelled_at_desk", here.actor)
