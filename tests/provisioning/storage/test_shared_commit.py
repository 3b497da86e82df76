# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Crowds of writers: each thread is let in by the one before it, and all find the queue full."""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from peewee import IntegrityError, OperationalError

from provisioning.models import Preference, Setting
from provisioning.services import Services
from provisioning.storage import shared_commit, sqlite
from provisioning.storage.db import database, transaction, will_pass
from provisioning.storage.shared_commit import NotCommitted
from provisioning.storage.sqlite import Sqlite

pytestmark = [pytest.mark.sqlite, pytest.mark.req("R27")]

Work = Callable[[], None]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no commit go ahead because this machine is slow."""
    monkeypatch.setattr(shared_commit, "_SOON", 60.0)


@pytest.fixture
def statements(services: Services) -> Iterator[list[str]]:
    """What the connection that all write by is told."""
    said: list[str] = []
    with transaction():
        database.connection().set_trace_callback(said.append)
    said.clear()
    yield said
    with transaction():
        database.connection().set_trace_callback(None)


def _store(name: str) -> Work:
    return lambda: Setting.insert(name=name, value="1").execute() and None


def _stored(services: Services) -> set[str]:
    """Return what is there for a stranger, who sees nothing that is not committed."""
    path = services.settings.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as stranger:
        return {name for (name,) in stranger.execute("SELECT name FROM setting")}


@contextmanager
def _crowd(*works: Work, share_commit: bool = True) -> Iterator[list[Future[None]]]:
    """Let so many wait for this thread's turn to end, and then for their own to be over."""

    def write(work: Work) -> None:
        try:
            with transaction(share_commit=share_commit):
                work()
        finally:
            _leave()

    queue = database.obj._queue
    with ThreadPoolExecutor(len(works)) as threads:
        with transaction():
            futures = [threads.submit(write, work) for work in works]
            until = time.monotonic() + 10
            while share_commit and queue._heirs < len(works) and time.monotonic() < until:
                time.sleep(0.001)
        yield futures


def _leave() -> None:
    """Close this thread's connection, and not the one that all write by."""
    super(Sqlite, database.obj).close()


def _errors(futures: list[Future[None]]) -> list[type[BaseException]]:
    return sorted((type(e) for f in futures if (e := f.exception()) is not None), key=str)


def test_those_who_wait_for_each_other_share_one_commit(
    services: Services, statements: list[str]
) -> None:
    with _crowd(*(_store(f"{place}") for place in range(5))) as futures:
        assert _errors(futures) == []
    assert statements.count("COMMIT") == 2  # the one whose turn they waited for, and theirs
    assert _stored(services) == {"0", "1", "2", "3", "4"}


def test_a_commit_has_room_for_so_many(
    services: Services, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_commit, "_MOST", 2)
    with _crowd(*(_store(f"{place}") for place in range(6))) as futures:
        assert _errors(futures) == []
    assert statements.count("COMMIT") == 4


def test_those_who_do_not_share_commit_for_themselves(
    services: Services, statements: list[str]
) -> None:
    works = [_store(f"{place}") for place in range(3)]
    with _crowd(*works, share_commit=False) as futures:
        assert _errors(futures) == []
    assert statements.count("COMMIT") == 4


def test_nobody_goes_on_before_the_commit(services: Services) -> None:
    def write(name: str) -> bool:
        try:
            with transaction(share_commit=True):
                _store(name)()
            return name in _stored(services)
        finally:
            _leave()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(write, map(str, range(200))))


def test_who_fails_takes_back_its_own_alone(services: Services) -> None:
    def fail() -> None:
        _store("lost")()
        raise ZeroDivisionError

    with _crowd(_store("a"), fail, _store("b"), fail, _store("c")) as futures:
        assert _errors(futures) == [ZeroDivisionError, ZeroDivisionError]
    assert _stored(services) == {"a", "b", "c"}


def test_who_shares_a_commit_that_the_database_undoes_hears_of_it(services: Services) -> None:
    """As SQLite does by itself when the disk is full."""
    places = itertools.count()
    names: list[str] = []

    def third_ends_it(name: str) -> Work:
        def work() -> None:
            _store(name)()
            names.append(name)
            if next(places) == 2:
                database.execute_sql("ROLLBACK")
                raise OSError("disk full")

        return work

    with _crowd(*(third_ends_it(f"{place}") for place in range(5))) as futures:
        assert _errors(futures) == [OSError, NotCommitted, NotCommitted]
    assert _stored(services) == set(names[3:])  # who came after the third began anew


