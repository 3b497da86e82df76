# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Long work: a task and its rows; see `tasks`."""

from __future__ import annotations

from peewee import BigIntegerField, CharField, ForeignKeyField, IntegerField, TextField

from ..clock import now_ms
from .rows import Row


class Task(Row):
    """Work on many rows, done by the worker bit by bit; who wanted it, how far it is."""

    resource_id = CharField(unique=True)
    kind = CharField()
    title = TextField(default="")  # what it is about, for people: a file's name, say
    options = TextField(default="{}")  # JSON, no secrets
    actor_kind = CharField()
    actor_id = CharField(null=True)
    actor_name = TextField()
    state = CharField(default="queued")  # tasks.TaskState
    total = IntegerField(default=0)
    done = IntegerField(default=0)  # rows that have an outcome, those that failed included
    failed = IntegerField(default=0)
    cursor = IntegerField(default=0)  # id of the last row that has an outcome
    created_at = BigIntegerField(default=now_ms)
    started_at = BigIntegerField(null=True)
    worked_at = BigIntegerField(default=now_ms)  # tasks take turns by it
    finished_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("state", "worked_at"), False),)


class TaskRow(Row):
    """One row of a task: what it is about, and what became of it."""

    task = ForeignKeyField(Task, backref="rows", on_delete="CASCADE", index=False)
    subject = TextField()  # a resource id, or whatever the task's kind understands
    label = TextField(default="")  # the subject for people
    outcome = CharField(null=True)  # tasks.Outcome; null until its turn has come
    detail = TextField(default="")

    class Meta:
        indexes = ((("task", "id"), False),)


TaskRow.add_index(
    TaskRow.task, TaskRow.id, where=TaskRow.outcome == "failed", name="task_row_failed"
)
