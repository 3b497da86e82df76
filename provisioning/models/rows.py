# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What every table shares, and values that outlive restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import AutoField, Model, TextField

from ..storage.db import database


class Row(Model):
    """Base of every table: an integer key for joins and keyset pages."""

    if TYPE_CHECKING:  # peewee adds `<name>_id` beside each foreign key

        def __getattr__(self, name: str) -> int: ...

    id = AutoField()

    class Meta:
        database = database
        legacy_table_names = False


class Setting(Row):
    """A value that must survive restarts and is not configuration: the frozen RP ID, say."""

    name = TextField(unique=True)
    value = TextField()
