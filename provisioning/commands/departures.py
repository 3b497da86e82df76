# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright departures`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit, tasks
from ..models import User
from ..storage.db import transaction
from ..tasks import Outcome
from ..upstream import guard
from ..upstream.departures import take_back
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
    services = open_installation(data)
    with transaction():
        held = guard.get(number)
        task = take_back(held, audit.CLI)
    task = tasks.finish(task, services)
    back = 0
    for name, outcome, detail in tasks.results(task):
        back += outcome == Outcome.DONE
        if detail:
            click.echo(f"{name}: {detail}")
    click.echo(f"Rejected: {back} people are back, with their keys.")
    left = guard.count(held)
    if left:
        raise click.ClickException(f"{left} people are still held: decide once more.")
