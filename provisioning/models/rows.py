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
        # Of a row that was read a while ago only what is new is written, and nothing back.
        only_save_dirty = True

    def renew(self) -> None:
        """Read the row anew: whoever gave it to us may have read it while others still wrote.

        What was set and not saved is lost. Whoever decides by a row's state calls this first, in
        its transaction: from there on nobody else writes (`db.transaction`).
        """
        found = type(self).get_by_id(self.id)
        self.__data__, self.__rel__ = found.__data__, {}
        self._dirty: set[str] = set()


class Setting(Row):
    """A value that must survive restarts and is not configuration: the frozen RP ID, say."""

    name = TextField(unique=True)
    value = TextField()
