# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Assign Contactless Card: from the button to a tapped card, inside the wizard."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import keys
from provisioning.clock import now_ms
from provisioning.desks import jobs, orders
from provisioning.desks.jobs import Op, Wipe
from provisioning.errors import InvalidValue, StepUpNeeded, Taken, WrongState
from provisioning.lifecycle import JobState, KeyKind
from provisioning.models import Job, Station, WizardDraft
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..desks import station_choice, tap
from ..forms import StationForm
from ..keys import reader_verbs
from ..keys.reader_verbs import Verb
from ..web import panel_page
from . import confirm, drafts, forms, view
from .drafts import Step, Typed

blueprint = Blueprint("wizard_card", __name__, url_prefix="/users/new/<draft_id>/card")


def begin(row: WizardDraft, typed: Typed) -> ResponseReturnValue:
    """Queue the enrolment at the chosen reader and show the live panel.

    Activating for somebody else asks for the admin's key first; the wish is kept meanwhile.
    """
    web.check_may_activate(row.user)
    here = redirect(view.step_url(row, Step.SECURITY_KEY))
    typed.faults.pop(Step.SECURITY_KEY, None)
    typed.assign_at = 0
    form = forms.key_form(row, typed, services(), check=True)
    no_card = form.kind.data != KeyKind.CONTACTLESS_CARD
    if form.errors or form.method.data != "admin" or not form.assign_key.data or no_card:
        typed.seen = list(dict.fromkeys([*typed.seen, Step.SECURITY_KEY]))
        _keep(row, typed)
        return here
    try:
        access.require_step_up(web.panel_session())
    except StepUpNeeded:
        typed.assign_at = now_ms()
        _keep(row, typed)
        return redirect(url_for("sign_in.step_up", next=view.step_url(row, Step.SECURITY_KEY)))
    try:
        station = station_choice.chosen(typed.key.get("station", ""))
        with transaction():
            _queue(row, typed, station)
            drafts.save(row, typed)
    except (InvalidValue, Taken) as error:
        field = "key_name" if error.field == "key_name" else "station"
        typed.faults[Step.SECURITY_KEY] = {field: str(error)}
        _keep(row, typed)
        return here
    station_choice.remember(here, station)
    return here


def give_back(row: WizardDraft) -> None:
    """Give back a card that is not wanted any more, and say what is on it now."""
    left = view.given_back(row)
    with transaction():
        confirm.drop_card(row, web.actor())
    if left:
        flash(left, "warning")


@blueprint.get("")
@panel_page(Role.OPERATOR)
def state(draft_id: str) -> ResponseReturnValue:
    """Answer the live panel's poll: 204 while nothing changed."""
    row = drafts.load(draft_id, web.panel_account())
    job = drafts.card_job(row)
    if row.state != "open" or job is None:
        answer = Response(status=204)
        answer.headers["HX-Refresh"] = "true"
        return answer
    if request.args.get("seen") == tap.version_of(tap.current(job)):
        return Response(status=204)
    typed = drafts.read(row)
    return render_template(
        "panel/wizard/assign.html",
        live=view.live(row),
        polled=True,
        next_blocked=forms.blocked(row, typed),
        leaving=view.leaving(row),
    )


@blueprint.post("/again")
@panel_page(Role.OPERATOR)
def again(draft_id: str) -> ResponseReturnValue:
    """Queue the same assignment once more; a card begun before goes on with its PIN."""
    row = _open(draft_id)
    reset_job = drafts.card_job(row)
    if reset_job is not None and reset_job.op == Op.RESET:
        with transaction():
            if jobs.settle(reset_job).state == JobState.INTERRUPTED:
                jobs.requeue(reset_job, web.actor())
        return redirect(view.step_url(row, Step.SECURITY_KEY))
    return begin(row, drafts.read(row))


