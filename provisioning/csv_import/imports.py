# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Importing people and groups from a CSV file: spool, check, then do what was shown.

The lines lie in the database, so that any process's worker finds them, and their cells are erased
when the import is over. Checking and applying are long work (`tasks`): each line is a row, atomic,
done once, and resumed after a worker's death. A file's people belong to a source, which is a
connection without a door: to leave it is to run the same cascade, with the same guard (R16, R17).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any

import orjson
from peewee import ModelSelect, Value

from .. import audit, tasks
from ..audit import Actor, Event
from ..clock import DAY, HOUR, now_ms
from ..errors import InvalidValue, NotFound, Taken, WrongState
from ..models import Connection, ImportFile, ImportLine, Task, User
from ..models.directories import FILES
from ..storage.db import transaction, tuples
from ..storage.statements import Statements, parameter
from ..tasks import OPEN, Queries, TaskState
from . import columns as import_columns
from . import csv_file
from .columns import Content
from .csv_file import Line
from .plan import Verb
from .work import CHECK, GONE, RUN, Gone, is_gone

SOURCE = "CSV import"
PAGE = 50
KEPT = 30 * DAY
ABANDONED = DAY  # then the cells of a file that nobody applied are erased, too
_PART = 500
_ERASED_AT_ONCE = 5_000


def spool(file: IO[bytes], name: str, actor: Actor) -> ImportFile:
    """Read a file into the database, in transactions of its own; raises InvalidValue.

    It is read to its end before anything is stored: a file with a fault leaves nothing.
    """
    shape = csv_file.look_at(file)
    count = sum(1 for _ in csv_file.lines(file, shape))
    if not count:
        raise InvalidValue("The file has headings and no lines below them.", "file")
    content, columns = import_columns.guess(shape.header)
    with transaction():
        made: ImportFile = ImportFile.create(
            resource_id=str(uuid.uuid4()),
            name=name[:200],
            actor_name=actor.name,
            encoding=shape.encoding.label,
            separator=shape.separator.label,
            header=json.dumps(shape.header, ensure_ascii=False),
            content=content,
            columns=json.dumps(columns),
        )
    waiting = csv_file.lines(file, shape)
    while part := list(islice(waiting, _PART)):
        with transaction():
            _ADD.change((len(part),), [made.id, *(v for line in part for v in _stored(line))])
    with transaction():
        made.lines = count
        made.save()
        audit.record(actor, Event.IMPORT_UPLOADED, file=made.name, lines=count)
    return made


def get(resource_id: str) -> ImportFile:
    """Return a file that was read whole; raises NotFound."""
    found: ImportFile | None = ImportFile.get_or_none(
        ImportFile.resource_id == resource_id, ImportFile.lines > 0
    )
    if found is None:
        raise NotFound("There is no such import.")
    return found


def recent(limit: int = 20) -> list[ImportFile]:
    """Return files, the newest first."""
    return list(
        ImportFile.select().where(ImportFile.lines > 0).order_by(ImportFile.id.desc()).limit(limit)
    )


def header_of(file: ImportFile) -> list[str]:
    """Return the headings."""
    heading: list[str] = json.loads(file.header)
    return heading


def columns_of(file: ImportFile) -> dict[str, int]:
    """Return each attribute's column, as guessed or chosen."""
    columns: dict[str, int] = json.loads(file.columns)
    return columns


def sample(file: ImportFile, count: int = 3) -> list[list[str]]:
    """Return the first lines' cells; none after they were erased."""
    rows = ImportLine.select(ImportLine.cells).where(ImportLine.file == file)
    found = tuples(rows.order_by(ImportLine.number).limit(count))
    return [orjson.loads(cells) for (cells,) in found if cells is not None]


def sources() -> list[str]:
    """Return the names of the sources that files came from."""
    named = Connection.select(Connection.name).where(Connection.profile == FILES)
    return [name for (name,) in tuples(named.order_by(Connection.name))]


