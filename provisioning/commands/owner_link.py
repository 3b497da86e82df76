# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright owner-link`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit
from ..panel import access
from ..storage.db import transaction
from .shell import data_option, open_installation, refusing


@click.command("owner-link")
@data_option
@click.option("--recover", is_flag=True, help="Even though there is an owner (audited).")
@refusing
def owner_link(data: Path, recover: bool) -> None:
    """Print the one-time link that makes an owner: 15 minutes, one use."""
    services = open_installation(data)
    with transaction():
        token = access.make_owner_link(audit.CLI, recover=recover)
    click.echo(f"{services.settings.base_url}/owner#{token}")
