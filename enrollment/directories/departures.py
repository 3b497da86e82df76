# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A mass departure that is held: an officer says whether it is meant (R17)."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from provisioning.clock import HOUR, now_ms
from provisioning.models import MassDeparture, User
from provisioning.pages import figures
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction
from provisioning.upstream import departures, guard

from .. import tasks, web
from ..keys.items import Action, Ask
from ..web import panel_page

SAMPLE = 50

blueprint = Blueprint("departures", __name__, url_prefix="/departures")

tasks.WORDS[departures.TAKE_BACK.name] = tasks.Words(
    _l("Taking a mass departure back"), _l("Overview"), "overview.overview", "undo-2"
)


@blueprint.get("/<int:number>")
@panel_page()
def page(number: int) -> ResponseReturnValue:
    """Show whom it holds, and what either decision does, in numbers."""
    held = guard.get(number)
    users = guard.count(held)
    after = web.position()
    shown = _sample(held, after)
    return render_template(
        "panel/departure.html",
        connection=held.connection.name,
        since=held.started_at,
        count=users,
        people=shown,
        pager={
            "shown": _("%(some)s of %(all)s shown", some=len(shown), all=figures.number(users)),
            "first_url": url_for(".page", number=number) if after else None,
            "next_url": url_for(".page", number=number, after=shown[-1]["row"])
            if len(shown) == SAMPLE
            else None,
        },
        actions=_actions(held, users) if web.may(Role.OFFICER) else [],
    )


@blueprint.post("/<int:number>/approve")
@panel_page(Role.OFFICER)
def approve(number: int) -> ResponseReturnValue:
    """It is meant: their grace time goes on."""
    first = web.step_up_first(url_for(".page", number=number))
    if first is not None:
        return first
    with transaction():
        users = guard.approve(guard.get(number), web.actor())
    words = ngettext(
        "Approved: the keys of %(num)s person are revoked after the grace time.",
        "Approved: the keys of %(num)s people are revoked after the grace time.",
        users,
    )
    flash(words, "success")
    return redirect(url_for("overview.overview"), 303)


@blueprint.post("/<int:number>/reject")
@panel_page(Role.OFFICER)
def reject(number: int) -> ResponseReturnValue:
    """It is not: everybody comes back, bit by bit, while one may leave the page."""
    first = web.step_up_first(url_for(".page", number=number))
    if first is not None:
        return first
    with transaction():
        task = departures.take_back(guard.get(number), web.actor())
    return redirect(url_for("tasks.task", task_id=task.resource_id), 303)


def _sample(held: MassDeparture, after: int) -> list[dict[str, object]]:
    users = (
        User.select(User.id, User.resource_id, User.display_name, User.email, User.deleted_at)
        .where(User.departure == held, User.id > after)
        .order_by(User.id)
        .limit(SAMPLE)
    )
    return [
        {
            "row": user.id,
            "name": user.display_name,
            "email": user.email,
            "deleted": user.deleted_at is not None,
            "url": url_for("users.user", user_id=user.resource_id)
            if user.deleted_at is None
            else None,
        }
        for user in users
    ]


def _actions(held: MassDeparture, users: int) -> list[Action]:
    grace = services().settings.leaver_grace_hours
    number = ngettext("%(num)s person", "%(num)s people", users)
    over = now_ms() - held.started_at > grace * HOUR
    when = _("at once") if over else _("after %(hours)s hours from when they left", hours=grace)
    meant = Ask(
        _("Is this meant?"),
        [
            _("The keys of %(people)s are revoked for good, %(when)s.", people=number, when=when),
            _("You are asked for your own key first, unless you used it within the hour."),
        ],
        _("Yes, they have left"),
    )
    back = Ask(
        _("Take it all back?"),
        [
            _(
                "%(people)s are active again, and the keys that this suspended work again.",
                people=number,
            ),
            _("If the directory still means it, it will say so again."),
        ],
        _("Take it back"),
        tone="primary",
    )
    return [
        Action(
            _("Take it back"), url_for(".reject", number=held.id), "undo-2", "primary", ask=back
        ),
        Action(
            _("Approve"), url_for(".approve", number=held.id), "check", "danger-quiet", ask=meant
        ),
    ]
