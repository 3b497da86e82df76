# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright departures`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit
from ..models import User
from ..storage.db import transaction
from ..upstream import guard
from .shell import data_option, day, open_installation, refusing, row_number


@click.group("departures")
def departures() -> None:
    """Mass departures that wait for a decision."""


@departures.command("list")
@data_option
@refusing
def departures_list(data: Path) -> None:
    """List what is held: number, directory, since when, how many people."""
    open_installation(data)
    waiting = guard.undecided()
    for held in waiting:
        users = User.select().where(User.departure == held).count()
        click.echo(f"{held.id}  {held.connection.name}  since {day(held.started_at)}  {users}")
    if not waiting:
        click.echo("Nothing is held.")


@departures.command("approve")
@data_option
@click.argument("number", type=row_number)
@refusing
def departures_approve(data: Path, number: int) -> None:
    """They have left: revoke their keys after the grace time."""
    open_installation(data)
    with transaction():
        users = guard.approve(guard.get(number), audit.CLI)
    click.echo(f"Approved: {users} people have left.")


@departures.command("reject")
@data_option
@click.argument("number", type=row_number)
@refusing
def departures_reject(data: Path, number: int) -> None:
    """It was a mistake: bring the people and their keys back."""
    open_installation(data)
    with transaction():
        users = guard.reject(guard.get(number), audit.CLI)
    click.echo(f"Rejected: {users} people are back, with their keys.")
