# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The command line: set up, serve, and what an operator does at a shell.

Every command exits 0 when it did what it says, 1 when it refused (one line on stderr says why)
and 2 when it was called wrongly. A command's module is imported when the command is called:
`serve` would otherwise wait two seconds for what its own processes import again.
"""

from __future__ import annotations

import os
from importlib import import_module

import click

# Each name's module in `commands`, and the command in it.
_COMMANDS = {
    "audit": ("audit", "audit_group"),
    "backup": ("backup", "backup"),
    "connection": ("connections", "connection"),
    "demo": ("demo", "demo"),
    "departures": ("departures", "departures"),
    "import": ("imports", "import_file"),
    "init": ("init", "init"),
    "kek": ("kek", "kek"),
    "key": ("cards", "key_group"),
    "migrate": ("migrate", "migrate"),
    "owner-link": ("owner_link", "owner_link"),
    "restore": ("backup", "restore"),
    "schema": ("schemas", "schema"),
    "serve": ("serve", "serve"),
    "station": ("stations", "station_group"),
    "stream": ("streams", "stream"),
    "token": ("tokens", "token"),
    "tour": ("demo", "tour"),
    "user": ("users", "user"),
    "worker": ("worker", "worker"),
}


class _Commands(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, command = _COMMANDS[name]
        found: click.Command = getattr(import_module(f".commands.{module}", __package__), command)
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keywright")
def main() -> None:
    """Keywright: from a company's directory to a working security key in each person's hand."""
    os.umask(0o077)  # here, since the installed `keywright` calls no more than this


if __name__ == "__main__":
    main()