@blueprint.post("/own-pin")
@panel_page(Role.OPERATOR, step_up=True)
def own_pin(draft_id: str) -> ResponseReturnValue:
    """Go on with the PIN that the card has: its holder types it at the reader."""
    row, job = _stopped(draft_id)
    policy = drafts.ruling(row, drafts.read(row), services()).policy
    key = jobs.key_of(job)
    with transaction():
        again = orders.queue_enrolment(
            job.station, key, services(), web.actor(), own_pin=True, policy=policy
        )
        jobs.tell(again, person=jobs.card_of(job).get("person"))
    return redirect(view.step_url(row, Step.SECURITY_KEY))


@blueprint.route("/reset", methods=["GET", "POST"])
@panel_page(Role.OPERATOR, step_up=True)
def reset(draft_id: str) -> ResponseReturnValue:
    """Say what a reset does, then wipe the card and assign it while it lies there."""
    row, job = _stopped(draft_id)
    back = view.step_url(row, Step.SECURITY_KEY)
    words = reader_verbs.words(jobs.key_of(job), Verb.BLANK)
    form = StationForm(station=job.station.resource_id)
    form.station.choices = station_choice.choices(row.user)
    if not form.validate_on_submit():
        return render_template(
            "panel/tap.html",
            title=words.title,
            lead=words.lead,
            live=None,
            form=form,
            start_label=words.start,
            warning=words.warning,
            station_url=url_for("wizard_live.station", draft_id=row.resource_id),
            station_state=station_choice.state(form.station.data, row.user),
            back={"label": view.title(row), "url": back},
        )
    with transaction():
        wipe = orders.queue_reset(
            station_choice.chosen(form.station.data or ""),
            jobs.key_of(job),
            services(),
            web.actor(),
            Wipe.BLANK,
        )
        jobs.tell(wipe, person=jobs.card_of(job).get("person"))
    return redirect(back)


@blueprint.post("/cancel")
@panel_page(Role.OPERATOR)
def cancel(draft_id: str) -> ResponseReturnValue:
    """Stop the assignment; the wizard stays at its step."""
    row = drafts.load(draft_id, web.panel_account())
    if row.state == "open":
        give_back(row)
    return redirect(view.step_url(row, Step.SECURITY_KEY))


@blueprint.post("/by-user")
@panel_page(Role.OPERATOR)
def by_user(draft_id: str) -> ResponseReturnValue:
    """Give the card up and let the user activate it."""
    row = drafts.load(draft_id, web.panel_account())
    if row.state == "open":
        give_back(row)
        typed = drafts.read(row)
        typed.key["method"] = "user"
        _keep(row, typed)
    return redirect(view.step_url(row, Step.SECURITY_KEY))


def _open(draft_id: str) -> WizardDraft:
    row = drafts.load(draft_id, web.panel_account())
    if row.state != "open":
        raise WrongState(_("This wizard is finished already."))
    return row


def _stopped(draft_id: str) -> tuple[WizardDraft, Job]:
    """Return the draft and the assignment that stopped at its card; raises WrongState, Forbidden.

    What is done about it writes somebody's card as the assignment does (R25).
    """
    row = _open(draft_id)
    web.check_may_activate(row.user)
    job = drafts.key_job(row)
    if job is None or tap.current(job).state != JobState.INTERRUPTED:
        raise WrongState(_("The card is not waiting for this any more."))
    return row, job


def _queue(row: WizardDraft, typed: Typed, station: Station) -> None:
    job = drafts.key_job(row)
    if job is not None and job.state in (JobState.QUEUED, JobState.RUNNING, JobState.DONE):
        return  # pressed twice
    name = drafts.key_name(row, typed)
    if row.key is None:
        kind = KeyKind.CONTACTLESS_CARD
        row.key = keys.draft(kind, name, "admin", user=row.user, actor=web.actor())
    elif row.key.name != name:
        keys.rename(row.key, name, web.actor())
    policy = drafts.ruling(row, typed, services()).policy
    job = orders.queue_enrolment(station, row.key, services(), web.actor(), policy=policy)
    jobs.tell(job, person=drafts.person_name(row, typed))


def _keep(row: WizardDraft, typed: Typed) -> None:
    with transaction():
        drafts.save(row, typed)
