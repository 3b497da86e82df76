# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The New User wizard, step by step, and its second half for a user who is there already.

Every post keeps what was typed and moves on by a redirect, so that reload and Back are harmless;
a second tab that has other answers is shown both; Confirm happens once.
"""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.exceptions import NotFound as NoSuchPage

from provisioning import directory
from provisioning.clock import MINUTE, now_ms
from provisioning.errors import Forbidden, WrongState
from provisioning.models import WizardDraft
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import kept, web
from ..web import panel_page
from . import card, confirm, drafts, forms, others, pages, tabs, view
from .drafts import Step, Typed

blueprint = Blueprint("wizard", __name__, url_prefix="/users")

_ASSIGN_WAITS = 10 * MINUTE  # for the step-up that came in between


@blueprint.get("/new")
@panel_page(Role.OPERATOR)
def new() -> ResponseReturnValue:
    """Begin with a new user."""
    with transaction():
        row = drafts.start(web.panel_account())
    return redirect(view.step_url(row, Step.USER_INFORMATION))


@blueprint.get("/<user_id>/assign")
@panel_page(Role.OPERATOR)
def assign_key(user_id: str) -> ResponseReturnValue:
    """Begin at the key for a user who is there already."""
    user = directory.get_user(user_id)
    if not user.active:
        raise WrongState(_("%(name)s is suspended: reactivate first.", name=user.display_name))
    with transaction():
        row = drafts.start(web.panel_account(), user)
        old = request.args.get("replaces", "")
        if old:
            typed = Typed(replaces=old)
            drafts.replaced(row, typed)  # somebody else's is not there
            drafts.save(row, typed)
    return redirect(view.step_url(row, Step.SECURITY_KEY))


@blueprint.get("/new/<draft_id>/<any('user-information',groups,'security-key',review):step>")
@panel_page(Role.OPERATOR)
def show(draft_id: str, step: str) -> ResponseReturnValue:
    """Show a step with what was typed."""
    row = drafts.load(draft_id, web.panel_account())
    if row.state != "open":
        return _is_over(row)
    here = Step(step)
    if here not in drafts.steps_of(row):
        raise NoSuchPage
    typed = drafts.read(row)
    late = kept.take()
    if late is not None:  # sent when the session had ended
        both = tabs.clash(row, typed, here, late)
        if both is not None:
            return pages.PAGES[here](row, *both)
        tabs.take(row, typed, here, late)
        with transaction():
            drafts.save(row, typed)
    if here is Step.SECURITY_KEY and _assignment_waits(typed):
        return card.begin(row, typed)
    if here is Step.REVIEW:
        missing = _first_missing(row, typed)
        if missing is not None:
            return redirect(view.step_url(row, missing))
    return pages.PAGES[here](row, typed, None)


@blueprint.post("/new/<draft_id>/user-information")
@panel_page(Role.OPERATOR)
def keep_user_information(draft_id: str) -> ResponseReturnValue:
    """Keep step 1."""
    row, typed = _open(draft_id)
    other = _take(row, typed, Step.USER_INFORMATION)
    if other is not None:
        return other
    return _onward(row, typed, Step.USER_INFORMATION)


@blueprint.post("/new/<draft_id>/groups")
@panel_page(Role.OPERATOR)
def keep_groups(draft_id: str) -> ResponseReturnValue:
    """Keep step 2."""
    row, typed = _open(draft_id)
    other = _take(row, typed, Step.GROUPS)
    if other is not None:
        return other
    return _onward(row, typed, Step.GROUPS)


@blueprint.post("/new/<draft_id>/security-key")
@panel_page(Role.OPERATOR)
def keep_security_key(draft_id: str) -> ResponseReturnValue:
    """Keep step 3; Assign goes to the card, Next only with a card or by the user."""
    row, typed = _open(draft_id)
    other = _take(row, typed, Step.SECURITY_KEY)
    if other is not None:
        return other
    if request.form.get("go") == "assign":
        return card.begin(row, typed)
    if request.form.get("go") == "next":
        reason = forms.blocked(row, typed)
        if reason:
            flash(reason, "warning")
        elif drafts.plan(typed) is not drafts.Plan.TAPPED:
            card.give_back(row)
    return _onward(row, typed, Step.SECURITY_KEY)


@blueprint.post("/new/<draft_id>/review")
@panel_page(Role.OPERATOR)
def finish(draft_id: str) -> ResponseReturnValue:
    """Confirm, or go back to a step."""
    row = drafts.load(draft_id, web.panel_account())
    if row.state != "open":
        return _is_over(row)
    typed = drafts.read(row)
    if request.form.get("go") != "confirm":
        return _onward(row, typed, Step.REVIEW)
    missing = _first_missing(row, typed)
    if missing is not None:
        return redirect(view.step_url(row, missing))
    known = web.position("known")
    if others.since(row, web.panel_account(), known):
        # What they did stands on the page now; Confirm then means: all the same.
        return redirect(view.step_url(row, Step.REVIEW))
    new_user = row.user is None
    try:
        with transaction():
            made = confirm.confirm(row, web.panel_account(), services(), web.actor())
    except confirm.REFUSALS as error:
        row = drafts.load(draft_id, web.panel_account())
        blame = confirm.blame(row, error)
        typed.faults.setdefault(blame.step, {})[blame.field] = blame.sentence
        with transaction():
            drafts.save(row, typed)
        return redirect(view.step_url(row, blame.step))
    if made is None:
        return _is_over(drafts.load(draft_id, web.panel_account()))
    return pages.confirmed(made, new_user=new_user)


@blueprint.post("/new/<draft_id>/cancel")
@panel_page(Role.OPERATOR)
def cancel(draft_id: str) -> ResponseReturnValue:
    """Discard what was typed and give a tapped card back, saying what is on it now."""
    row = drafts.load(draft_id, web.panel_account())
    if row.state == "open":
        left = view.given_back(row)
        with transaction():
            row = _open(draft_id)[0]  # it may have been confirmed in another tab just now
            confirm.drop_card(row, web.actor())
            row.state = "cancelled"
            drafts.save(row, Typed())
        flash(
            _("Cancelled. Nobody was added and nothing was sent.")
            if row.user is None
            else _("Cancelled. No key was assigned and nothing was sent."),
            "info",
        )
        if left:
            flash(left, "warning")
    if row.user is not None and row.user.deleted_at is None:
        return redirect(url_for("users.user", user_id=row.user.resource_id))
    return redirect(url_for("users.users"))


class _Over(WrongState):
    """Somebody pressed Back after Confirm or Cancel, and a button there."""

    def __init__(self, row: WizardDraft) -> None:
        super().__init__(_("This wizard is finished already."))
        self.row = row


@blueprint.errorhandler(_Over)
def _over(error: _Over) -> ResponseReturnValue:
    return _is_over(error.row)


def _open(draft_id: str) -> tuple[WizardDraft, Typed]:
    row = drafts.load(draft_id, web.panel_account())
    if row.state != "open":
        raise _Over(row)
    return row, drafts.read(row)


def _take(row: WizardDraft, typed: Typed, step: Step) -> ResponseReturnValue | None:
    """Take the answers that were sent, or return the page of both where another tab has others."""
    both = tabs.clash(row, typed, step, request.form)
    if both is not None:
        return pages.PAGES[step](row, *both), 412
    tabs.take(row, typed, step, request.form)
    return None


def _onward(row: WizardDraft, typed: Typed, step: Step) -> ResponseReturnValue:
    """Keep what was typed and go where the pressed button leads."""
    steps = drafts.steps_of(row)
    go = request.form.get("go", "next")
    if go != "search":
        typed.faults.pop(step, None)
        typed.seen = list(dict.fromkeys([*typed.seen, step]))
        typed.turn += 1
    if step is not Step.REVIEW:
        with transaction():
            drafts.save(row, typed)
    target = step
    if go == "next" and step in forms.finished(row, typed, services()):
        target = steps[min(steps.index(step) + 1, len(steps) - 1)]
    elif go == "previous":
        target = steps[max(steps.index(step) - 1, 0)]
    elif go in set(Step) and Step(go) in steps:
        target = Step(go)
    return redirect(view.step_url(row, target))


def _first_missing(row: WizardDraft, typed: Typed) -> Step | None:
    done = forms.finished(row, typed, services())
    return next((s for s in drafts.steps_of(row) if s not in {*done, Step.REVIEW}), None)


def _assignment_waits(typed: Typed) -> bool:
    if now_ms() - typed.assign_at > _ASSIGN_WAITS:
        return False
    try:
        access.require_step_up(web.panel_session())
    except Forbidden:
        return False
    return True


def _is_over(row: WizardDraft) -> ResponseReturnValue:
    if row.state == "confirmed" and row.user is not None:
        flash(_("This was confirmed already."), "info")
        return redirect(url_for("users.user", user_id=row.user.resource_id))
    flash(_("This wizard was cancelled or has ended."), "info")
    return redirect(url_for("users.users"))
