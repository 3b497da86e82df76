# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright token`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit
from ..models import Connection, Token
from ..storage.db import transaction
from ..upstream import tokens
from .shell import data_option, day, open_installation, refusing


@click.group()
def token() -> None:
    """Bearer tokens for directories."""


@token.command("create")
@data_option
@click.option("--connection", "name", required=True, help="The directory's name; made if new.")
@click.option("--days", default=180, show_default=True, help="How long it lives, at most 365.")
@click.option("--scope", type=click.Choice(["write", "users", "read"]), default="write")
@refusing
def token_create(data: Path, name: str, days: int, scope: str) -> None:
    """Print a new token. It is shown this once."""
    open_installation(data)
    with transaction():
        connection = Connection.get_or_none(Connection.name == name)
        if connection is None:
            connection = tokens.create_connection(name, audit.CLI, scope)
        _row, text = tokens.create(connection, days, audit.CLI)
    click.echo(text)


@token.command("list")
@data_option
@refusing
def token_list(data: Path) -> None:
    """List tokens: id, connection, scope, state, expiry, last use. Never the secret."""
    open_installation(data)
    rows = Token.select(Token, Connection).join(Connection).order_by(Token.id)
    for row in rows:
        state = "revoked" if row.revoked_at else "live"
        click.echo(
            f"{row.public_id}  {row.connection.name}  {row.connection.scope}  {state}  "
            f"expires {day(row.expires_at)}  used {day(row.last_used_at)}"
        )
    if not rows:
        click.echo("No tokens. Make one: keywright token create --connection NAME")


@token.command("revoke")
@data_option
@click.argument("public_id")
@refusing
def token_revoke(data: Path, public_id: str) -> None:
    """Revoke a token; the next request with it is refused."""
    open_installation(data)
    with transaction():
        row = tokens.revoke(public_id, audit.CLI)
    click.echo(f"Revoked {row.public_id} of {row.connection.name}.")
