# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Migrations: numbered scripts with frozen models, applied in order by `keywright migrate`."""

from __future__ import annotations

from pathlib import Path

from peewee import Database, DatabaseProxy
from playhouse.migrations import Runner

from .errors import ConfigurationError

FOLDER = Path(__file__).parent / "migrations"


def migrate(database: Database | DatabaseProxy) -> list[str]:
    """Apply what is not applied yet and return the names."""
    before = set(_runner(database).applied())
    _runner(database).up()
    return [name for name in _runner(database).applied() if name not in before]


def check_current(database: Database | DatabaseProxy) -> None:
    """Raise ConfigurationError unless every migration is applied: no web process migrates."""
    applied = set(_runner(database).applied())
    missing = [m.name for m in _runner(database).migrations() if m.name not in applied]
    if missing:
        raise ConfigurationError(
            f"The database lacks {len(missing)} migration(s): run `keywright migrate` first."
        )


def _runner(database: Database | DatabaseProxy) -> Runner:
    return Runner(database, str(FOLDER))
