# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright user`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit, directory
from ..errors import NotFound
from ..models import User
from ..naming import fold
from ..storage.db import transaction
from .shell import data_option, open_installation, refusing


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
        person = User.get_or_none(User.user_name_key == fold(user_name), User.deleted_at.is_null())
        if person is None:
            raise NotFound(f"There is no user {user_name}.")
        directory.suspend(person, audit.CLI)
    click.echo(f"{person.user_name} is suspended, with every key.")
