# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Assign Contactless Card: from the button to a tapped card, inside the wizard."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import access, jobs, keys, orders
from provisioning.access import Role
from provisioning.clock import now_ms
from provisioning.db import transaction
from provisioning.errors import InvalidValue, StepUpNeeded, Taken, WrongState
from provisioning.lifecycle import JobState, KeyKind
from provisioning.models import Station, WizardDraft
from provisioning.services import services

from . import (
    station_choice,
    tap,
    web,
    wizard_confirm,
    wizard_draft,
    wizard_forms,
    wizard_view,
)
from .web import panel_page
from .wizard_draft import Step, Typed

blueprint = Blueprint("wizard_card", __name__, url_prefix="/users/new/<draft_id>/card")


def begin(row: WizardDraft, typed: Typed) -> ResponseReturnValue:
    """Queue the enrolment at the chosen reader and show the live panel.

    Activating for somebody else asks for the admin's key first; the wish is kept meanwhile.
    """
    access.check_may_activate(web.panel_account(), row.user)
    here = redirect(wizard_view.step_url(row, Step.SECURITY_KEY))
    typed.faults.pop(Step.SECURITY_KEY, None)
    typed.assign_at = 0
    form = wizard_forms.key_form(row, typed, services(), check=True)
    if form.errors or form.method.data != "admin" or not form.assign_key.data:
        typed.seen = list(dict.fromkeys([*typed.seen, Step.SECURITY_KEY]))
        _keep(row, typed)
        return here
    try:
        access.require_step_up(web.panel_session())
    except StepUpNeeded:
        typed.assign_at = now_ms()
        _keep(row, typed)
        return redirect(
            url_for("sign_in.step_up", next=wizard_view.step_url(row, Step.SECURITY_KEY))
        )
    try:
        station = station_choice.chosen(typed.key.get("station", ""))
        with transaction():
            _queue(row, typed, station)
            wizard_draft.save(row, typed)
    except (InvalidValue, Taken) as error:
        field = "key_name" if error.field == "key_name" else "station"
        typed.faults[Step.SECURITY_KEY] = {field: str(error)}
        _keep(row, typed)
        return here
    station_choice.remember(here, station)
    return here


def give_back(row: WizardDraft) -> None:
    """Give back a card that is not wanted any more, and say what is on it now."""
    left = wizard_view.on_card(wizard_draft.key_job(row))
    with transaction():
        wizard_confirm.drop_card(row, web.actor())
    if left:
        flash(left, "warning")


@blueprint.get("")
@panel_page(Role.OPERATOR)
def state(draft_id: str) -> ResponseReturnValue:
    """Answer the live panel's poll: 204 while nothing changed."""
    row = wizard_draft.load(draft_id, web.panel_account())
    job = wizard_draft.key_job(row)
    if row.state != "open" or job is None:
        answer = Response(status=204)
        answer.headers["HX-Refresh"] = "true"
        return answer
    if request.args.get("seen") == tap.version_of(tap.current(job)):
        return Response(status=204)
    typed = wizard_draft.read(row)
    return render_template(
        "panel/wizard/assign.html",
        live=wizard_view.live(row),
        polled=True,
        next_blocked=wizard_forms.blocked(row, typed),
    )


@blueprint.post("/again")
@panel_page(Role.OPERATOR)
def again(draft_id: str) -> ResponseReturnValue:
    """Queue the same assignment once more; a card begun before goes on with its PIN."""
    row = wizard_draft.load(draft_id, web.panel_account())
    if row.state != "open":
        raise WrongState(_("This wizard is finished already."))
    return begin(row, wizard_draft.read(row))


@blueprint.post("/cancel")
@panel_page(Role.OPERATOR)
def cancel(draft_id: str) -> ResponseReturnValue:
    """Stop the assignment; the wizard stays at its step."""
    row = wizard_draft.load(draft_id, web.panel_account())
    if row.state == "open":
        give_back(row)
    return redirect(wizard_view.step_url(row, Step.SECURITY_KEY))


@blueprint.post("/by-user")
@panel_page(Role.OPERATOR)
def by_user(draft_id: str) -> ResponseReturnValue:
    """Give the card up and let the user activate it."""
    row = wizard_draft.load(draft_id, web.panel_account())
    if row.state == "open":
        give_back(row)
        typed = wizard_draft.read(row)
        typed.key["method"] = "user"
        _keep(row, typed)
    return redirect(wizard_view.step_url(row, Step.SECURITY_KEY))


def _queue(row: WizardDraft, typed: Typed, station: Station) -> None:
    job = wizard_draft.key_job(row)
    if job is not None and job.state in (JobState.QUEUED, JobState.RUNNING, JobState.DONE):
        return  # pressed twice
    name = wizard_draft.key_name(row, typed)
    if row.key is None:
        kind = KeyKind.CONTACTLESS_CARD
        row.key = keys.draft(kind, name, "admin", user=row.user, actor=web.actor())
    elif row.key.name != name:
        keys.rename(row.key, name, web.actor())
    job = orders.queue_enrolment(station, row.key, services(), web.actor())
    jobs.tell(job, person=wizard_draft.person_name(row, typed))


def _keep(row: WizardDraft, typed: Typed) -> None:
    with transaction():
        wizard_draft.save(row, typed)
