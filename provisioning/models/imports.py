# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Files of people and groups that were uploaded, line by line; see `imports`."""

from __future__ import annotations

from peewee import BigIntegerField, CharField, ForeignKeyField, IntegerField, TextField

from ..clock import now_ms
from .directories import Connection
from .rows import Row
from .work import Task


class ImportFile(Row):
    """An uploaded CSV file: what is known about it, and the tasks that check it and apply it."""

    resource_id = CharField(unique=True)
    name = TextField()
    actor_name = TextField()
    encoding = CharField()
    separator = CharField()
    header = TextField()  # JSON, the headings
    lines = IntegerField(default=0)
    content = CharField(default="people")  # import_columns.Content
    columns = TextField(default="{}")  # JSON, attribute to the column's place
    source = ForeignKeyField(Connection, null=True, index=False)
    check_task = ForeignKeyField(Task, null=True, on_delete="SET NULL")
    run_task = ForeignKeyField(Task, null=True, on_delete="SET NULL")
    counts = TextField(default="{}")  # JSON, made when the check is over
    created_at = BigIntegerField(default=now_ms)
    erased_at = BigIntegerField(null=True)  # when its lines' cells were


class ImportLine(Row):
    """A line of the file, and what it would change."""

    file = ForeignKeyField(ImportFile, backref="rows", on_delete="CASCADE", index=False)
    number = IntegerField()  # as an editor counts
    cells = TextField(null=True)  # JSON; erased when the import is over
    key = TextField(null=True)  # by which a second line about the same is found
    matched = IntegerField(null=True)  # id of the user that this line is about
    verb = CharField(null=True)  # import_plan.Verb; null until it was checked
    label = TextField(default="")
    detail = TextField(default="{}")  # JSON: changes, or the reason; see `csv_import.words`

    class Meta:
        indexes = (
            (("file", "number"), True),
            (("file", "verb", "number"), False),
            (("file", "key", "number"), False),
            (("file", "matched"), False),
        )
