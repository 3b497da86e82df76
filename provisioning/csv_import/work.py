# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The two kinds of long work of an import: check each line of a file, then do what was shown."""

from __future__ import annotations

import json
from dataclasses import dataclass

import orjson
from peewee import Expression, fn

from .. import directory, keys, tasks
from ..audit import Actor
from ..errors import Forbidden, WrongState
from ..models import Connection, ImportFile, ImportLine, SecurityKey, Task, User
from ..models.directories import FILES
from ..panel import access
from ..panel.access import Role
from ..storage.db import tuples
from ..storage.statements import Statements, parameter
from ..tasks import Kind, Skip, Turn
from ..upstream import guard
from . import plan as import_plan
from . import spreadsheet
from .columns import Content
from .plan import Plan, Verb, Why

GONE = "gone:"  # and a resource id: the row of somebody who is not in the file


@dataclass(frozen=True)
class Gone:
    """Who of the source is not in the file: people, their living keys, lines without a name.

    With such lines nobody can say who is gone.
    """

    people: int = 0
    keys: int = 0
    nameless: int = 0
    held: bool = False  # the guard would hold so many (R17)


def _check_line(turn: Turn) -> str:
    line = _line(turn)
    content = Content(turn.options["content"])
    plan = _plan(turn, line, content)
    earlier = _earlier(turn.options["file"], line.number, plan)
    verb, detail = plan.verb, plan.detail
    if earlier is not None and plan.why is None:
        verb, detail = Verb.CONFLICT, {"why": Why.DUPLICATE, "line": earlier}
    elif content is Content.GROUPS and verb is Verb.CREATE and _creates(turn, line.number, plan):
        verb = Verb.CHANGE  # an earlier line makes the group
    matched = plan.person.id if plan.person is not None else None
    _CHECKED.change(
        (), (plan.key, matched, verb, plan.label, orjson.dumps(detail).decode(), line.id)
    )
    return ""


def _run_line(turn: Turn) -> str:
    owner = _source(turn)
    actor = Actor("connection", str(owner.id), f"{owner.name} ({turn.actor.name})")
    if turn.subject.startswith(GONE):
        return _let_go(turn, owner, actor)
    line = _line(turn)
    plan = _plan(turn, line, Content(turn.options["content"]))
    if plan.verb is Verb.UNCHANGED:
        raise Skip("It is so already.")
    if plan.why is Why.ABOVE:  # since the check
        raise Forbidden(str(plan.about["said"]))
    if not plan.does_the_same_as(line.verb or "", orjson.loads(line.detail)):
        raise WrongState("Something changed since the check: import the file once more.")
    import_plan.apply(plan, owner, actor, turn.services)
    return "created" if plan.verb is Verb.CREATE else "changed"


def _let_go(turn: Turn, owner: Connection, actor: Actor) -> str:
    person = directory.get_user(turn.subject.removeprefix(GONE), owner)
    if not person.active:
        raise Skip("Suspended already.")
    account = access.account_of(turn.actor)
    if account is not None:
        access.check_not_above(account, person)
    directory.suspend(person, actor)
    return "suspended: not in the file"


def _checked(task: Task) -> None:
    """Count what the check has found, once, so that no page counts."""
    file: ImportFile = ImportFile.get_by_id(json.loads(task.options)["file"])
    counted = ImportLine.select(ImportLine.verb, fn.COUNT(ImportLine.id)).where(
        ImportLine.file == file, ImportLine.verb.is_null(False)
    )
    found: dict[str, object] = dict(tuples(counted.group_by(ImportLine.verb)))
    if file.content == Content.PEOPLE:
        found["gone"] = _count_gone(file)
    file.counts = json.dumps(found)
    file.save()


def _count_gone(file: ImportFile) -> dict[str, object]:
    away = User.select(User.id).where(is_gone(file))
    people = away.count()
    living = SecurityKey.select().where(
        SecurityKey.user.in_(away), SecurityKey.state.in_(keys.LIVING)
    )
    nameless = ImportLine.select().where(ImportLine.file == file, ImportLine.key.is_null())
    everybody = User.select().where(User.connection == file.source, User.deleted_at.is_null())
    return {
        "people": people,
        "keys": living.count(),
        "nameless": nameless.count(),
        "held": guard.would_hold(people, everybody.count()),
    }


