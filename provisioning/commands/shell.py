# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What every command at a shell shares: where the data is, how it refuses, how it opens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import click

from .. import live_settings
from ..app import open_services
from ..errors import KeywrightError
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


def refusing(command: Callable[P, None]) -> Callable[P, None]:
    """Turn a core error into one line on stderr and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeywrightError as error:
            raise click.ClickException(str(error)) from None

    return run


def open_installation(data: Path) -> Services:
    """Open what `keywright init` made. Raises ConfigurationError."""
    services = open_services(data)
    check_current(database)
    return live_settings.layered(services)
