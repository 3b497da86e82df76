# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""keywright-reader: the program at the desk.

Exit codes: 0 done, 1 a fault of card or reader, 2 wrong usage, 3 not paired or revoked, 4 the
server cannot be reached or refuses, 5 something is not installed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from reader.commands import card, examination, pairing, simulation
from reader.commands.console import say
from reader.commands.outcome import EXPECTED, told
from reader.identity import default_folder
from reader.server import version

Run = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    level = logging.DEBUG if options.verbose else logging.WARNING
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # Ours only: the libraries would log what goes to the card.
    logging.getLogger("reader").setLevel(level)
    try:
        command: Run = options.command
        return command(options)
    except EXPECTED as error:
        return say(*told(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keywright-reader",
        description="Assigns security keys at a desk with a card reader.",
        epilog=(__doc__ or "").split("\n\n", 1)[1],
    )
    parser.add_argument("--version", action="version", version=version())
    parser.add_argument("--verbose", action="store_true", help="say more on standard error")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=run)
        return added

    added = command("pair", pairing.pair, "Pair this desk with a server, by a code from its panel.")
    added.add_argument("--server", required=True, metavar="URL")
    added.add_argument("--code", required=True, metavar="12345678")
    _with_name(added)
    _with_state(added)
    added = command("run", pairing.run, "Wait for jobs from the server and do them, until stopped.")
    _with_state(added)
    _with_reader(added)
    _with_desk(added)
    added = command(
        "open",
        pairing.open_link,
        "What the desktop starts: run, or with a pairing link ask the person here, pair, and run.",
    )
    added.add_argument("link", nargs="?", metavar="keywright://pair?server=…&code=…")
    _with_name(added)
    _with_state(added)
    _with_reader(added)
    _with_desk(added)
    added = command("change-pin", card.change_pin, "Change the PIN of the card on the reader.")
    _with_reader(added)
    added = command("info", card.info, "What lies on the reader.")
    _with_reader(added)
    added.add_argument("--json", action="store_true")
    added = command(
        "doctor", examination.examine, "What is wrong at this desk, and how to mend it."
    )
    _with_state(added)
    _with_reader(added)
    added.add_argument("--json", action="store_true")
    added = command(
        "simulate",
        simulation.simulate,
        "A software card to test with, behind pcscd or in here.",
    )
    simulation.add_options(added)
    return parser


def _with_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default=socket.gethostname(), help="of this desk (%(default)s)")


def _with_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        type=Path,
        default=default_folder(),
        metavar="DIR",
        help="where the pairing is kept (%(default)s)",
    )


def _with_reader(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reader", metavar="NAME", help="part of the reader's name; wise where there are several"
    )


def _with_desk(parser: argparse.ArgumentParser) -> None:
    desk = parser.add_mutually_exclusive_group()
    desk.add_argument("--terminal", action="store_true", help="in this terminal, with no window")
    desk.add_argument("--headless", action="store_true", help="no screen: a second tap says yes")
    desk.add_argument(
        "--desk-json", action="store_true", help="states and questions as JSON lines; see json_desk"
    )


if __name__ == "__main__":
    sys.exit(main())
