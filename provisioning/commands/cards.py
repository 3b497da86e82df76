# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright key assign`, `keywright key at-reader`: what takes a card, from a shell or a script.

Beside what `keys` has. Each is a job for a station, as in the panel, and waits for its end: what
is to be done now comes as a line, the exit code is 0 when it is done. One that broke off goes on
when it is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click

from .. import audit, keys
from ..desks import faults, jobs, orders, stations, wipes
from ..desks.jobs import Wipe
from ..errors import NotFound, WrongState
from ..issuing import assignment, terms
from ..lifecycle import JobState, KeyKind, KeyState
from ..models import Job, SecurityKey, Station, User
from ..services import Services
from ..storage.db import transaction
from .keys import key_group
from .shell import data_option, open_installation, person, refusing

_LOOK_SECONDS = 0.25

Order = Callable[[Station, SecurityKey, Services], Job]

VERBS: dict[str, Order] = {
    "assign": lambda station, key, services: orders.queue_enrolment(
        station, key, services, audit.CLI
    ),
    "change-pin": lambda station, key, _: orders.queue_pin_change(station, key, audit.CLI),
    "force-change": lambda station, key, _: orders.queue_forced_change(station, key, audit.CLI),
    "reset": lambda station, key, services: orders.queue_reset(station, key, services, audit.CLI),
    "return": lambda station, key, services: orders.queue_reset(
        station, key, services, audit.CLI, Wipe.STOCK
    ),
}

_station_option = click.option("--station", required=True, help="The reader's name in the panel.")


@key_group.command("assign")
@data_option
@click.argument("user_name")
@_station_option
@click.option("--name", help="Of the key; otherwise it is named after the person.")
@click.option("--replaces", metavar="KEY_ID", help="This key is revoked when the new one works.")
@click.option("--until", "last_day", type=click.DateTime(["%Y-%m-%d"]), help="A lent key's end.")
@refusing
def assign(
    data: Path,
    user_name: str,
    station: str,
    name: str | None,
    replaces: str | None,
    last_day: datetime | None,
) -> None:
    """Give a person a card that is tapped at a reader; its PIN goes to them by mail."""
    services = open_installation(data)
    with transaction():
        user = person(user_name)
        desk = _station(station, user)
        named = name or keys.free_name(f"Card of {user.display_name}"[: keys.MAX_NAME], user)
        key = keys.draft(KeyKind.CONTACTLESS_CARD, named, "admin", user=user, actor=audit.CLI)
        keys.assign(key, user, audit.CLI)
        if replaces:
            assignment.replace(key, keys.get_key(replaces))
        if last_day:
            terms.set_end(key, terms.end_of(last_day.date()), audit.CLI)
        job = orders.queue_enrolment(desk, key, services, audit.CLI)
    click.echo(f"{key.resource_id}  {key.name}")
    _wait(job)


@key_group.command("at-reader")
@data_option
@click.argument("key_id")
@click.argument("verb", type=click.Choice(list(VERBS)))
@_station_option
@click.option("--yes", is_flag=True, help="Do not ask before a card is wiped.")
@refusing
def at_reader(data: Path, key_id: str, verb: str, station: str, yes: bool) -> None:
    """Do something to a key's card at a reader; `assign` goes on with one that broke off."""
    services = open_installation(data)
    key = keys.get_key(key_id)
    if verb in ("reset", "return") and not yes:
        click.echo("The PIN and the sign-ins of every site on this card are wiped, not only ours.")
        if verb == "return":
            click.echo(f"{key.name} is revoked for ever; its history stays.")
        click.confirm("Wipe it?", abort=True)
    with transaction():
        key = keys.get_key(key_id)
        job = VERBS[verb](_station(station, key.user), key, services)
    _wait(job)


def _wait(job: Job) -> None:
    """Tell what happens until the job ends; raises WrongState when it ends badly."""
    try:
        told = ""
        while True:
            job = jobs.get(job.resource_id)
            if jobs.is_lost(job):
                with transaction():
                    job = jobs.settle(jobs.get(job.resource_id))
            if job.state == JobState.DONE:
                job = wipes.follow_up(job) or job
            if job.state not in (JobState.QUEUED, JobState.RUNNING):
                break
            if (now := _now(job)) != told:
                told = now
                click.echo(told)
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        with transaction():
            job = jobs.get(job.resource_id)
            if job.state in jobs.OPEN:
                jobs.cancel(job, audit.CLI)
        raise
    if job.state == JobState.INTERRUPTED:
        raise WrongState(faults.of(job.fault).sentence)
    if job.state != JobState.DONE:
        raise WrongState("It was cancelled.")
    key = jobs.key_of(job)
    click.echo(f"Done. {key.name} is {KeyState(key.state).value.replace('_', ' ')}.")


def _now(job: Job) -> str:
    where, at = job.station.name, jobs.card_of(job).get("at")
    if job.state == JobState.QUEUED:
        return f"Waiting for {where}."
    return f"Tap the card on {where}." if at != "card" else "Leave the card on the reader."


def _station(name: str, user: User | None) -> Station:
    serving = stations.serving(user)
    found = [one for one in serving if name in (one.name, one.resource_id)]
    if len(found) != 1:
        known = ", ".join(one.name for one in serving) or "none"
        raise NotFound(f"No one reader is called {name} here. There are: {known}.")
    return found[0]
