# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright init`: a data folder of one's own."""

from __future__ import annotations

import stat
from pathlib import Path

import click

from .. import audit, live_settings
from ..installation import KEYS, open_services
from ..sealing import proofs
from ..settings import ENV_FILE, PREFIX, load
from ..storage.db import database
from ..storage.migrate import migrate as apply_migrations
from ..vault import Vault
from .shell import refusing


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--base-url", required=True, help="Address that people will use: https://…")
@click.option("--organisation", help="Name that people will see; the panel can change it.")
@refusing
def init(data: Path, base_url: str, organisation: str | None) -> None:
    """Make a data folder: settings file, key files, database."""
    if (data / ENV_FILE).exists() or (data / KEYS).exists():
        raise click.ClickException(f"{data} is set up already; nothing was changed.")
    named = {"organisation": organisation} if organisation is not None else {}
    load(data, base_url=base_url, **named)  # refuse before anything is made
    _refuse_if_shared(data)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data / ENV_FILE).write_text(
        "# Keywright's settings; the README explains each. Secrets may be given as …_FILE.\n"
        f"{PREFIX}BASE_URL={base_url}\n",
        encoding="utf-8",
    )
    (data / ENV_FILE).chmod(0o600)
    Vault.create(data / KEYS)
    services = open_services(data)
    apply_migrations(database)
    proofs.check(services.vault)
    if organisation is not None and "organisation" not in services.fixed:
        live_settings.choose_organisation(organisation, audit.CLI, services)
    click.echo(f"Made {data}: settings in {ENV_FILE}, keys in {KEYS}/, database ready.")
    click.echo(f"Back up {KEYS}/ apart from the database: without it sealed data is lost.")
    click.echo("Next:")
    click.echo(f"  keywright owner-link --data {data}    # the first owner's one-time link")
    click.echo(f"  keywright serve --data {data}         # then open {services.settings.base_url}")


def _refuse_if_shared(data: Path) -> None:
    """Raise ClickException for a folder in which others could put other files in our files' place.

    Its mode stays as its owner chose it: whoever may only look in finds nothing to read.
    """
    mode = stat.S_IMODE(data.stat().st_mode) if data.exists() else 0
    if mode & 0o022:
        raise click.ClickException(f"{data}: mode is {mode:04o}, others can write; make it 0700.")
