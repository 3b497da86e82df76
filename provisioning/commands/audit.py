# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright audit`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit
from .shell import data_option, open_installation, refusing


@click.group("audit")
def audit_group() -> None:
    """The audit log."""


@audit_group.command("verify")
@data_option
@click.option("--anchor", help="What `audit head` printed earlier, kept on another host.")
@refusing
def audit_verify(data: Path, anchor: str | None) -> None:
    """Walk the chain: finds edited, missing and reordered rows and a cut tail."""
    open_installation(data)
    verdict = audit.verify(audit.Anchor.parse(anchor) if anchor else None)
    if not verdict.whole:
        raise click.ClickException(f"The audit log is broken: {verdict.message}.")
    click.echo(f"{verdict.rows} rows, chain whole.")


@audit_group.command("head")
@data_option
@refusing
def audit_head(data: Path) -> None:
    """Print where the log stands, to keep on another host for `audit verify --anchor`."""
    open_installation(data)
    click.echo(str(audit.head()))
