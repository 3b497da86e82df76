# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A backup is made: SQLite copies a snapshot of itself, and whoever writes is not held up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import metadata
from pathlib import Path

from .. import audit
from ..audit import Actor, Anchor, Event
from ..clock import now_ms
from ..errors import CommandRefused, ConfigurationError
from ..storage.db import database, is_sqlite, transaction
from ..storage.migrate import applied
from ..vault import Vault
from . import archive
from .manifest import Manifest


def make(path: Path, vault: Vault, actor: Actor) -> Manifest:
    """Write a backup of the database, without any key (T24).

    Raises ConfigurationError on PostgreSQL, and where the file is already.
    """
    if not is_sqlite():
        raise ConfigurationError(
            "The database is PostgreSQL: back it up with its own pg_dump, and keep the data "
            "folder's keys/ and keywright.env apart from that."
        )
    with archive.new_file(path) as file, archive.scratch(path) as folder:
        with transaction():
            audit.record(actor, Event.BACKUP_MADE, file=path.name)
        copy, made_at = folder / "copy", now_ms()
        anchor = _copy(copy)
        manifest = Manifest(
            version=metadata.version("keywright"),
            made_at=made_at,
            migrations=sorted(applied(database)),
            anchor=str(anchor),
            size=copy.stat().st_size,
            sha256=archive.sha256_of(copy),
        )
        archive.write(file, manifest, copy, vault)
    return manifest


def _copy(to: Path) -> Anchor:
    """Copy a snapshot, all pages in one step: in WAL mode readers and writers go on meanwhile.

    Returns where the audit log stands in it.
    """
    with (
        closing(sqlite3.connect(database.database)) as source,
        closing(sqlite3.connect(to, isolation_level=None)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=delete")  # so that it is one file, without any beside it
        (said,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise CommandRefused(f"The database is broken, and no backup was made: {said}")
        rows, mac = copy.execute("SELECT rows, mac FROM audit_head").fetchone()
    return Anchor(rows, bytes(mac))
