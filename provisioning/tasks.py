# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Long work: a task has many rows, which the worker does bit by bit while people watch.

A kind of work is one function and one line, in a module of the core:

    def _suspend(turn: Turn) -> str:
        '''One row, in a transaction: do it and return a word on it, or raise a domain error.'''
        person = directory.get_user(turn.subject)
        directory.deactivate(person, Reason.LEFT, turn.actor)
        return ""

    SUSPEND = tasks.register(Kind("suspend_users", Role.OPERATOR, _suspend))

and a task of it is begun in the transaction of the request that wants it:

    task = tasks.begin(SUSPEND, actor, subjects, title="12 people", options={"reason": "left"})
    return redirect(url_for("tasks.task", task_id=task.resource_id))

`subjects` are pairs of a subject and what people call it, in any number, or `Queries` of two such
columns, which never leave the database ("all that match"). The module must be imported where the
app is made, as a view of the panel does, and `enrollment.tasks.WORDS` names the kind for people.

A row's effect, its outcome and the task's cursor commit together, several rows to a transaction of
about `BUDGET`. So a worker may be killed at any point: what was not committed has not happened,
what was is never done twice, and the next worker goes on from the cursor. That transaction is the
lease as well (writers queue, see `db`): a dead worker's ends with it, at once. A row that raises a
domain error is undone alone and marked failed with its sentence; the rest goes on. Once whoever
wanted a task could not begin it any more, no further row is done for them.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import islice
from time import sleep
from typing import Any

import structlog
from peewee import DataError, IntegrityError, ModelSelect, PeeweeException, Value

from . import audit
from .audit import Actor, Event
from .clock import DAY, now_ms
from .errors import KeywrightError, NotFound, WrongState
from .models import Task, TaskRow
from .panel import access
from .panel.access import Role
from .processes.logs import kind_and_place
from .services import Services
from .storage.db import BREATH, transaction, tuples
from .storage.statements import Statements, parameter

BUDGET = 0.05  # seconds of one transaction: whoever else writes waits no longer than that
KEPT = 30 * DAY  # how long a finished task can be looked at
_BATCH = 500

log = structlog.get_logger()


@unique
class TaskState(StrEnum):
    """Where a task is. One whose rows failed is done, too: each says why."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    REVOKED = "revoked"  # whoever wanted it may not do this any more


@unique
class Outcome(StrEnum):
    """What became of a row. `skipped`: there was nothing to do."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


OPEN = (TaskState.QUEUED, TaskState.RUNNING)


class Skip(Exception):
    """Raised by a kind for a row that needs nothing; its text says why. What it noted stays."""


@dataclass(frozen=True)
class Turn:
    """One row's turn: what its kind's function is given."""

    services: Services
    task: Task
    actor: Actor
    options: Mapping[str, Any]
    subject: str


@dataclass(frozen=True)
class Kind:
    """A kind of work: `run` does one row, `finish` closes the task; both in a transaction.

    `role` is what a panel account needs to begin one, and until its last row; None where no account
    begins one. `finish` also runs for a task that was stopped.
    """

    name: str
    role: Role | None
    run: Callable[[Turn], str]
    finish: Callable[[Task], None] | None = None


@dataclass(frozen=True)
class Queries:
    """Subjects that stay in the database: selects of two columns each, subject and label."""

    queries: Sequence[ModelSelect[Any]]


Subjects = Iterable[tuple[str, str]] | Queries

_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Make a kind known to this process's worker."""
    _KINDS[kind.name] = kind
    return kind


def begin(
    kind: Kind,
    actor: Actor,
    subjects: Subjects,
    *,
    title: str = "",
    options: Mapping[str, object] | None = None,
) -> Task:
    """Queue a task over these subjects, in the caller's transaction. One without rows is done."""
    task = Task.create(
        resource_id=str(uuid.uuid4()),
        kind=kind.name,
        title=title,
        options=json.dumps(dict(options or {}), ensure_ascii=False),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
    )
    if isinstance(subjects, Queries):
        for query in subjects.queries:
            into = [TaskRow.subject, TaskRow.label, TaskRow.task, TaskRow.detail]
            selected = query.select_extend(Value(task.id), Value(""))
            TaskRow.insert_from(selected, into).execute()
    else:
        waiting = iter(subjects)
        while part := list(islice(waiting, _BATCH)):
            rows = [{"task": task.id, "subject": one, "label": name} for one, name in part]
            TaskRow.insert_many(rows).execute()
    task.total = TaskRow.select().where(TaskRow.task == task).count()
    task.save()
    audit.record(actor, Event.TASK_QUEUED, task=task.resource_id, kind=kind.name, rows=task.total)
    if not task.total:
        _close(task, TaskState.DONE)
    return task


def get(resource_id: str) -> Task:
    """Return a task; raises NotFound."""
    found: Task | None = Task.get_or_none(Task.resource_id == resource_id)
    if found is None:
        raise NotFound("There is no such task.")
    return found


def cancel(task: Task, actor: Actor) -> None:
    """Stop an open task where it is; what is done stays done. Raises WrongState."""
    fresh = get(task.resource_id)
    if fresh.state not in OPEN:
        raise WrongState("This is over already.")
    _close(fresh, TaskState.CANCELLED, actor)


def work(services: Services, only: Task | None = None) -> int:
    """Give the task that has waited longest one turn of about `BUDGET`; return how many rows.

    In transactions of its own. A task of a kind that this process does not know is left to one
    that does: two versions run side by side while a new one is installed.
    """
    waiting = Task.select().where(Task.state.in_(OPEN), Task.kind.in_(list(_KINDS)))
    if only is not None:
        waiting = waiting.where(Task.id == only.id)
    # Asked each second, without a lock: an idle worker takes nobody's turn to write.
    task = waiting.order_by(Task.worked_at, Task.id).first()
    if task is None:
        return 0
    try:
        return _turn(services, task)
    except Exception:
        with suppress(PeeweeException), transaction():  # the others go on meanwhile
            Task.update(worked_at=now_ms()).where(Task.id == task.id).execute()
        raise


