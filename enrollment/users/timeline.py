# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The Timeline: everything that happened to one person, in one readable order.

What a directory sent, who assigned what, taps, mails and sign-ins; each line with its number in
the audit log. Groups that the person is in are told by the memberships themselves, since the log
has one line for a change of a group, however many people it moves.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from peewee import JOIN, Expression

from provisioning import directory
from provisioning.audit import Event
from provisioning.clock import SECOND
from provisioning.models import AuditEvent, Connection, Group, Member, User
from provisioning.pages import audit_list, times
from provisioning.storage.db import tuples

from .. import timeline
from ..timeline import Moment
from ..web import panel_page, position

blueprint = Blueprint("user_timeline", __name__, url_prefix="/users/<user_id>/timeline")

PAGE = 50
_NAMED = 5  # groups that one line names


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
    after = position()
    events, older = page(user, part, after)
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
            "next_url": url_for(".timeline", after=older, **here) if older else None,
        },
    )


def page(user: User, part: str = "", after: int = 0, size: int = PAGE) -> tuple[list[Moment], int]:
    """Return a page of a person's story, and after which line of the log the next begins (0: none).

    `after` is such a line's number; `size` counts lines of the log.
    """
    query = AuditEvent.select().where(
        audit_list.about([user.id]),
        AuditEvent.event.not_in([event.value for event in timeline.NOISE]),
    )
    if after:
        query = query.where(AuditEvent.id < after)
    if part:
        query = query.where(_is(part))
    rows = list(query.order_by(AuditEvent.id.desc()).limit(size + 1))
    more, rows = len(rows) > size, rows[:size]
    moments = [timeline.moment(row) for row in rows]
    if part in ("", "directory"):
        before = AuditEvent.get_or_none(AuditEvent.id == after) if after else None
        joined = _joined(
            user,
            since=rows[-1].at if more else 0,
            before=before.at if before is not None else None,
            directories_only=bool(part),
        )
        moments = list(heapq.merge(moments, joined, key=lambda one: one.at, reverse=True))
    return moments, rows[-1].id if more else 0


def _joined(user: User, *, since: int, before: int | None, directories_only: bool) -> list[Moment]:
    """Return when the person came into the groups that they are in, the latest first.

    Groups of one source that came within a second are one line. Nobody who left is found here.
    """
    query = (
        Member.select(Member.created_at, Group.display_name, Connection.name)
        .join(Group)
        .join(Connection, JOIN.INNER if directories_only else JOIN.LEFT_OUTER)
        .where(Member.user == user, Member.created_at >= since)
        .order_by(Member.created_at.desc(), Group.display_name_key)
    )
    if before is not None:
        query = query.where(Member.created_at < before)
    found = groupby(tuples(query), key=lambda row: (row[0] // SECOND, row[2]))
    return [_join(list(rows)) for _key, rows in found]


def _join(rows: list[tuple[int, str, str | None]]) -> Moment:
    at, _name, source = rows[0]
    names = ", ".join(_("“%(name)s”", name=name) for _at, name, _source in rows[:_NAMED])
    names += " …" if len(rows) > _NAMED else ""
    text = ngettext("Joined %(names)s", "Joined %(num)s groups: %(names)s", len(rows), names=names)
    day = times.iso(at)[:10]
    here: dict[str, Any] = {"kind": "group", "from": day, "to": day}
    url = url_for("activity.activity", **here)
    by = _("from %(source)s", source=source) if source else ""
    return Moment(text, by, at, "users-round", "", url=url)


def _is(part: str) -> Expression:
    wanted = PARTS[part]
    if wanted.by:
        by: Expression = AuditEvent.actor_kind == wanted.by
        return by
    if part == "sign-ins":
        return AuditEvent.event.in_([event.value for event in _SIGN_INS])
    kinds = [event.value for event in Event if event.value.split(".")[0] in wanted.areas]
    return AuditEvent.event.in_(kinds)
