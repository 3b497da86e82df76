# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Approvals: keys that wait for a second person's word (R25)."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import keys
from provisioning.desks import jobs
from provisioning.errors import Forbidden, WrongState
from provisioning.issuing import approvals, assignment, group_policies
from provisioning.lifecycle import KeyKind, KeyState
from provisioning.models import Approval
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..forms import kind_name
from ..web import panel_page
from .items import Action, Ask

blueprint = Blueprint("approvals", __name__, url_prefix="/approvals")


@blueprint.get("", endpoint="approvals")
@panel_page()
def waiting() -> ResponseReturnValue:
    """Show what waits, the oldest first."""
    after = web.position()
    rows, more = approvals.waiting(after=after)
    waiting_keys = [row.key for row in rows]
    done = jobs.finished_for(waiting_keys) | keys.made_in_person(waiting_keys)
    return render_template(
        "panel/approvals.html",
        rows=[_row(row, tapped=row.key_id in done) for row in rows],
        pager={
            "shown": _("%(some)s shown", some=len(rows)),
            "first_url": url_for(".approvals") if after else None,
            "previous_url": None,
            "next_url": url_for(".approvals", after=rows[-1].id) if more else None,
        },
    )


@blueprint.post("/<approval_id>/approve")
@panel_page(Role.OFFICER)
def approve(approval_id: str) -> ResponseReturnValue:
    """Agree: the key works, or its link is sent."""
    row = approvals.get(approval_id)
    _check_not_mine(row)
    first = web.step_up_first(url_for(".approvals"))
    if first is not None:
        return first
    with transaction():
        assignment.approve(row, web.panel_account(), services())
    words = (
        _("“%(key)s” of %(name)s works from now on.", key=row.key.name, name=row.user.display_name)
        if row.key.state == KeyState.ACTIVE
        else _("A registration link goes to %(name)s.", name=row.user.display_name)
    )
    flash(words, "success")
    return redirect(url_for(".approvals"))


@blueprint.post("/<approval_id>/decline")
@panel_page(Role.OFFICER)
def decline(approval_id: str) -> ResponseReturnValue:
    """Say no: the key is revoked before it ever worked."""
    row = approvals.get(approval_id)
    _check_not_mine(row)
    first = web.step_up_first(url_for(".approvals"))
    if first is not None:
        return first
    with transaction():
        touched = assignment.decline(row, web.panel_account())
    flash(_("“%(key)s” is declined and revoked.", key=row.key.name), "success")
    if touched:
        flash(_("Reset the card before it is used again: nobody knows its PIN."), "warning")
    return redirect(url_for(".approvals"))


@blueprint.post("/ask/<key_id>")
@panel_page(Role.OPERATOR)
def ask(key_id: str) -> ResponseReturnValue:
    """Ask for a key whose person came under such a policy after it was assigned."""
    key = keys.get_key(key_id)
    user = keys.owner_of(key)
    if key.state != KeyState.PENDING:
        raise WrongState(_("This key does not wait for an activation any more."))
    with transaction():
        group_policies.check_role(
            group_policies.of_user(user, services().settings).policy, web.actor()
        )
        approvals.ask(key, user, web.actor())
    flash(_("Another officer is asked to agree."), "success")
    return redirect(url_for("users.user", user_id=user.resource_id))


def _check_not_mine(row: Approval) -> None:
    # Said before anybody is asked for a key: nothing would come of it.
    if row.requested_by_id == web.panel_account().id:
        raise Forbidden(_("Nobody approves their own request: ask another officer."))


def _row(row: Approval, *, tapped: bool) -> dict[str, object]:
    mine = row.requested_by_id == web.panel_account().id
    return {
        "person": row.user.display_name,
        "person_url": url_for("users.user", user_id=row.user.resource_id),
        "key": row.key.name,
        "kind": row.key.kind,
        "device": kind_name(KeyKind(row.key.kind)),
        "how": _("Made already; works when you agree")
        if tapped
        else _("Link is sent when you agree"),
        "requester": row.requester,
        "mine": mine,
        "at": row.created_at,
        "actions": [] if mine or not web.may(Role.OFFICER) else _actions(row, tapped=tapped),
    }


def _actions(row: Approval, *, tapped: bool) -> list[Action]:
    name, key = row.user.display_name, row.key.name
    follows = (
        _("“%(key)s” works at once, and its PIN is handed over as the policy says.", key=key)
        if tapped
        else _("The registration link is sent to %(address)s.", address=row.user.email)
    )
    return [
        Action(
            _("Approve"),
            url_for(".approve", approval_id=row.resource_id),
            "check",
            ask=Ask(
                _("Approve a key for %(name)s?", name=name),
                [_("%(who)s asked for it.", who=row.requester), follows],
                _("Approve"),
                "primary",
            ),
        ),
        Action(
            _("Decline"),
            url_for(".decline", approval_id=row.resource_id),
            "x",
            "danger-quiet",
            ask=Ask(
                _("Decline the key for %(name)s?", name=name),
                [_("“%(key)s” is revoked. It never worked.", key=key)],
                _("Decline"),
            ),
        ),
    ]
