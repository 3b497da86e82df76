# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright serve`. It imports little, as the web process that it starts imports it all again."""

from __future__ import annotations

from pathlib import Path

import click

from ..processes import supervisor
from ..storage.db import database
from .shell import data_option, open_installation, refusing


@click.command()
@data_option
@click.option("--no-worker", is_flag=True, help="Web only; run `keywright worker` apart.")
@refusing
def serve(data: Path, no_worker: bool) -> None:
    """Serve the panel, SCIM and the stations, with one worker unless told otherwise."""
    services = open_installation(data)
    click.echo(f"Keywright on {services.settings.base_url} (Ctrl-C stops it)")
    children = [supervisor.web(services.settings)]
    if not no_worker:
        children.append(supervisor.worker(services.settings))
    database.close()
    raise SystemExit(supervisor.run(children))