def source(name: str, actor: Actor) -> Connection:
    """Return the source of that name, made if it is new. Raises Taken for a directory's."""
    name = name.strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise InvalidValue("A source's name has 1 to 64 characters.", "source")
    found: Connection | None = Connection.get_or_none(Connection.name == name)
    if found is not None:
        if found.profile != FILES:
            raise Taken(f"{name} is a directory: its people come from there alone.", "source")
        return found
    made: Connection = Connection.create(name=name, profile=FILES, scope="read")
    audit.record(actor, Event.CONNECTION_CREATED, connection=name, scope="import")
    return made


def check(
    file: ImportFile, content: Content, columns: Mapping[str, int], source_name: str, actor: Actor
) -> Task:
    """Begin to work out what each line would change; a check that is under way stops.

    Raises InvalidValue, Taken, WrongState.
    """
    file.renew()
    if is_running(file):
        raise WrongState("This import has begun already.")
    _check_is_there(file)
    chosen = import_columns.check(content, columns, len(header_of(file)))
    if file.check_task is not None and file.check_task.state in OPEN:
        tasks.cancel(file.check_task, actor)
    file.source = source(source_name, actor)
    file.content, file.columns, file.counts = content, json.dumps(chosen), "{}"
    ImportLine.update(verb=None, key=None, matched=None).where(ImportLine.file == file).execute()
    file.check_task = tasks.begin(
        CHECK, actor, Queries([_lines(file)]), title=file.name, options=_options(file)
    )
    file.save()
    return file.check_task


def run(file: ImportFile, actor: Actor, *, checked: str, suspend_gone: bool = False) -> Task:
    """Begin to do what was shown; `checked` is the id of the check that showed it.

    Raises WrongState before the check is over, after another one, a second time, or once the file
    is erased: what it says of who is gone would be done, and nothing else.
    """
    file.renew()
    if not is_checked(file) or is_running(file):
        raise WrongState("Check the file first; each check can be applied once.")
    if file.check_task is None or file.check_task.resource_id != checked:
        raise WrongState("Somebody has checked this file anew since: look at it once more.")
    _check_is_there(file)
    doable = _lines(file).where(ImportLine.verb.in_([Verb.CREATE, Verb.CHANGE]))
    queries: list[ModelSelect[Any]] = [doable]
    if suspend_gone:
        numbers = gone(file)
        if numbers.nameless:
            raise WrongState("Lines without a user name: nobody can say who is gone.")
        if User.select().where(is_gone(file)).count() != numbers.people:
            raise WrongState("Other people are gone than the check has shown: check it once more.")
        label = User.user_name
        queries.append(
            User.select(_text(GONE).concat(User.resource_id), label)
            .where(is_gone(file))
            .order_by(User.id)
        )
    audit.record(actor, Event.IMPORT_STARTED, file=file.name, source=_owner(file).name)
    file.run_task = tasks.begin(
        RUN, actor, Queries(queries), title=file.name, options=_options(file)
    )
    file.save()
    return file.run_task


def discard(file: ImportFile, actor: Actor) -> None:
    """Forget a file that nobody has applied. Raises WrongState for one that somebody has."""
    file.renew()
    if is_running(file):
        raise WrongState("This import has begun already.")
    if file.check_task is not None and file.check_task.state in tasks.OPEN:
        tasks.cancel(file.check_task, actor)
    file.delete_instance()
    audit.record(actor, Event.IMPORT_DISCARDED, file=file.name)


def is_checked(file: ImportFile) -> bool:
    """Say whether every line was looked at."""
    return file.check_task is not None and file.check_task.state == TaskState.DONE


def is_running(file: ImportFile) -> bool:
    """Say whether it is being applied, or was."""
    return file.run_task is not None


def is_left(file: ImportFile) -> bool:
    """Say whether the file is erased, or about to be, since nobody applied it for a day."""
    left = not is_running(file) and file.created_at < now_ms() - ABANDONED
    return left or file.erased_at is not None