def test_a_transaction_that_is_gone_is_left_to_nobody(services: Services) -> None:
    """Whoever swallowed the error that undid it hears of it at the end, and nobody else does."""
    places = itertools.count()

    def first_is_undone(name: str) -> Work:
        def work() -> None:
            _store(name)()
            if next(places) == 0:
                database.execute_sql("ROLLBACK")
                undone.append(name)

        return work

    undone: list[str] = []
    names = [f"{place}" for place in range(4)]
    with _crowd(*map(first_is_undone, names)) as futures:
        assert _errors(futures) == [OperationalError]
    assert _stored(services) == {*names} - {*undone}


def _owe() -> None:
    """Write what the COMMIT refuses, and no statement before it."""
    database.execute_sql("PRAGMA defer_foreign_keys = ON")
    Preference.insert(user=4711, language="en").execute()


def test_a_commit_that_fails_fails_for_all_of_them(services: Services) -> None:
    with _crowd(_store("a"), _store("b"), _owe, _store("c")) as futures:
        assert _errors(futures) == [IntegrityError, NotCommitted, NotCommitted, NotCommitted]
    assert _stored(services) == set()
    with transaction(share_commit=True):
        _store("afterwards")()
    assert _stored(services) == {"afterwards"}


def test_who_fails_in_a_commit_that_fails_is_told_to_come_again(services: Services) -> None:
    """What it stumbled over may never have been."""
    places = itertools.count()

    def work() -> None:
        place = next(places)
        Setting.insert(name="name", value=str(place)).execute()  # Taken, but for the first
        if place == 0:
            _owe()

    with _crowd(work, work, work) as futures:
        kinds = _errors(futures)
    assert kinds.count(NotCommitted) == 2
    assert kinds.count(IntegrityError) == 1  # whose turn it was to commit
    assert _stored(services) == set()


def test_what_is_left_to_nobody_is_committed_all_the_same(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_commit, "_LOST", 0.01)
    monkeypatch.setattr(database.obj._queue, "_heirs", 1)  # who will never come
    with transaction(share_commit=True):
        _store("kept")()
    assert _stored(services) == {"kept"}


def test_a_connection_that_is_closed_leaves_nothing_open(services: Services) -> None:
    with ThreadPoolExecutor(1) as thread:

        def write() -> None:
            database.obj._queue._heirs += 1  # who will never come
            with transaction(share_commit=True):
                _store("kept")()

        writing = thread.submit(write)
        while database.obj._left_open is None:
            time.sleep(0.001)
        database.close()
        assert _stored(services) == {"kept"}
        writing.result()
        database.obj._queue._heirs -= 1
        thread.submit(database.close).result()


def test_a_file_that_is_closed_is_free_whoever_else_has_it_open(services: Services) -> None:
    with transaction():
        _store("kept")()
    queue = database.obj._queue
    inherited = os.dup(queue._file)  # as a child has it that was forked right now
    try:
        fcntl.flock(queue._file, fcntl.LOCK_EX)
        database.close()
        with open(queue._path) as another:
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(inherited)


def test_a_turn_within_a_turn_hands_nothing_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "SharedCommit", None)
    monkeypatch.setattr(database.obj._queue, "_heirs", 1)  # somebody waits, and goes on waiting
    with database.turn(), transaction(share_commit=True):
        _store("kept")()
    assert _stored(services) == {"kept"}


@pytest.mark.parametrize("seed", range(5))
def test_in_a_crowd_of_all_kinds_what_succeeded_is_there_and_nothing_else(
    services: Services, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(shared_commit, "_MOST", 3)
    chance = random.Random(seed)
    plans = [
        (f"{n}", chance.choice(["shares", "shares", "alone"]), chance.random() < 0.2)
        for n in range(150)
    ]

    def write(plan: tuple[str, str, bool]) -> str | None:
        name, kind, fails = plan
        try:
            with suppress(ZeroDivisionError), transaction(share_commit=kind == "shares"):
                _store(name)()
                if fails:
                    raise ZeroDivisionError
                return name
            return None
        finally:
            if chance.random() < 0.1:
                database.close()

    def leave(_: Any) -> None:
        time.sleep(0.01)
        database.close()

    with ThreadPoolExecutor(8) as threads:
        succeeded = {name for name in threads.map(write, plans) if name is not None}
        list(threads.map(leave, range(8)))
    assert succeeded == {name for name, _kind, fails in plans if not fails}
    assert _stored(services) == succeeded


def test_who_was_not_committed_may_come_again() -> None:
    assert will_pass(NotCommitted("a shared commit failed"))
