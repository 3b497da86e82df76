# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from peewee import BlobField, CharField

from provisioning import models
from provisioning.models import Job, Row
from provisioning.sealing import columns
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import sealed

pytestmark = pytest.mark.req("R31")


def missing(tables: list[type[Row]]) -> set[str]:
    """Return the sealed columns of tables that `columns.ALL` does not name."""
    named = {(column.field.model, column.field.name) for column in columns.ALL}
    return {
        f"{table.__name__}.{field.name}"
        for table in tables
        for field in table._meta.sorted_fields
        if isinstance(field, BlobField) and field.name.startswith("sealed")
        if (table, field.name) not in named
    }


def test_every_sealed_column_of_a_model_is_in_the_table() -> None:
    assert missing(models.ALL) == set()


def test_a_sealed_column_that_is_not_in_the_table_is_found() -> None:
    class Letter(Row):
        sealed_text = BlobField(null=True)
        sealed_by = CharField()

    assert missing([*models.ALL, Letter]) == {"Letter.sealed_text"}


def test_every_column_is_bound_to_something_of_its_own() -> None:
    bindings = {column.binding(*("x" for _ in column.names)) for column in columns.ALL}
    assert len(bindings) == len(columns.ALL)


def test_what_is_sealed_is_counted_by_key(services: Services) -> None:
    assert columns.count_all() == {}
    sealed.fill(services, mails=3)
    (newest,) = services.vault.keks.ids()
    assert columns.count_all() == {newest: 4 + 6}
    assert {each.table: each.count()[newest] for each in columns.ALL} == {
        "outbox_mail": 4, "job": 1, "activation": 1, "live_setting": 1, "event_stream": 1,
        "kept_form": 1, "deferred_request": 1,
    }  # fmt: skip


def test_what_was_erased_in_the_meantime_stays_erased(services: Services) -> None:
    sealed.fill(services)
    with transaction():
        rows = [Job.get().id]
        Job.update(sealed_pin=None).execute()
        assert columns.PIN.reseal(rows, services.vault) == []
    assert Job.get().sealed_pin is None
