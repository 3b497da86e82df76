# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Activity: the audit log, the newest first, by person, actor and kind."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import audit_pages, directory
from provisioning.models import AuditEvent

from . import timeline
from .web import panel_page

blueprint = Blueprint("activity", __name__, url_prefix="/activity")


@blueprint.get("", endpoint="activity")
@panel_page()
def activity() -> ResponseReturnValue:
    """Show a page of the log by the URL's filters."""
    search, kind = request.args.get("q", "").strip()[:100], request.args.get("kind", "")
    after = request.args.get("after", 0, type=int) or 0
    person_id = request.args.get("person", "")
    person = directory.get_user(person_id) if person_id else None
    rows, more = audit_pages.page(search=search, kind=kind, person=person, after=after)
    here = {"q": search, "kind": kind, "person": person_id}
    return render_template(
        "panel/activity.html",
        rows=[_row(row) for row in rows],
        kinds=timeline.kinds(),
        kind_filter=kind,
        search_text=search,
        chain=None,
        export_url=None,
        list_url=_list({"person": person_id}),
        pager={
            "shown": _("%(some)s shown", some=len(rows)),
            "first_url": _list(here) if after else None,
            "previous_url": None,
            "next_url": _list({**here, "after": rows[-1].id}) if more else None,
        },
        total=audit_pages.count(),
        person=person.display_name if person is not None else None,
    )


def _row(row: AuditEvent) -> dict[str, object]:
    text, icon, tone = timeline.words_of(row)
    person = row.user
    here = person is not None and person.deleted_at is None
    kinds = {
        "account": _("admin"),
        "connection": _("directory"),
        "station": _("reader"),
        "system": "",
        "cli": _("command line"),
        "user": _("user"),
    }
    return {
        "at": row.at,
        "text": text,
        "actor": row.actor_name,
        "actor_kind": kinds.get(row.actor_kind, row.actor_kind),
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
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in detail.items()
        if value is not None and value != ""
    ]


def _list(filters: dict[str, Any]) -> str:
    return url_for("activity.activity", **{name: value for name, value in filters.items() if value})
