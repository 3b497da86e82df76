# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright migrate`."""

from __future__ import annotations

from pathlib import Path

import click

from ..settings import load
from ..storage.db import open_database
from ..storage.migrate import migrate as apply_migrations
from .shell import data_option, refusing


@click.command()
@data_option
@refusing
def migrate(data: Path) -> None:
    """Bring the database to this version's schema."""
    settings = load(data)
    applied = apply_migrations(open_database(settings.database_url))
    click.echo(f"Applied: {', '.join(applied)}" if applied else "Nothing to apply.")
