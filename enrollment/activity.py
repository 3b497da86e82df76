# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Activity: the audit log, the newest first, by person, actor and kind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import audit, audit_check, directory
from provisioning.audit import Event
from provisioning.clock import DAY
from provisioning.csv_import import spreadsheet
from provisioning.models import AuditEvent
from provisioning.pages import audit_list, times
from provisioning.pages.audit_list import Wanted
from provisioning.storage.db import transaction

from . import actors, timeline, web
from .web import panel_page

blueprint = Blueprint("activity", __name__, url_prefix="/activity")

_NAMES = ("q", "kind", "by", "person", "from", "to")


@blueprint.get("", endpoint="activity")
@panel_page()
def activity() -> ResponseReturnValue:
    """Show a page of the log by the URL's filters."""
    here = _filters()
    wanted = _wanted(here)
    rows, more = audit_list.page(wanted)
    given = {name: value for name, value in here.items() if name != "after"}
    return render_template(
        "panel/activity.html",
        rows=[_row(row) for row in rows],
        kinds=timeline.kinds(),
        kind_filter=here["kind"],
        actors=list(_actors().items()),
        actor_filter=here["by"],
        from_filter=here["from"],
        to_filter=here["to"],
        search_text=here["q"],
        chain=_chain(),
        export_url=_list(given, "activity.export"),
        list_url=_list({"person": here["person"]}),
        pager={
            "shown": _("%(some)s shown", some=len(rows)),
            "first_url": _list(given) if wanted.after else None,
            "previous_url": None,
            "next_url": _list({**given, "after": rows[-1].id}) if more else None,
        },
        total=audit_list.count(),
        person=wanted.person.display_name if wanted.person is not None else None,
        person_id=here["person"],
        all_url=url_for(".activity"),
    )


@blueprint.get("/export.csv")
@panel_page(step_up=True)
def export() -> ResponseReturnValue:
    """Stream the filtered log as CSV; that somebody took it along is in the log as well."""
    here = _filters()
    wanted = _wanted(here)
    with transaction():
        filters = {name: value for name, value in here.items() if value}
        audit.record(web.actor(), Event.LOG_EXPORTED, filters=filters)
    header = ("line", "at", "event", "by", "actor", "person", "userName", "detail")
    lines = spreadsheet.lines(header, map(_cells, audit_list.export(wanted)))
    response = Response(stream_with_context(lines), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="activity.csv"'
    return response


def _filters() -> dict[str, str]:
    given = {name: request.args.get(name, "").strip()[:100] for name in _NAMES}
    given["after"] = str(web.position() or "")
    for name in ("from", "to"):
        given[name] = given[name] if _day(given[name]) is not None else ""
    return given


def _wanted(given: dict[str, str]) -> Wanted:
    since, until = _day(given["from"]), _day(given["to"])
    return Wanted(
        search=given["q"],
        kind=given["kind"],
        by=given["by"] if given["by"] in _actors() else "",
        person=directory.get_user(given["person"]) if given["person"] else None,
        since=since,
        until=until + DAY if until is not None else None,
        after=int(given["after"] or 0),
    )


def _day(text: str) -> int | None:
    """Return the beginning of a day in ms, UTC as every time on these pages, or None."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _chain() -> dict[str, object] | None:
    standing = audit_check.standing()
    if standing is None:
        return None
    checked = times.exact(standing.checked_at) if standing.checked_at else ""
    words = _("%(rows)s lines, last walked through %(when)s.", rows=standing.rows, when=checked)
    return {"whole": standing.whole, "sentence": words if standing.whole else standing.sentence}


def _actors() -> dict[str, str]:
    return {
        "account": _("admin"),
        "connection": _("directory"),
        "station": _("reader"),
        "user": _("user"),
        "system": _("Keywright itself"),
        "cli": _("command line"),
    }


def _kind_of_actor(row: AuditEvent) -> str:
    if row.actor_kind in ("system", "cli") or (row.actor_kind == "user" and not row.actor_id):
        return ""  # its name says it
    return _actors().get(row.actor_kind, row.actor_kind)


def _cells(row: AuditEvent) -> list[object]:
    person = row.user
    return [
        row.id,
        times.iso(row.at),
        row.event,
        row.actor_kind,
        row.actor_name,
        person.display_name if person is not None else "",
        person.user_name if person is not None else "",
        row.detail,
    ]


def _row(row: AuditEvent) -> dict[str, object]:
    text, icon, tone = timeline.words_of(row)
    person = row.user
    here = person is not None and person.deleted_at is None
    return {
        "at": row.at,
        "text": text,
        "actor": actors.who(row.actor_name),
        "actor_kind": _kind_of_actor(row),
        "person": person.display_name if person is not None else None,
        "person_url": url_for("users.user", user_id=person.resource_id)
        if person is not None and here
        else None,
        "icon": icon,
        "tone": tone,
        "facts": [(_("Event"), row.event), *_facts(timeline.detail_of(row))],
    }


def _facts(detail: dict[str, object]) -> list[tuple[str, str]]:
    return [
        (name, _told(name, value))
        for name, value in detail.items()
        if value is not None and value != ""
    ]


def _told(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, int) and name.endswith(("_at", "_until")):
        return times.exact(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _list(filters: Mapping[str, object], endpoint: str = "activity.activity") -> str:
    given: dict[str, Any] = {name: value for name, value in filters.items() if value}
    return url_for(endpoint, **given)
