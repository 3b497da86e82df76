# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What every command at a shell shares: where the data is, how it refuses, how it opens."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec

import click
from peewee import PeeweeException

from .. import live_settings
from ..errors import KeywrightError, NotFound
from ..installation import open_services
from ..models import User
from ..naming import fold
from ..sealing import proofs
from ..services import Services
from ..settings import PREFIX
from ..storage.db import database
from ..storage.migrate import check_current

P = ParamSpec("P")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=PREFIX + "DATA",
    required=True,
    help="Data folder (or KEYWRIGHT_DATA).",
)


# The number of a row: what is larger is none, and too large for a database to be asked.
row_number = click.IntRange(1, 2**31 - 1)


def refusing(command: Callable[P, None]) -> Callable[P, None]:
    """Turn a core error, and what a file or the database refuses, into a line and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeywrightError as error:
            raise click.ClickException(str(error)) from None
        except UnicodeError:
            raise click.ClickException("What was given is no text in UTF-8.") from None
        except PeeweeException as error:
            said = " ".join(str(error).partition("\n")[0].split())
            raise click.ClickException(f"The database refuses: {said}") from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever reads has gone: click knows what to do
                raise
            raise click.ClickException(f"{error.filename or 'File'}: {error.strerror}") from None

    return run


def open_installation(data: Path) -> Services:
    """Open what `keywright init` made. Raises ConfigurationError."""
    services = open_services(data)
    check_current(database)
    proofs.check(services.vault)
    return live_settings.layered(services)


def day(ms: int | None) -> str:
    """Return a moment's day in UTC; "never" for none."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d") if ms else "never"


def person(user_name: str) -> User:
    """Return a living user by their user name; raises NotFound."""
    found = User.get_or_none(User.user_name_key == fold(user_name), User.deleted_at.is_null())
    if found is None:
        raise NotFound(f"There is no user {user_name}.")
    user: User = found
    return user
