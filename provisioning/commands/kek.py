# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright kek`: the key-encryption key, changed while the server runs. Ids are public."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit
from ..installation import open_services
from ..sealing import abandonment, columns, proofs, rotation
from ..storage.db import database
from ..storage.migrate import check_current
from .shell import data_option, open_installation, refusing


@click.group()
def kek() -> None:
    """The key under which secrets lie in the database."""


@kek.command("rotate")
@data_option
@refusing
def kek_rotate(data: Path) -> None:
    """Add a new key and seal everything under it; run again, it goes on where it was stopped."""
    vault = open_installation(data).vault
    new = rotation.begin(vault, audit.CLI)
    newest = vault.keks.ids()[-1].hex()
    click.echo(f"New key {newest}." if new else f"Going on with key {newest}, which is there.")
    done, broken = 0, []
    for batch in rotation.reseal(vault, audit.CLI):
        done += batch.done
        broken += [f"{batch.column.table} {row}" for row in batch.broken]
    click.echo(f"Sealed anew: {done}.")
    if broken:
        raise click.ClickException(f"These do not open and were left: {', '.join(broken)}.")
    if len(vault.keks.ids()) > 1:
        click.echo("Back up the key files, then: keywright kek retire")


@kek.command("status")
@data_option
@refusing
def kek_status(data: Path) -> None:
    """List the keys by id, and how many values lie under each; also where the server refuses."""
    keks = open_services(data).vault.keks
    check_current(database)
    here = [each.hex() for each in keks.ids()]
    counted = {each.hex(): count for each, count in columns.count_all().items()}
    states = dict.fromkeys({*counted, *proofs.needed()}, "not in keys/kek")
    states |= dict.fromkeys(proofs.abandoned(), "abandoned")
    for key_id in [*here, *sorted({*states} - {*here})]:
        state = "newest" if key_id == here[-1] else "old" if key_id in here else states[key_id]
        click.echo(f"{key_id}  {state}  {counted.get(key_id, 0)} sealed")


@kek.command("retire")
@data_option
@refusing
def kek_retire(data: Path) -> None:
    """Take old keys out of the file, once nothing is sealed under them."""
    vault = open_installation(data).vault
    gone = rotation.retire(vault, audit.CLI)
    click.echo(f"Retired {', '.join(gone)}; in use: {vault.keks.ids()[-1].hex()}.")
    click.echo("Backups of the database from before need the key files from before.")


@kek.command("abandon")
@data_option
@click.argument("key_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@refusing
def kek_abandon(data: Path, key_id: str, yes: bool) -> None:
    """Start without a key that is lost for good; says first what nobody can read without it."""
    vault = open_services(data).vault
    check_current(database)
    lost = abandonment.lying_under(key_id, vault)
    if not yes:
        told = ", ".join(f"{count} in {table}" for table, count in lost.items())
        click.echo(f"Sealed under {key_id}, and not to be read without it: {told or 'nothing'}.")
        click.confirm("Give it up?", abort=True)
    abandonment.abandon(key_id, vault, audit.CLI)
    click.echo(f"Abandoned {key_id}. If the key turns up, put its line into keys/kek.")
