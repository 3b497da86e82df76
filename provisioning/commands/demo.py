# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright demo` and `keywright tour`: the product with everything that is around it."""

from __future__ import annotations

from pathlib import Path

import click

from ..demo import run
from ..demo import tour as guide
from .shell import refusing


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
)
@click.option("--port", default=8080, show_default=True)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written as JSON once the product answers.",
)
@refusing
def demo(data: Path, port: int, ready_file: Path | None) -> None:
    """Run the whole product on this machine: panel, SCIM, worker, mailbox, a software card."""
    raise SystemExit(run.demo(data, port, ready_file))


@click.command()
@refusing
def tour() -> None:
    """Run the main job once in this terminal: push, assign, tap, PIN, sign in, leave, dead key."""
    raise SystemExit(guide.run())
