# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright schema`: attributes of an organisation's own, for people and groups."""

from __future__ import annotations

from pathlib import Path

import click

from scim import extensions

from .. import audit
from ..storage.db import transaction
from ..upstream import custom_schemas
from .shell import data_option, open_installation, refusing


@click.group("schema")
def schema() -> None:
    """SCIM attributes of your own, for people and groups."""


@schema.command("add")
@data_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--for", "type_name", type=click.Choice(list(extensions.EXTENSIBLE)), default="User")
@click.option("--required", is_flag=True, help="Refuse a POST or PUT that comes without it.")
@refusing
def add(data: Path, file: Path, type_name: str, required: bool) -> None:
    """Add the extension that FILE describes: a Schema resource as in RFC 7643 §7, in JSON."""
    open_installation(data)
    text = file.read_bytes()
    found = extensions.read(text)
    with transaction():
        custom_schemas.add(
            found.urn,
            text.decode(),
            resource_type=type_name,
            required=required,
            actor=audit.CLI,
        )
    click.echo(
        f"Added {found.urn} to {type_name}: {len(found.attributes)} attributes. "
        "Every process knows it within a second."
    )


@schema.command("list")
@data_option
@refusing
def list_all(data: Path) -> None:
    """List what was added: URN, resource type, whether it is required, attributes."""
    open_installation(data)
    rows = custom_schemas.every()
    for row in rows:
        names = ", ".join(each.name for each in extensions.read(row.document.encode()).attributes)
        required = "required" if row.required else "optional"
        click.echo(f"{row.urn}  {row.resource_type}  {required}  {names}")
    if not rows:
        click.echo("No schemas of your own. Add one: keywright schema add FILE")


@schema.command("remove")
@data_option
@click.argument("urn")
@refusing
def remove(data: Path, urn: str) -> None:
    """Remove an extension that nobody holds values of."""
    open_installation(data)
    with transaction():
        row = custom_schemas.remove(urn, audit.CLI)
    click.echo(f"Removed {row.urn} from {row.resource_type}.")
