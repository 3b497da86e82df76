# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright stream`: who hears of changes to a directory's people and groups."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit
from ..errors import InvalidValue
from ..event_streams import streams
from ..event_streams.streams import Detail, EventState, Method, StreamState
from ..models import EventStream
from ..services import Services
from ..storage.db import transaction
from ..upstream import connections
from .shell import data_option, open_installation, refusing


@click.group("stream")
def stream() -> None:
    """Streams of events (RFC 9967) for the receivers of directories."""


@stream.command("add")
@data_option
@click.option("--connection", "name", required=True, help="The directory whose resources it is of.")
@click.option("--push", "endpoint", default="", help="Address of the receiver: https://…")
@click.option("--poll", is_flag=True, help="The receiver comes for its events.")
@click.option("--audience", default="", help="Who the tokens are for; the address unless given.")
@click.option(
    "--detail",
    type=click.Choice([str(each) for each in Detail]),
    default=str(Detail.NOTICE),
    show_default=True,
    help="`full` sends people's data along.",
)
@click.option(
    "--authorization-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File that holds what the receiver wants in the Authorization header.",
)
@refusing
def add(
    data: Path,
    name: str,
    endpoint: str,
    poll: bool,
    audience: str,
    detail: str,
    authorization_file: Path | None,
) -> None:
    """Make a stream, by --push ADDRESS or by --poll."""
    services = open_installation(data)
    if bool(endpoint) is poll:
        raise InvalidValue("Say how events get there: --push ADDRESS or --poll.")
    # What does not decode is refused with the rest of what no header may hold.
    given = authorization_file.read_text("utf-8-sig", "replace") if authorization_file else ""
    with transaction():
        made = streams.add(
            connections.by_name(name),
            audit.CLI,
            vault=services.vault,
            method=Method.POLL if poll else Method.PUSH,
            detail=Detail(detail),
            audience=audience,
            endpoint=endpoint,
            authorization=given.strip(),
            local=services.settings.local_receivers,
        )
    click.echo(made.resource_id)
    click.echo(f"Tokens are signed by a key of {_base(services)}/jwks.json", err=True)
    if poll:
        click.echo(f"Poll {_base(services)}/Events/{made.resource_id}", err=True)


@stream.command("list")
@data_option
@refusing
def list_all(data: Path) -> None:
    """List streams: id, directory, way, detail, state, how many wait and are dead, last error."""
    services = open_installation(data)
    rows = streams.every()
    for row in rows:
        where = row.endpoint or f"{_base(services)}/Events/{row.resource_id}"
        click.echo(
            f"{row.resource_id}  {row.connection.name}  {row.method} {where}  {row.detail}  "
            f"{row.state}  delivered {row.delivered}  waiting {streams.waiting(row)}  "
            f"dead {streams.waiting(row, EventState.DEAD)}  {row.last_error}".rstrip()
        )
    if not rows:
        click.echo("No streams. Make one: keywright stream add --connection NAME --push ADDRESS")


@stream.command("remove")
@data_option
@click.argument("stream_id")
@refusing
def remove(data: Path, stream_id: str) -> None:
    """Remove a stream and what waits in it."""
    open_installation(data)
    with transaction():
        found = streams.get(stream_id)
        streams.remove(found, audit.CLI)
    click.echo(f"Removed {found.resource_id} of {found.connection.name}.")


@stream.command("stop")
@data_option
@click.argument("stream_id")
@refusing
def stop(data: Path, stream_id: str) -> None:
    """Stop a stream; what happens meanwhile is not told."""
    _set(data, stream_id, StreamState.STOPPED)


@stream.command("start")
@data_option
@click.argument("stream_id")
@refusing
def start(data: Path, stream_id: str) -> None:
    """Let a stopped stream go on."""
    _set(data, stream_id, StreamState.ACTIVE)


@stream.command("retry")
@data_option
@click.argument("stream_id")
@refusing
def retry(data: Path, stream_id: str) -> None:
    """Try dead events again, and do it at once."""
    open_installation(data)
    with transaction():
        count = streams.retry(streams.get(stream_id), audit.CLI)
    click.echo(f"{count} events wait again.")


def _set(data: Path, stream_id: str, state: StreamState) -> None:
    open_installation(data)
    with transaction():
        found: EventStream = streams.get(stream_id)
        streams.set_state(found, state, audit.CLI)
    click.echo(f"{found.resource_id} is {state}.")


def _base(services: Services) -> str:
    return f"{services.settings.base_url}/scim/v2"
