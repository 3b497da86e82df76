# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright station`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit
from ..desks import stations
from ..storage.db import transaction
from .shell import data_option, open_installation, refusing


@click.group("station")
def station_group() -> None:
    """Desks with a reader."""


@station_group.command("code")
@data_option
@refusing
def station_code(data: Path) -> None:
    """Print a pairing code: eight digits, ten minutes, one use."""
    services = open_installation(data)
    with transaction():
        _row, code = stations.make_code(services.vault, audit.CLI)
    click.echo(code)
