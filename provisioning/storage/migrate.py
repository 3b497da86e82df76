# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Migrations: numbered scripts with frozen models, applied in order by `keywright migrate`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from peewee import Database, DatabaseProxy, OperationalError
from playhouse.migrations import Runner

from ..errors import ConfigurationError
from ..models import ALL
from .db import migrating

FOLDER = Path(__file__).parent / "migrations"


def migrate(database: Database | DatabaseProxy) -> list[str]:
    """Apply what is not applied yet and return the names; of two runners at once one does it.

    Raises ConfigurationError when the database does not answer or cannot store every name.
    """
    with _answering(), migrating(table._meta.table_name for table in ALL):
        return list(_runner(database).up())


def check_current(database: Database | DatabaseProxy) -> None:
    """Raise ConfigurationError unless every migration is applied: no web process migrates."""
    with _answering():
        there = applied(database)
    missing = [name for name in known(database) if name not in there]
    if missing:
        raise ConfigurationError(
            f"The database lacks {len(missing)} migration(s): run `keywright migrate` first."
        )


def applied(database: Database | DatabaseProxy) -> set[str]:
    """Return the names of the migrations that a database has seen."""
    return set(_runner(database).applied())


def known(database: Database | DatabaseProxy) -> list[str]:
    """Return the names of this version's migrations, in order."""
    return [each.name for each in _runner(database).migrations()]


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Say in a line what a database that cannot be reached has to say; it names no password."""
    try:
        yield
    except OperationalError as error:
        said = " ".join(str(error).split())
        raise ConfigurationError(f"The database does not answer: {said}") from None


def _runner(database: Database | DatabaseProxy) -> Runner:
    return Runner(database, str(FOLDER))