def is_gone(file: ImportFile) -> Expression:
    """Return the condition that a user is of the file's source, active, and not in the file."""
    mine = ImportLine.file == file
    matched = ImportLine.select(ImportLine.matched).where(mine, ImportLine.matched.is_null(False))
    named = ImportLine.select(ImportLine.key).where(mine, ImportLine.key.is_null(False))
    away: Expression = (
        (User.connection == file.source)
        & User.deleted_at.is_null()
        & (User.active == True)  # noqa: E712 - a term of the query
        & User.id.not_in(matched)
        & User.user_name_key.not_in(named)
    )
    return away


def _line(turn: Turn) -> ImportLine:
    rows = _LINE.rows((), (int(turn.subject),))
    return ImportLine(**dict(zip(_LINE_FIELDS, rows[0], strict=True)))


def _plan(turn: Turn, line: ImportLine, content: Content) -> Plan:
    if line.cells is None:
        raise WrongState("This line was erased already.")
    cells: list[str] = orjson.loads(line.cells)
    columns: dict[str, int] = turn.options["columns"]
    if any(cell.strip() for cell in cells[turn.options["width"] :]):
        return Plan(Verb.CONFLICT, cells[0][:100], why=Why.TOO_MANY_CELLS)
    told = {
        name: spreadsheet.plain(cells[place].strip())
        for name, place in columns.items()
        if place < len(cells)
    }
    return import_plan.of_line(content, told, _source(turn), turn.actor)


def _source(turn: Turn) -> Connection:
    return Connection(id=turn.options["source"], name=turn.options["source_name"], profile=FILES)


def _earlier(file: int, number: int, plan: Plan) -> int | None:
    """Return the number of an earlier line about the same, if there is one."""
    if plan.key is None:
        return None
    same = _SAME_KEY.rows((), (file, plan.key, number))
    if not same and plan.person is not None and plan.group is None and "\n" not in plan.key:
        same = _SAME_PERSON.rows((), (file, plan.person.id, number))
    return int(same[0][0]) if same else None


def _creates(turn: Turn, number: int, plan: Plan) -> bool:
    group = (plan.key or "").partition("\n")[0]
    found = _SAME_GROUP.rows((), (turn.options["file"], f"{group}\n", f"{group}\x0b", number))
    return bool(found)


_LINE_FIELDS = ("id", "number", "cells", "verb", "detail")
_LINE = Statements(
    lambda: ImportLine.select(*(getattr(ImportLine, name) for name in _LINE_FIELDS)).where(
        ImportLine.id == parameter(0)
    )
)
_CHECKED = Statements(
    lambda: ImportLine.update(
        {
            ImportLine.key: parameter(0),
            ImportLine.matched: parameter(1),
            ImportLine.verb: parameter(2),
            ImportLine.label: parameter(3),
            ImportLine.detail: parameter(4),
        }
    ).where(ImportLine.id == parameter(5))
)
_SAME_KEY = Statements(
    lambda: (
        ImportLine.select(ImportLine.number)
        .where(
            ImportLine.file == parameter(0),
            ImportLine.key == parameter(1),
            ImportLine.number < parameter(2),
        )
        .order_by(ImportLine.number)
        .limit(1)
    )
)
_SAME_PERSON = Statements(
    lambda: (
        ImportLine.select(ImportLine.number)
        .where(
            ImportLine.file == parameter(0),
            ImportLine.matched == parameter(1),
            ImportLine.number < parameter(2),
        )
        .limit(1)
    )
)
_SAME_GROUP = Statements(
    lambda: (
        ImportLine.select(ImportLine.id)
        .where(
            ImportLine.file == parameter(0),
            ImportLine.key >= parameter(1),
            ImportLine.key < parameter(2),
            ImportLine.number < parameter(3),
            ImportLine.verb == Verb.CREATE,
        )
        .limit(1)
    )
)


CHECK = tasks.register(Kind("import_check", Role.OFFICER, _check_line, _checked))
RUN = tasks.register(Kind("import_run", Role.OFFICER, _run_line))
