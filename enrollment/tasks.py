# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Long work: a page per task that can be left and come back to, its result, and Cancel."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning import tasks
from provisioning.clock import MINUTE, SECOND, now_ms
from provisioning.csv_import import spreadsheet
from provisioning.errors import WrongState
from provisioning.models import Task, TaskRow, User
from provisioning.pages.figures import number
from provisioning.panel.access import Role
from provisioning.storage.db import transaction, tuples
from provisioning.tasks import OPEN

from . import actors, web
from .keys.items import Action, Ask
from .web import panel_page

blueprint = Blueprint("tasks", __name__, url_prefix="/tasks")


@dataclass(frozen=True)
class Words:
    """How a kind of work is shown: its name, and the page that people come from.

    `place` tells that page's values from the task's options, `about` what the task is about where
    it has no title: in the words of whoever looks. `people`: each row is a person.
    """

    title: Any
    back: Any
    endpoint: str
    icon: str = "clock"
    place: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda _options: {}
    about: Callable[[Mapping[str, Any]], str] = lambda _options: ""
    people: bool = False


WORDS: dict[str, Words] = {}
"""By the kind's name; a kind that is not in here is shown by that."""


@blueprint.get("", endpoint="tasks")
@panel_page()
def all_tasks() -> ResponseReturnValue:
    """Show what runs and what is over."""
    return render_template("panel/tasks.html", rows=[shown(task) for task in tasks.recent()])


@blueprint.get("/<task_id>")
@panel_page()
def task(task_id: str) -> ResponseReturnValue:
    """Show how far one is."""
    found = tasks.get(task_id)
    after = web.position()
    failures = tasks.failures(found, after)
    more = len(failures) == 50
    here = url_for(".task", task_id=task_id)
    return render_template(
        "panel/task.html",
        task=shown(found),
        outcome=[] if found.state in OPEN else _outcome(found),
        failures=_failures(found, failures),
        pager={
            "shown": _("%(some)s shown", some=len(failures)),
            "first_url": here if after else None,
            "next_url": url_for(".task", task_id=task_id, after=failures[-1].id) if more else None,
        },
        cancel=_cancel(found),
        tasks_url=url_for(".tasks"),
    )


@blueprint.get("/<task_id>/progress")
@panel_page(quiet=True)
def progress(task_id: str) -> ResponseReturnValue:
    """Answer the live part; when the task is over the whole page comes anew."""
    found = tasks.get(task_id)
    if found.state not in OPEN:
        return "", 200, {"HX-Refresh": "true"}
    return render_template("panel/_task.html", task=shown(found))


@blueprint.get("/<task_id>/result.csv")
@panel_page()
def result(task_id: str) -> ResponseReturnValue:
    """Send what became of each row."""
    found = tasks.get(task_id)
    header = ["subject", "outcome", "detail"]
    response = Response(spreadsheet.lines(header, tasks.results(found)), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="result.csv"'
    return response


@blueprint.post("/<task_id>/cancel")
@panel_page(Role.OPERATOR)
def cancel(task_id: str) -> ResponseReturnValue:
    """Stop it where it is."""
    found = tasks.get(task_id)
    try:
        with transaction():
            tasks.cancel(found, web.actor())
        flash(_("Stopped. What was done before stays done."), "success")
    except WrongState:
        flash(_("It was over already."), "info")
    return redirect(url_for(".task", task_id=task_id))


def _words(found: Task) -> Words:
    return WORDS.get(found.kind) or Words(found.kind, _("Tasks"), "tasks.tasks")


def _outcome(found: Task) -> list[str]:
    """Return what became of the rows, in numbers; those of people are people."""
    skipped, failed = tasks.skipped(found), found.failed
    done = found.done - failed - skipped
    if _words(found).people:
        told = [
            ngettext("%(n)s person done", "%(n)s people done", done, n=number(done)),
            ngettext(
                "%(n)s person left out: there was nothing to do",
                "%(n)s people left out: there was nothing to do",
                skipped,
                n=number(skipped),
            ),
            ngettext(
                "not possible for %(n)s person",
                "not possible for %(n)s people",
                failed,
                n=number(failed),
            ),
        ]
    else:
        told = [
            ngettext("%(n)s row done", "%(n)s rows done", done, n=number(done)),
            ngettext(
                "%(n)s row left out: there was nothing to do",
                "%(n)s rows left out: there was nothing to do",
                skipped,
                n=number(skipped),
            ),
            ngettext(
                "not possible for %(n)s row",
                "not possible for %(n)s rows",
                failed,
                n=number(failed),
            ),
        ]
    return [words for words, count in zip(told, (1, skipped, failed), strict=True) if count]


def _failures(found: Task, rows: list[TaskRow]) -> list[dict[str, object]]:
    there: set[str] = set()
    if _words(found).people and rows:
        named = User.select(User.resource_id).where(
            User.resource_id.in_([row.subject for row in rows]), User.deleted_at.is_null()
        )
        there = {row[0] for row in tuples(named)}
    return [
        {
            "label": row.label or row.subject,
            "detail": row.detail,
            "url": url_for("users.user", user_id=row.subject) if row.subject in there else None,
        }
        for row in rows
    ]


def shown(found: Task) -> dict[str, object]:
    """Return a task as the templates want it."""
    words = _words(found)
    is_open = found.state in OPEN
    options = json.loads(found.options)
    return {
        "id": found.resource_id,
        "url": url_for("tasks.task", task_id=found.resource_id),
        "name": words.title,
        "title": found.title or words.about(options),
        "icon": words.icon,
        "people": words.people,
        "state": found.state,
        "open": is_open,
        "total": found.total,
        "done": found.done,
        "failed": found.failed,
        "percent": 100 * found.done // found.total if found.total else 100,
        "left": _left(found) if is_open else "",
        "by": actors.who(found.actor_name),
        "created_at": found.created_at,
        "finished_at": found.finished_at,
        "back": {
            "label": words.back,
            "url": url_for(words.endpoint, **words.place(options)),
        },
        "poll_url": url_for("tasks.progress", task_id=found.resource_id) if is_open else None,
        "result_url": url_for("tasks.result", task_id=found.resource_id),
    }


def _left(found: Task) -> str:
    """Say how long it may still take; nothing while nobody can know."""
    if found.started_at is None or not found.done:
        return str(_("It begins in a moment."))
    took = now_ms() - found.started_at
    left = took * (found.total - found.done) // found.done
    if took < 2 * SECOND:
        return ""
    if left < MINUTE:
        return str(_("Less than a minute left."))
    return str(_("About %(minutes)s minutes left.", minutes=-(-left // MINUTE)))


def _cancel(found: Task) -> Action | None:
    if found.state not in OPEN or not web.may(Role.OPERATOR):
        return None
    ask = Ask(
        _("Stop here?"),
        [_("What is done stays done; the rows that wait are left as they are.")],
        _("Stop"),
    )
    url = url_for(".cancel", task_id=found.resource_id)
    return Action(_("Cancel"), url, "x", "danger-quiet", ask=ask)