def counts(file: ImportFile) -> dict[Verb, int]:
    """Return how many lines would do what."""
    known = json.loads(file.counts)
    return {verb: int(known.get(verb, 0)) for verb in Verb}


def gone(file: ImportFile) -> Gone:
    """Return who of the source is not in the file, as it was when the check was over."""
    return Gone(**json.loads(file.counts).get("gone", {}))


def lines(
    file: ImportFile, verb: Verb | None = None, *, after: int = 0, size: int = PAGE
) -> list[ImportLine]:
    """Return checked lines in order, from past line number `after`."""
    found = ImportLine.select(
        ImportLine.number, ImportLine.verb, ImportLine.label, ImportLine.detail
    ).where(ImportLine.file == file, ImportLine.number > after)
    if verb is not None:
        found = found.where(ImportLine.verb == verb)
    return list(found.order_by(ImportLine.number).limit(size))


def all_lines(file: ImportFile, verb: Verb | None = None) -> Iterator[ImportLine]:
    """Stream them."""
    after = 0
    while part := lines(file, verb, after=after, size=_PART):
        yield from part
        after = part[-1].number


def sweep() -> int:
    """Erase the cells of what is over or was left, some at a time; return how many lines."""
    _forget_old()
    over = ImportFile.run_task.in_(Task.select(Task.id).where(Task.finished_at.is_null(False)))
    left = ImportFile.run_task.is_null() & (ImportFile.created_at < now_ms() - ABANDONED)
    file = ImportFile.select().where(ImportFile.erased_at.is_null(), over | left).first()
    if file is None:
        return 0
    some = ImportLine.select(ImportLine.id).where(
        ImportLine.file == file, ImportLine.cells.is_null(False)
    )
    part = [row_id for (row_id,) in tuples(some.limit(_ERASED_AT_ONCE))]
    for start in range(0, len(part), _PART):
        some_ids = part[start : start + _PART]
        ImportLine.update(cells=None).where(ImportLine.id.in_(some_ids)).execute()
    if len(part) < _ERASED_AT_ONCE:
        file.erased_at = now_ms()
        file.save()
    return len(part)


def _check_is_there(file: ImportFile) -> None:
    if is_left(file):
        raise WrongState("Nobody applied this file within a day. It is erased: upload it again.")


def _forget_old() -> None:
    half = (ImportFile.lines == 0) & (ImportFile.created_at < now_ms() - HOUR)
    ImportFile.delete().where(half | (ImportFile.created_at < now_ms() - KEPT)).execute()


def _options(file: ImportFile) -> dict[str, object]:
    return {
        "file": file.id,
        "file_id": file.resource_id,
        "content": file.content,
        "columns": columns_of(file),
        "width": len(header_of(file)),
        "source": _owner(file).id,
        "source_name": _owner(file).name,
    }


def _owner(file: ImportFile) -> Connection:
    if file.source is None:
        raise WrongState("The file has no source yet.")
    return file.source


def _lines(file: ImportFile) -> ModelSelect[ImportLine]:
    number = ImportLine.number.cast("TEXT")
    label = number.concat(_text(": ")).concat(ImportLine.label)
    return (
        ImportLine.select(ImportLine.id.cast("TEXT"), label)
        .where(ImportLine.file == file)
        .order_by(ImportLine.number)
    )


def _text(value: str) -> Any:
    return Value(value).cast("TEXT")


def _stored(line: Line) -> Sequence[object]:
    return line.number, orjson.dumps(line.cells).decode()


def _add(count: int) -> Any:
    rows = [
        {
            ImportLine.file: parameter(0),
            ImportLine.number: parameter(1 + 2 * row),
            ImportLine.cells: parameter(2 + 2 * row),
            ImportLine.label: "",
            ImportLine.detail: "{}",
        }
        for row in range(count)
    ]
    return ImportLine.insert_many(rows)


_ADD = Statements(_add)
