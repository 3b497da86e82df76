# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from peewee import DatabaseError

from provisioning.errors import ConfigurationError
from provisioning.models import ALL, Setting
from provisioning.services import Services
from provisioning.storage import db
from provisioning.storage.db import Foreseen, Gathered, database, open_database, transaction
from provisioning.storage.migrate import check_current, migrate


@pytest.mark.sqlite
@pytest.mark.req("R27")
def test_sqlite_is_wal_full_with_foreign_keys(services: Services) -> None:
    assert database.execute_sql("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute_sql("PRAGMA synchronous").fetchone() == (2,)
    assert database.execute_sql("PRAGMA foreign_keys").fetchone() == (1,)


def _count_up(url: str, times: int, share_commit: bool) -> None:
    open_database(url)

    def count_up(_thread: int) -> None:
        for _ in range(times):
            with transaction(share_commit=share_commit):
                row = Setting.get(Setting.name == "counter")
                row.value = str(int(row.value) + 1)
                row.save()
        database.close()

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(count_up, range(5)))


@pytest.mark.req("R27")
@pytest.mark.parametrize("share_commit", [False, True])
def test_processes_and_threads_that_read_and_write_the_same_row_lose_no_update(
    services: Services, share_commit: bool
) -> None:
    Setting.create(name="counter", value="0")
    database.close()  # a SQLite connection must not cross a fork
    forked = multiprocessing.get_context("fork")
    writers = [
        forked.Process(target=_count_up, args=(services.settings.database_url, 5, share_commit))
        for _ in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert Setting.get(Setting.name == "counter").value == "75"


def test_a_nested_transaction_that_fails_leaves_the_outer_one(services: Services) -> None:
    with transaction():
        Setting.create(name="outer", value="1")
        with pytest.raises(ZeroDivisionError), transaction():
            raise ZeroDivisionError(Setting.create(name="inner", value="1"))
    assert {row.name for row in Setting.select()} == {"outer"}


def test_nothing_is_left_of_a_nested_transaction_that_fails(services: Services) -> None:
    """Many rows of a task may fail in one transaction: each would leave its savepoint behind."""

    def release_once_more() -> None:
        with transaction():
            with suppress(ZeroDivisionError), transaction():
                raise ZeroDivisionError
            database.execute_sql("RELEASE SAVEPOINT nested_2")

    with pytest.raises(DatabaseError, match="nested_2"):
        release_once_more()


@pytest.mark.sqlite
@pytest.mark.req("R27")
def test_all_threads_write_by_one_connection_and_read_by_their_own(services: Services) -> None:
    def connection() -> object:
        return database.connection()

    def pair() -> tuple[object, object]:
        with transaction():
            writer = connection()
        return writer, connection()

    writer, reader = pair()
    with ThreadPoolExecutor(1) as other:
        found = other.submit(pair).result()
        other.submit(database.close).result()
    assert found[0] is writer
    assert found[1] is not reader
    assert writer not in (reader, found[1])


@pytest.mark.sqlite
@pytest.mark.req("R27")
def test_a_turn_that_ends_badly_leaves_nothing_for_the_next_one(services: Services) -> None:
    with suppress(DatabaseError), transaction():
        Setting.create(name="lost", value="1")
        Setting.create(name="lost", value="2")
    assert Setting.select().count() == 0
    with suppress(RuntimeError), database.turn():
        database.execute_sql("BEGIN")  # and nobody says ROLLBACK
        Setting.create(name="lost", value="1")
        raise RuntimeError("in the middle")
    with transaction():
        Setting.create(name="kept", value="1")
    assert [row.name for row in Setting.select()] == ["kept"]


def test_what_a_failed_savepoint_had_written_early_is_written_in_the_end(
    services: Services,
) -> None:
    written: list[str] = []
    notes = Gathered[str](written.extend)
    with transaction():
        notes.add("outer")
        with suppress(ZeroDivisionError), transaction():
            notes.add("inner")
            notes.flush()
            raise ZeroDivisionError
        assert written == ["outer", "inner"]  # both, in the savepoint that was taken back
        written.clear()
    assert written == ["outer"]


@pytest.fixture
def foreseen(monkeypatch: pytest.MonkeyPatch) -> list[Foreseen[Any]]:
    """Those of this test alone."""
    own: list[Foreseen[Any]] = []
    monkeypatch.setattr(db, "_foreseen", own)
    return own


def test_what_is_foreseen_is_asked_as_a_transaction_begins_and_again_when_wanted_again(
    services: Services, foreseen: list[Foreseen[Any]]
) -> None:
    asked: list[str] = []

    def ask() -> Callable[[], int]:
        asked.append("ask")
        count = len(asked)
        return lambda: count

    question = Foreseen(ask)
    assert question.answer() == 1  # outside of a transaction it is asked when it is wanted
    with transaction():
        assert asked == ["ask", "ask"]
        with transaction():
            assert question.answer() == 2
        assert question.answer() == 3
    with transaction():
        assert len(asked) == 4
    assert question.answer() == 5  # nothing is left of the one that nobody wanted


def test_a_question_that_fails_leaves_no_transaction_behind(
    services: Services, foreseen: list[Foreseen[Any]]
) -> None:
    def ask() -> Callable[[], int]:
        raise ZeroDivisionError

    Foreseen(ask)
    with pytest.raises(ZeroDivisionError), transaction():
        pytest.fail("it has not begun")
    foreseen.clear()
    assert not database.in_transaction()
    with transaction():
        Setting.create(name="kept", value="1")
    assert [row.name for row in Setting.select()] == ["kept"]


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="mysql"):
        open_database("mysql://host/db")


def test_an_address_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="is not an address") as refused:
        open_database("postgresql://keywright:hunter2@[::1/db")
    assert "hunter2" not in str(refused.value)


def test_migrations_make_exactly_the_tables_of_the_models(tmp_path: Path) -> None:
    migrated, modelled = tmp_path / "a.sqlite3", tmp_path / "b.sqlite3"
    migrate(open_database(f"sqlite:///{migrated}"))
    database.close()
    open_database(f"sqlite:///{modelled}")
    database.create_tables(ALL)
    database.close()

    def schema(path: Path) -> set[tuple[str, ...]]:
        with sqlite3.connect(path) as raw:
            rows = set(raw.execute("SELECT type, name, sql FROM sqlite_master"))
        raw.close()
        return {row for row in rows if "schema_migration" not in row[1]}

    assert schema(migrated) == schema(modelled)


def test_a_database_without_its_migrations_is_refused(tmp_path: Path) -> None:
    opened = open_database(f"sqlite:///{tmp_path}/x.sqlite3")
    with pytest.raises(ConfigurationError, match="run `keywright migrate` first"):
        check_current(opened)
    assert migrate(opened) == ["0001_initial"]
    check_current(opened)
    assert migrate(opened) == []
    database.close()
