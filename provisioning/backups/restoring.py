# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A backup is put back: looked over from end to end under another name, and only then in place."""

from __future__ import annotations

from pathlib import Path

from .. import audit
from ..audit import Actor, Anchor, Event
from ..errors import CommandRefused, ConfigurationError
from ..key_files import sync_folder
from ..sealing import proofs
from ..services import Services
from ..storage.db import database, open_database, sqlite_path, transaction
from ..storage.migrate import applied, known
from . import archive
from .manifest import Manifest

_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps next to a database


def restore(path: Path, services: Services, actor: Actor) -> Manifest:
    """Put a backup where the settings want the database, which is not there yet.

    Raises ConfigurationError where one is, on PostgreSQL, or if the keys do not open what it
    holds; CommandRefused for a file that is no whole backup of this installation.
    """
    place = sqlite_path(services.settings.database_url)
    if place is None:
        raise ConfigurationError("The database is PostgreSQL: restore it with its own pg_restore.")
    _refuse_existing(place)
    with path.open("rb") as file, archive.scratch(place) as folder:
        part = folder / "restored"
        with part.open("xb") as into:
            manifest = archive.read(file, into, services.vault)
        open_database(f"sqlite:///{part}")
        try:
            _look_over(manifest, services)
            with transaction():
                audit.record(actor, Event.BACKUP_RESTORED, made_at=manifest.made_at)
            database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            database.close()
        part.chmod(0o600)
        archive.sync(part)
        _refuse_existing(place)
        part.rename(place)
    sync_folder(place.parent)
    return manifest


def _refuse_existing(place: Path) -> None:
    """Raise ConfigurationError if there is a database, or a part of one."""
    there = [each for each in ("", *_BESIDE) if place.with_name(place.name + each).exists()]
    if there:
        raise ConfigurationError(f"{place}{there[0]}: is there already, and nothing was restored.")


def _look_over(manifest: Manifest, services: Services) -> None:
    found = database.execute_sql("PRAGMA integrity_check").fetchall()
    if found != [("ok",)]:
        raise CommandRefused(f"The database in this backup is broken: {found[0][0]}")
    unknown = sorted(set(applied(database)) - set(known(database)))
    if unknown:
        raise CommandRefused(
            f"This backup is of a newer version, {manifest.version}: install that first."
        )
    verdict = audit.verify(Anchor.parse(manifest.anchor))
    if not verdict.whole:
        raise CommandRefused(f"The audit log in this backup is broken: {verdict.message}.")
    proofs.check(services.vault)
