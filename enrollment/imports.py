# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Import CSV: upload, say what the columns hold, look at each line's change, do it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import FileStorage

from provisioning.csv_import import columns as import_columns
from provisioning.csv_import import csv_file, imports, spreadsheet, words
from provisioning.csv_import.columns import Content
from provisioning.csv_import.plan import Verb
from provisioning.errors import Forbidden, InvalidValue, Taken, Unauthenticated, WrongState
from provisioning.models import ImportFile, ImportLine
from provisioning.pages import figures
from provisioning.pages.error_words import told
from provisioning.panel import access
from provisioning.panel.access import Role, SessionKind
from provisioning.storage.db import transaction
from provisioning.tasks import OPEN

from . import actors, tasks, web
from .web import panel_page

blueprint = Blueprint("imports", __name__, url_prefix="/import")

_MARGIN = 64 * 1024  # what the form around the file takes
_TONES = {Verb.CREATE: "ok", Verb.CHANGE: "info", Verb.UNCHANGED: "", Verb.CONFLICT: "bad"}
_ICONS = {
    Verb.CREATE: "plus",
    Verb.CHANGE: "pencil",
    Verb.UNCHANGED: "check",
    Verb.CONFLICT: "circle-alert",
}


@blueprint.url_value_preprocessor
def let_files_in(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Allow a large body, before anything reads it, to an officer who is signed in."""
    if endpoint == "imports.upload" and request.method == "POST":
        try:
            access.require_role(web.session_of(SessionKind.PANEL, quiet=True), Role.OFFICER)
        except (Unauthenticated, Forbidden):
            return
        request.max_content_length = csv_file.MAX_BYTES + _MARGIN


@blueprint.get("", endpoint="imports")
@panel_page(Role.OFFICER)
def all_imports() -> ResponseReturnValue:
    """Show the form and what was imported before."""
    return _upload_page()


@blueprint.post("")
@panel_page(Role.OFFICER)
def upload() -> ResponseReturnValue:
    """Read a file into the database."""
    given: FileStorage | None = request.files.get("file")
    if given is None or not given.filename:
        return _upload_page(_("Choose a file first."))
    try:
        file = imports.spool(given.stream, given.filename, web.actor())
    except InvalidValue as error:
        return _upload_page(str(error))
    return redirect(url_for(".columns", file_id=file.resource_id))


@blueprint.get("/example.csv")
@panel_page(Role.OFFICER)
def example() -> ResponseReturnValue:
    """Send the headings that need no choosing."""
    return _csv("example.csv", import_columns.attributes(Content.PEOPLE), ())


@blueprint.get("/<file_id>/columns")
@panel_page(Role.OFFICER)
def columns(file_id: str) -> ResponseReturnValue:
    """Show what each column probably holds."""
    file = imports.get(file_id)
    content = Content(file.content)
    chosen = imports.columns_of(file)
    asked = request.args.get("content", "")
    if asked in set(Content) and asked != content:
        content = Content(asked)
        chosen = import_columns.guess_for(content, imports.header_of(file))
    return _columns_page(file, content, {place: name for name, place in chosen.items()})


@blueprint.post("/<file_id>/columns")
@panel_page(Role.OFFICER)
def check(file_id: str) -> ResponseReturnValue:
    """Begin the check with these columns."""
    file = imports.get(file_id)
    asked = request.form.get("content", "")
    content = Content(asked) if asked in set(Content) else Content(file.content)
    width = len(imports.header_of(file))
    picked = {place: request.form.get(f"column-{place}", "") for place in range(width)}
    chosen: dict[str, int] = {}
    twice: set[int] = set()
    for place, name in picked.items():
        if name in chosen:
            twice.add(place)
        elif name:
            chosen[name] = place
    source = request.form.get("source", "")
    if twice:
        return _columns_page(file, content, picked, source=source, twice=twice)
    try:
        with transaction():
            imports.check(file, content, chosen, source, web.actor())
    except (InvalidValue, Taken, WrongState) as error:
        field = getattr(error, "field", None) or "columns"
        return _columns_page(file, content, picked, source=source, fault=(field, told(error)))
    return redirect(url_for(".preview", file_id=file_id))


@blueprint.get("/<file_id>")
@panel_page(Role.OFFICER)
def preview(file_id: str) -> ResponseReturnValue:
    """Show how far the check is, then what each line would change."""
    file = imports.get(file_id)
    if file.check_task is None:
        return redirect(url_for(".columns", file_id=file_id))
    verb = _verb(request.args.get("verb", ""))
    after = web.position()
    counts = imports.counts(file)
    done = imports.is_checked(file)
    rows = imports.lines(file, verb, after=after, size=imports.PAGE + 1) if done else []
    here: dict[str, Any] = {"file_id": file_id, "verb": verb}
    more, rows = len(rows) > imports.PAGE, rows[: imports.PAGE]
    total = counts[verb] if verb is not None else file.lines
    return render_template(
        "panel/import.html",
        file=_file(file),
        checking=tasks.shown(file.check_task) if not done else None,
        check_stopped=file.check_task.state not in OPEN,
        tabs=_tabs(file, verb, counts),
        rows=[_row(row) for row in rows],
        pager={
            "shown": _("%(some)s of %(total)s", some=len(rows), total=figures.number(total)),
            "first_url": url_for(".preview", **here) if after else None,
            "next_url": url_for(".preview", **here, after=rows[-1].number) if more else None,
        },
        doable=counts[Verb.CREATE] + counts[Verb.CHANGE],
        counts=counts,
        gone=imports.gone(file),
        run_task=tasks.shown(file.run_task) if file.run_task is not None else None,
        check_id=file.check_task.resource_id,
        run_url=url_for(".run", file_id=file_id),
        export_url=url_for(".lines", file_id=file_id, verb=verb),
        imports_url=url_for(".imports"),
    )


@blueprint.get("/<file_id>/lines.csv")
@panel_page(Role.OFFICER)
def lines(file_id: str) -> ResponseReturnValue:
    """Send what each line would change."""
    verb = _verb(request.args.get("verb", ""))
    found = imports.all_lines(imports.get(file_id), verb)
    rows = (
        [row.number, row.label, row.verb or "", words.one_line(orjson.loads(row.detail))]
        for row in found
    )
    return _csv("preview.csv", ["line", "subject", "change", "detail"], rows)


@blueprint.post("/<file_id>/run")
@panel_page(Role.OFFICER)
def run(file_id: str) -> ResponseReturnValue:
    """Begin to do what was shown; letting people go asks for the key again."""
    file = imports.get(file_id)
    gone = request.form.get("suspend_gone") == "y"
    if gone:
        first = web.step_up_first(url_for(".preview", file_id=file_id))
        if first is not None:
            return first
    try:
        with transaction():
            task = imports.run(
                file, web.actor(), checked=request.form.get("check", ""), suspend_gone=gone
            )
    except WrongState as error:
        flash(str(error), "error")
        return redirect(url_for(".preview", file_id=file_id))
    return redirect(url_for("tasks.task", task_id=task.resource_id))


@blueprint.post("/<file_id>/discard")
@panel_page(Role.OFFICER)
def discard(file_id: str) -> ResponseReturnValue:
    """Forget a file that was not applied, and what its lines hold."""
    file = imports.get(file_id)
    try:
        with transaction():
            imports.discard(file, web.actor())
    except WrongState as error:
        flash(str(error), "error")
        return redirect(url_for(".preview", file_id=file_id))
    flash(_("%(file)s is discarded. Nothing of it was applied.", file=file.name), "success")
    return redirect(url_for(".imports"))


def _upload_page(fault: str = "") -> ResponseReturnValue:
    page = render_template(
        "panel/imports.html",
        fault=told(fault),
        upload_url=url_for(".upload"),
        example_url=url_for(".example"),
        limit_mb=csv_file.MAX_BYTES // 1024 // 1024,
        limit_lines=csv_file.MAX_LINES,
        rows=[_file(file) for file in imports.recent()],
    )
    return page, 400 if fault else 200


def _columns_page(
    file: ImportFile,
    content: Content,
    chosen: dict[int, str],
    *,
    source: str | None = None,
    twice: Collection[int] = (),
    fault: tuple[str, str] | None = None,
) -> ResponseReturnValue:
    header, samples = imports.header_of(file), imports.sample(file)
    known = imports.sources()
    rows = [
        {
            "name": f"column-{place}",
            "heading": heading or _("Column %(number)s", number=place + 1),
            "samples": [cells[place] for cells in samples if place < len(cells) and cells[place]],
            "chosen": chosen.get(place, ""),
            "error": _("Another column holds this already.") if place in twice else "",
        }
        for place, heading in enumerate(header)
    ]
    page = render_template(
        "panel/import_columns.html",
        file=_file(file),
        rows=rows,
        content=content,
        contents=[
            {
                "value": one.value,
                "label": _("People") if one is Content.PEOPLE else _("Groups and members"),
                "url": url_for(".columns", file_id=file.resource_id, content=one.value),
            }
            for one in Content
        ],
        attributes=[(name, words.attribute(name)) for name in import_columns.attributes(content)],
        required=words.attribute(import_columns.REQUIRED[content]),
        source=source if source is not None else (known[0] if known else imports.SOURCE),
        sources=known,
        fault=fault,
        check_url=url_for(".check", file_id=file.resource_id),
        imports_url=url_for(".imports"),
    )
    return page, 400 if fault or twice else 200


def _file(file: ImportFile) -> dict[str, object]:
    task = file.run_task or file.check_task
    state = _("Not checked yet")
    if file.run_task is not None:
        state = _("Being applied") if file.run_task.state in OPEN else _("Applied")
    elif task is not None:
        state = _("Being checked") if task.state in OPEN else _("Checked, not applied")
    if file.run_task is None and imports.is_left(file):
        state = _("Erased, not applied")
    return {
        "name": file.name,
        "encoding": file.encoding,
        "separator": {
            "comma": _("comma"),
            "semicolon": _("semicolon"),
            "tab": _("tab"),
        }.get(file.separator, file.separator),
        "lines": file.lines,
        "by": actors.who(file.actor_name),
        "at": file.created_at,
        "state": state,
        "people": file.content == Content.PEOPLE,
        "source": file.source.name if file.source is not None else "",
        "left": imports.is_left(file),
        "url": url_for("imports.preview", file_id=file.resource_id),
        "columns_url": url_for("imports.columns", file_id=file.resource_id),
        "discard_url": url_for("imports.discard", file_id=file.resource_id)
        if file.run_task is None
        else None,
    }


def _tabs(file: ImportFile, verb: Verb | None, counts: dict[Verb, int]) -> list[dict[str, object]]:
    labels: list[tuple[Verb | None, str, int]] = [(None, _("All lines"), file.lines)]
    labels += [(one, words.verb(one), counts[one]) for one in Verb]
    return [
        {
            "label": label,
            "count": count,
            "url": url_for(".preview", file_id=file.resource_id, verb=one),
            "current": one == verb,
        }
        for one, label, count in labels
    ]


def _row(line: ImportLine) -> dict[str, object]:
    detail = orjson.loads(line.detail)
    verb = Verb(line.verb or Verb.CONFLICT)
    return {
        "number": line.number,
        "label": line.label,
        "word": words.verb(verb),
        "tone": _TONES[verb],
        "icon": _ICONS[verb],
        "reason": words.reason(detail),
        "changes": words.changes(detail),
    }


def _verb(value: str) -> Verb | None:
    return Verb(value) if value in set(Verb) else None


def _csv(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    response = Response(spreadsheet.lines(header, rows), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


for _kind, _title in (
    ("import_check", _l("Check of a CSV file")),
    ("import_run", _l("CSV import")),
):
    tasks.WORDS[_kind] = tasks.Words(
        _title,
        _l("The file, line by line"),
        "imports.preview",
        "file-text",
        lambda options: {"file_id": options["file_id"]},
    )
