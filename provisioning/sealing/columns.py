# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The one table of what is sealed: every column, and what its values are bound to.

Whoever seals or opens a value asks here what it is bound to, so that whoever seals all of them
anew cannot be of another opinion. A test finds a sealed column that is not in `ALL`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from peewee import SQL, BlobField, Field, fn

from ..kek_file import ID_BYTES
from ..models import (
    Activation,
    DeferredRequest,
    EventStream,
    Job,
    KeptForm,
    LiveSetting,
    OutboxMail,
)
from ..storage.db import tuples
from ..vault import SealBroken, Vault


@dataclass(frozen=True)
class SealedColumn:
    """A column of sealed values, each bound to what stands in other columns of its row."""

    field: BlobField
    form: str  # of what a value is bound to, with a place for each name
    names: tuple[Field, ...]

    def binding(self, *values: object) -> str:
        """Return what the value is bound to in the row that has these under the names."""
        return self.form.format(*values)

    @property
    def table(self) -> str:
        """The table's name, to tell people where a value is."""
        name: str = self._model._meta.table_name
        return name

    def count(self) -> Counter[bytes]:
        """Return how many values lie under each key's id."""
        key_id = fn.SUBSTR(self.field, 1, ID_BYTES)
        found = self._model.select(key_id, fn.COUNT(self._model.id)).where(
            self.field.is_null(False)
        )
        return Counter({bytes(each): count for each, count in tuples(found.group_by(SQL("1")))})

    def not_under(self, key_ids: Collection[bytes], after: int, limit: int) -> list[int]:
        """Return the ids of rows past `after` whose value is sealed under none of these keys."""
        model = self._model
        found = model.select(model.id).where(
            model.id > after,
            self.field.is_null(False),
            fn.SUBSTR(self.field, 1, ID_BYTES).not_in(list(key_ids)),
        )
        return [row for (row,) in tuples(found.order_by(model.id).limit(limit))]

    def reseal(self, rows: Sequence[int], vault: Vault) -> list[int]:
        """Seal the values of these rows under the newest key, in the caller's transaction.

        Returns the rows whose value does not open; they stay as they are. Nothing else in a row
        is touched, and no value that somebody has erased in the meantime comes back.
        """
        model, broken = self._model, []
        found = model.select(model.id, self.field, *self.names).where(
            model.id << list(rows), self.field.is_null(False)
        )
        for row, sealed, *values in list(tuples(found.order_by(model.id))):
            bound_to = self.binding(*values)
            try:
                plaintext = vault.unseal(bytes(sealed), bound_to)
            except SealBroken:
                broken.append(row)
                continue
            anew = {self.field: vault.seal(plaintext, bound_to)}
            model.update(anew).where(model.id == row).execute()
        return broken

    @property
    def _model(self) -> Any:
        return self.field.model


MAIL = SealedColumn(OutboxMail.sealed_secret, "{}", (OutboxMail.message_id,))
PIN = SealedColumn(Job.sealed_pin, "pin:{}", (Job.resource_id,))
LINK_CODE = SealedColumn(Activation.sealed_code, "link code:{}", (Activation.resource_id,))
SETTING = SealedColumn(LiveSetting.sealed, "setting:{}", (LiveSetting.name,))
STREAM = SealedColumn(EventStream.sealed_authorization, "stream:{}", (EventStream.resource_id,))
KEPT_FORM = SealedColumn(KeptForm.sealed, "kept-form:{}:{}", (KeptForm.account, KeptForm.path))
REQUEST = SealedColumn(DeferredRequest.sealed_body, "deferred:{}", (DeferredRequest.txn,))

ALL = (MAIL, PIN, LINK_CODE, SETTING, STREAM, KEPT_FORM, REQUEST)


def lying_under(key_id: bytes) -> dict[str, int]:
    """Return in which tables values lie under one key, and how many. Reads whole tables."""
    counted = {column.table: column.count()[key_id] for column in ALL}
    return {table: count for table, count in counted.items() if count}


def count_all() -> Counter[bytes]:
    """Return how many values of the database lie under each key's id. Reads whole tables."""
    return sum((column.count() for column in ALL), Counter())
