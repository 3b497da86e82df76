# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The database: SQLite by default, PostgreSQL when one machine is outgrown.

On both, writers queue and readers do not wait; how is told in `sqlite` and `postgresql`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from peewee import (
    Database,
    DatabaseProxy,
    InterfaceError,
    ModelSelect,
    OperationalError,
    PeeweeException,
)

from ..errors import ConfigurationError
from .shared_commit import NotCommitted
from .sqlite import Sqlite

RETRY_AFTER = "5"  # seconds, for whoever finds the database away or busy
BREATH = 0.005  # seconds between two transactions of long work, in which others can write

T = TypeVar("T")

database = DatabaseProxy()


def open_database(url: str) -> Database:
    """Bind the models to `sqlite:////abs/path` or `postgresql://…` and return the database.

    Raises ConfigurationError for any other scheme, and for PostgreSQL without its driver.
    """
    if database.obj is not None:
        database.close()  # this thread's connection to the one before
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may repeat the password
        raise ConfigurationError("KEYWRIGHT_DATABASE_URL: is not an address") from None
    path = sqlite_path(url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened: Database = Sqlite(str(path))
    elif parts.scheme in ("postgresql", "postgres"):
        opened = _postgresql(url)
    else:
        raise ConfigurationError(
            f"KEYWRIGHT_DATABASE_URL: scheme {parts.scheme!r} is neither sqlite nor postgresql"
        )
    database.initialize(opened)
    return opened


def sqlite_path(url: str) -> Path | None:
    """Return where an address of SQLite says that the database is; None for another one."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        return None
    return Path(parts.path[1:] if parts.path.startswith("//") else parts.path)


def _postgresql(url: str) -> Database:
    try:
        from .postgresql import open_postgresql
    except ImportError as error:
        raise ConfigurationError(
            "KEYWRIGHT_DATABASE_URL: PostgreSQL needs the driver psycopg 3, which comes with the "
            f"extra `postgresql`: pip install 'keywright[postgresql]' ({error})"
        ) from None
    return open_postgresql(url)


def is_sqlite() -> bool:
    """Say whether the database that is open is SQLite."""
    return isinstance(database.obj, Sqlite)


def tuples(query: ModelSelect[Any]) -> Iterator[tuple[Any, ...]]:
    """Run a query of columns and stream its rows as tuples, without making models of them."""
    return iter(query.tuples())


class Gathered(Generic[T]):
    """What a transaction gathers, to write it in one go right before it commits.

    A savepoint that is rolled back takes what it gathered along. Outside of a transaction each
    item is written at once. What is gathered cannot be read before it is written.
    """

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self.write = write

    def add(self, item: T) -> None:
        """Put an item behind those that this thread's transaction has gathered."""
        if not _unit.depth:
            self.write([item])
            return
        items = _unit.gathered.get(self)
        if items is None:
            items = _unit.gathered[self] = _Items([])
        items.all.append(item)

    def flush(self) -> None:
        """Write what is gathered so far, for whoever is about to read or change it."""
        items = _unit.gathered.get(self)
        if items is not None:
            items.write(self)


@dataclass
class _Items:
    """What is gathered for one writer, and how much of it is written; it only ever grows."""

    all: list[Any]
    written: int = 0

    def write(self, gathered: Gathered[Any]) -> None:
        rest = self.all[self.written :]
        self.written = len(self.all)
        if rest:
            gathered.write(rest)


class Foreseen(Generic[T]):
    """What nearly every transaction asks in the end, and what nobody but the asker changes.

    So it is asked for at the beginning, where the question may travel with another.
    """

    def __init__(self, ask: Callable[[], Callable[[], T]]) -> None:
        self.ask = ask
        _foreseen.append(self)

    def answer(self) -> T:
        """Return the answer; to whoever asks again, as it is by then."""
        asked = _unit.foreseen.pop(self, None) or self.ask()
        return asked()


_foreseen: list[Foreseen[Any]] = []


class _Unit(threading.local):
    """This thread's transaction: its depth, what it has gathered, and what was asked ahead."""

    depth = 0
    guard: Callable[[], None] | None = None

    def __init__(self) -> None:
        self.gathered: dict[Gathered[Any], _Items] = {}
        self.foreseen: dict[Foreseen[Any], Callable[[], Any]] = {}

    def mark(self) -> dict[Gathered[Any], tuple[int, int]]:
        """Return how much is gathered and written so far."""
        return {each: (len(items.all), items.written) for each, items in self.gathered.items()}

    def go_back(self, mark: dict[Gathered[Any], tuple[int, int]]) -> None:
        """Forget what was gathered since; what was written since is to be written again."""
        for each, items in self.gathered.items():
            count, items.written = mark.get(each, (0, 0))
            del items.all[count:]


_unit = _Unit()


def transaction(*, share_commit: bool = False) -> AbstractContextManager[None]:
    """One write transaction, opened at the edge (a view, a command, the worker's loop).

    All or nothing; one at a time in the whole installation, so that what it reads stays true
    until it commits. May be nested: the inner one is a savepoint, the outermost one commits.

    `share_commit`: SQLite may commit it together with others that wait for their turn, on which
    this one then waits, and they on this one. For what is always brief, and comes in crowds.
    """
    return _Savepoint() if _unit.depth else _Outermost(share_commit)


@contextlib.contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """Have each transaction of this thread begin with `check`; what it raises ends it there.

    For rights, which may end while somebody waits for the turn to write.
    """
    before, _unit.guard = _unit.guard, check
    try:
        yield
    finally:
        _unit.guard = before


class _Outermost(AbstractContextManager[None]):
    """No generator, as its neighbours are: every write passes here."""

    def __init__(self, share_commit: bool) -> None:
        self._commits: AbstractContextManager[Any] = database.obj.writing(share_commit=share_commit)

    def __enter__(self) -> None:
        self._commits.__enter__()
        _unit.depth = 1
        try:
            for each in _foreseen:
                _unit.foreseen[each] = each.ask()
            if _unit.guard is not None:
                _unit.guard()
        except BaseException as failed:
            self.__exit__(type(failed), failed, failed.__traceback__)
            raise

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        try:
            if kind is None:
                self._commit()
            else:
                self._commits.__exit__(kind, *rest)
        finally:
            _unit.depth = 0
            _unit.gathered.clear()
            _unit.foreseen.clear()

    def _commit(self) -> None:
        try:
            for gathered, items in _unit.gathered.items():
                items.write(gathered)
        except BaseException as failed:
            self._commits.__exit__(type(failed), failed, failed.__traceback__)
            raise
        self._commits.__exit__(None, None, None)


class _Savepoint(AbstractContextManager[None]):
    """A transaction in another one; each operation of a Bulk request is one."""

    def __enter__(self) -> None:
        self._before = _unit.mark()
        # Not peewee's own: a name that is the same each time lets the database keep the statement.
        self._name = f"nested_{_unit.depth + 1}"
        database.obj.say(f"SAVEPOINT {self._name}")
        _unit.depth += 1

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        say = database.obj.say
        try:
            if kind is not None:
                _unit.go_back(self._before)
                say(f"ROLLBACK TO SAVEPOINT {self._name}")
            say(f"RELEASE SAVEPOINT {self._name}")  # rolled back to, it is still there
        finally:
            _unit.depth -= 1


@contextlib.contextmanager
def migrating(tables: Iterable[str]) -> Iterator[None]:
    """Be the only one that migrates, on either database.

    Text in these tables, which exist by the end, then compares by code point on PostgreSQL, too:
    pages and searches go by ranges of folded text, and an index that hangs on the system's locale
    is broken by the next update of that. Raises ConfigurationError.
    """
    with database.turn() if is_sqlite() else database.migrating(tables):
        yield


def will_pass(error: Exception) -> bool:
    """Say whether the same request may succeed in a while: the database is away or was busy."""
    if not isinstance(error, PeeweeException):
        return False
    away = isinstance(error, OperationalError | InterfaceError)
    if is_sqlite():
        return away and (isinstance(error, NotCommitted) or "locked" in str(error))
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state is None:
        return away
    # SQLSTATE classes: connection, rolled back for another's sake, out of resources, shut down.
    # By itself: waited for a lock, or was thrown out in the middle, for too long.
    return state[:2] in ("08", "40", "53", "57") or state in ("55P03", "25P03")
