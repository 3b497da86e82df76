# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright import`: the panel's import at the command line."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import IO

import click
import orjson

from .. import audit, tasks
from ..csv_import import columns as import_columns
from ..csv_import import imports, spreadsheet, words
from ..csv_import.columns import Content
from ..csv_import.plan import Verb
from ..errors import InvalidValue
from ..models import ImportFile
from ..services import Services
from ..storage.db import transaction
from .shell import data_option, open_installation, refusing

_SHOWN = 20  # conflicts on the screen; --result has them all


@click.command("import")
@data_option
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Show what each line would change, and stop.")
@click.option("--source", default=imports.SOURCE, show_default=True, help="Whose people these are.")
@click.option("--column", "columns", multiple=True, help="ATTRIBUTE=HEADING, where a guess fails.")
@click.option("--groups", is_flag=True, help="The lines are groups and members, not people.")
@click.option("--suspend-gone", is_flag=True, help="Suspend who is of the source, not in the file.")
@click.option("--result", type=click.File("w", encoding="utf-8"), help="Each line's outcome, CSV.")
@refusing
def import_file(
    data: Path,
    file: IO[bytes],
    dry_run: bool,
    source: str,
    columns: tuple[str, ...],
    groups: bool,
    suspend_gone: bool,
    result: IO[str] | None,
) -> None:
    """Import people or groups from a CSV FILE, as *Import CSV* in the panel does."""
    failed = run(
        open_installation(data),
        file,
        dry_run=dry_run,
        source=source,
        columns=columns,
        groups=groups,
        suspend_gone=suspend_gone,
        result=result,
    )
    if failed:
        raise click.ClickException(f"{failed} lines could not be done.")


def run(
    services: Services,
    stream: IO[bytes],
    *,
    dry_run: bool,
    source: str,
    columns: Sequence[str],
    groups: bool,
    suspend_gone: bool,
    result: IO[str] | None,
) -> int:
    """Check the file and, unless it is a dry run, apply it; return how many lines failed."""
    if stream.seekable():
        name = PurePath(str(getattr(stream, "name", "standard input"))).name
        file = imports.spool(stream, name, audit.CLI)
    else:
        with tempfile.TemporaryFile() as kept:  # a pipe: a file is read more than once
            shutil.copyfileobj(stream, kept)
            file = imports.spool(kept, "standard input", audit.CLI)
    if result is not None:
        result.write("")  # what cannot be written says so before anything is changed
    content = Content.GROUPS if groups else Content(file.content)
    chosen = _columns(file, content, columns)
    with transaction():
        check = imports.check(file, content, chosen, source, audit.CLI)
    tasks.finish(check, services)
    file = imports.get(file.resource_id)
    _show(file)
    if dry_run:
        if result is not None:
            rows = (
                (
                    line.number,
                    line.label,
                    line.verb or "",
                    words.one_line(orjson.loads(line.detail)),
                )
                for line in imports.all_lines(file)
            )
            _write(result, ["line", "subject", "change", "detail"], rows)
        click.echo("Nothing was changed.")
        return 0
    with transaction():
        task = imports.run(file, audit.CLI, checked=check.resource_id, suspend_gone=suspend_gone)
    task = tasks.finish(task, services)
    if result is not None:
        _write(result, ["subject", "outcome", "detail"], tasks.results(task))
    click.echo(f"Applied: {task.done - task.failed} of {task.total}.")
    return int(task.failed)


def _columns(file: ImportFile, content: Content, given: Sequence[str]) -> dict[str, int]:
    header = imports.header_of(file)
    chosen = import_columns.guess_for(content, header)
    for text in given:
        attribute, _, heading = text.partition("=")
        if attribute not in import_columns.attributes(content):
            known = ", ".join(import_columns.attributes(content))
            raise InvalidValue(f"--column {text}: the attributes are {known}.", "columns")
        if heading.strip() not in header:
            raise InvalidValue(f"--column {text}: there is no heading {heading!r}.", "columns")
        place = header.index(heading.strip())
        chosen = {name: at for name, at in chosen.items() if at != place}
        chosen[attribute] = place
    return chosen


def _show(file: ImportFile) -> None:
    header, columns = imports.header_of(file), imports.columns_of(file)
    click.echo(f"{file.name}: {file.lines} lines, {file.encoding}, separated by {file.separator}.")
    click.echo("Columns: " + ", ".join(f"{header[at]} = {name}" for name, at in columns.items()))
    for verb, count in imports.counts(file).items():
        click.echo(f"  {verb:<10} {count:>8,}")
    for line in imports.lines(file, Verb.CONFLICT, size=_SHOWN):
        click.echo(f"  line {line.number}: {words.reason(orjson.loads(line.detail))}")
    gone = imports.gone(file)
    if gone.people:
        held = ", which the guard would hold" if gone.held else ""
        click.echo(f"Not in the file: {gone.people} people with {gone.keys} keys{held}.")


def _write(result: IO[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    for piece in spreadsheet.lines(header, rows):
        result.write(piece)
