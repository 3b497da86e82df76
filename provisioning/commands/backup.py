# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright backup` and `keywright restore`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from .. import audit
from ..audit import Anchor
from ..backups import making, restoring
from ..backups.manifest import Manifest
from ..installation import KEYS, open_keys
from ..settings import ENV_FILE
from .shell import data_option, open_installation, refusing

_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@_file
@data_option
@refusing
def backup(file: Path, data: Path) -> None:
    """Write the database to FILE while it is in use. Keys are never in it."""
    services = open_installation(data)
    made = making.make(file.absolute(), services.vault, audit.CLI)
    click.echo(f"Wrote {file}: {_told(made)}.")
    click.echo(f"There are no keys in it. Keep {data / KEYS}/ and {ENV_FILE} apart from it: nobody")
    click.echo("can read, or restore, what is sealed in a backup without the keys.")


@click.command()
@_file
@data_option
@refusing
def restore(file: Path, data: Path) -> None:
    """Put the database of FILE into a data folder that has its keys and settings, but none yet."""
    found = restoring.restore(file, open_keys(data), audit.CLI)
    click.echo(f"Restored {file}: {_told(found)}.")
    click.echo("What has happened since is not in it: who left is back, revoked tokens work again,")
    click.echo("mails that waited go out once more. Have the directories send everybody anew.")


def _told(manifest: Manifest) -> str:
    at = datetime.fromtimestamp(manifest.made_at / 1000, UTC)
    rows = Anchor.parse(manifest.anchor).rows
    return f"as of {at:%Y-%m-%d %H:%M:%S} UTC, {manifest.size} bytes, {rows} rows of audit log"
