# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The Timeline: everything that happened to one person, in one readable order.

What a directory sent, who assigned what, taps, mails and sign-ins; each line with its number in
the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from peewee import Expression

from provisioning import directory
from provisioning.audit import Event
from provisioning.models import AuditEvent, User

from . import timeline
from .timeline import Moment
from .web import panel_page

blueprint = Blueprint("user_timeline", __name__, url_prefix="/users/<user_id>/timeline")

PAGE = 50


@dataclass(frozen=True)
class _Part:
    """One part of a person's story: its label, and the events that it is made of."""

    label: Any
    areas: tuple[str, ...] = ()  # first words of events
    by: str = ""  # kind of actor


PARTS: dict[str, _Part] = {
    "": _Part(_l("Everything")),
    "directory": _Part(_l("From directories"), by="connection"),
    "keys": _Part(_l("Keys and cards"), ("key", "card", "approval", "job", "pin", "link")),
    "mail": _Part(_l("Mail"), ("mail",)),
    "sign-ins": _Part(_l("Sign-ins")),
}
_SIGN_INS = (Event.USER_SIGNED_IN, Event.USER_SIGNED_OUT, Event.SIGN_IN_REFUSED)


@blueprint.get("", endpoint="timeline")
@panel_page()
def show(user_id: str) -> ResponseReturnValue:
    """Show a page of it, the newest first."""
    user = directory.get_user(user_id)
    part = request.args.get("show", "")
    part = part if part in PARTS else ""
    after = request.args.get("after", 0, type=int) or 0
    events, more = page(user, part, after)
    here: dict[str, Any] = {"user_id": user_id, "show": part or None}
    return render_template(
        "panel/user_timeline.html",
        user={"name": user.display_name, "url": url_for("users.user", user_id=user_id)},
        users_url=url_for("users.users"),
        tabs=[
            {
                "label": one.label,
                "url": url_for(".timeline", user_id=user_id, show=name or None),
                "current": name == part,
            }
            for name, one in PARTS.items()
        ],
        events=events,
        log_url=url_for("activity.activity", person=user_id),
        pager={
            "shown": _("%(some)s shown", some=len(events)),
            "first_url": url_for(".timeline", **here) if after else None,
            "previous_url": None,
            "next_url": url_for(".timeline", after=events[-1].id, **here) if more else None,
        },
    )


def page(user: User, part: str = "", after: int = 0, size: int = PAGE) -> tuple[list[Moment], bool]:
    """Return a page of a person's story and whether there is more; `after` is a line's number."""
    query = AuditEvent.select().where(
        AuditEvent.user == user,
        AuditEvent.event.not_in([event.value for event in timeline.NOISE]),
    )
    if after:
        query = query.where(AuditEvent.id < after)
    if part:
        query = query.where(_is(part))
    rows = list(query.order_by(AuditEvent.id.desc()).limit(size + 1))
    return [timeline.moment(row) for row in rows[:size]], len(rows) > size


def _is(part: str) -> Expression:
    wanted = PARTS[part]
    if wanted.by:
        by: Expression = AuditEvent.actor_kind == wanted.by
        return by
    if part == "sign-ins":
        return AuditEvent.event.in_([event.value for event in _SIGN_INS])
    kinds = [event.value for event in Event if event.value.split(".")[0] in wanted.areas]
    return AuditEvent.event.in_(kinds)