def _turn(services: Services, task: Task) -> int:
    handled = 0
    with transaction():
        task.renew()
        if task.state not in OPEN:
            return 0
        kind, until = _KINDS[task.kind], time.monotonic() + BUDGET
        options, actor = json.loads(task.options), actor_of(task)
        if kind.role is not None and not access.still_has(actor, kind.role):
            _close(task, TaskState.REVOKED)
            return 0
        task.state, task.started_at = TaskState.RUNNING, task.started_at or now_ms()
        rows = _NEXT.rows((), (task.id, task.cursor))
        for row_id, subject in rows:
            turn = Turn(services, task, actor, options, subject)
            outcome, detail = _one(kind, turn)
            _MARK.change((), (outcome, detail, row_id))
            task.cursor = row_id
            task.done += 1
            task.failed += outcome is Outcome.FAILED
            handled += 1
            if time.monotonic() >= until:
                break
        task.worked_at = now_ms()
        task.save()
        if handled == len(rows) < _BATCH:
            _close(task, TaskState.DONE)
    return handled


def finish(task: Task, services: Services) -> Task:
    """Work on this task until it is over, for the command line; return it as it is then."""
    while get(task.resource_id).state in OPEN:
        work(services, task)
        sleep(BREATH)
    return get(task.resource_id)


def actor_of(task: Task) -> Actor:
    """Return who wanted the task, as the audit log names them."""
    return Actor(task.actor_kind, task.actor_id, task.actor_name)


def options_of(task: Task) -> Mapping[str, Any]:
    """Return what the task was begun with."""
    told: Mapping[str, Any] = json.loads(task.options)
    return told


def recent(limit: int = 50) -> list[Task]:
    """Return what runs, then what is over, the newest first."""
    return list(Task.select().order_by(Task.state.in_(OPEN).desc(), Task.id.desc()).limit(limit))


def open_count() -> int:
    """Return how many tasks are queued or running."""
    return int(Task.select().where(Task.state.in_(OPEN)).count())


def failures(task: Task, after: int = 0, limit: int = 50) -> list[TaskRow]:
    """Return rows that failed, in order, those past row `after`."""
    failed = TaskRow.select().where(
        TaskRow.task == task, TaskRow.id > after, TaskRow.outcome == Outcome.FAILED
    )
    return list(failed.order_by(TaskRow.id).limit(limit))


def skipped(task: Task) -> int:
    """Return for how many rows there was nothing to do."""
    rows = TaskRow.select().where(TaskRow.task == task, TaskRow.outcome == Outcome.SKIPPED)
    return int(rows.count())


def results(task: Task) -> Iterator[tuple[str, str, str]]:
    """Stream every row as (label, outcome, detail); the outcome is "" for one not reached."""
    after = 0
    while True:
        some = TaskRow.select(TaskRow.id, TaskRow.label, TaskRow.outcome, TaskRow.detail)
        part = list(
            tuples(
                some.where(TaskRow.task == task, TaskRow.id > after)
                .order_by(TaskRow.id)
                .limit(_BATCH)
            )
        )
        if not part:
            return
        yield from ((label, outcome or "", detail) for _id, label, outcome, detail in part)
        after = part[-1][0]


def forget_old() -> int:
    """Delete tasks, with their rows, that were over long ago; return how many."""
    old = Task.finished_at.is_null(False) & (Task.finished_at < now_ms() - KEPT)
    return int(Task.delete().where(old).execute())


def _one(kind: Kind, turn: Turn) -> tuple[Outcome, str]:
    try:
        with transaction():  # a savepoint: a row that fails leaves nothing behind
            try:
                return Outcome.DONE, kind.run(turn)
            except Skip as skipped:
                return Outcome.SKIPPED, str(skipped)
    except KeywrightError as error:
        return Outcome.FAILED, str(error)
    except (IntegrityError, DataError) as error:  # this row's, however often it is tried
        log.error("task.fault", kind=kind.name, **kind_and_place(error))
        return Outcome.FAILED, "The database refuses what this row would store."
    except PeeweeException:  # the database is away or busy: the whole turn is tried again
        raise
    except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
        log.error("task.fault", kind=kind.name, **kind_and_place(error))
        return Outcome.FAILED, f"A fault in this program: {type(error).__name__}."


def _close(task: Task, state: TaskState, actor: Actor = audit.SYSTEM) -> None:
    kind = _KINDS.get(task.kind)
    task.state, task.finished_at = state, now_ms()
    task.save()
    if kind is not None and kind.finish is not None:
        kind.finish(task)
    audit.record(
        actor,
        _ENDS[state],
        task=task.resource_id,
        kind=task.kind,
        rows=task.done,
        failed=task.failed,
        by=task.actor_name,
    )


_ENDS = {
    TaskState.DONE: Event.TASK_FINISHED,
    TaskState.CANCELLED: Event.TASK_CANCELLED,
    TaskState.REVOKED: Event.TASK_REVOKED,
}
_NEXT = Statements(
    lambda: (
        TaskRow.select(TaskRow.id, TaskRow.subject)
        .where(TaskRow.task == parameter(0), TaskRow.id > parameter(1))
        .order_by(TaskRow.id)
        .limit(_BATCH)
    )
)
_MARK = Statements(
    lambda: TaskRow.update({TaskRow.outcome: parameter(0), TaskRow.detail: parameter(1)}).where(
        TaskRow.id == parameter(2)
    )
)
