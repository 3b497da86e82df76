# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright user`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit, directory
from ..storage.db import transaction
from .shell import data_option, open_installation, person, refusing


@click.group()
def user() -> None:
    """People, when the panel cannot be reached."""


@user.command("deactivate")
@data_option
@click.argument("user_name")
@refusing
def user_deactivate(data: Path, user_name: str) -> None:
    """Run the cascade for one person: sessions, links, mails and keys are dead at once."""
    open_installation(data)
    with transaction():
        leaver = person(user_name)
        directory.suspend(leaver, audit.CLI)
    click.echo(f"{leaver.user_name} is suspended, with every key.")
