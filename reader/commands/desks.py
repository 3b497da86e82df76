# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which desk a command gets: another program, none, or a terminal."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from reader.commands.console import USAGE, Quit
from reader.desk import Desk, HeadlessDesk

Work = Callable[[Desk, threading.Event], int]
"""What is done at a desk until the event is set; the exit code."""


def at_desk(options: argparse.Namespace, work: Work) -> int:
    """Do the work at the desk that the options name. SIGINT and SIGTERM set the event."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    desk = _desk(options)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return work(desk, stop)


def _desk(options: argparse.Namespace) -> Desk:
    if options.desk_json:
        from reader.json_desk import JsonDesk

        return JsonDesk()
    if options.headless:
        logging.getLogger("reader").setLevel(logging.INFO)
        return HeadlessDesk()
    from reader.terminal_desk import TerminalDesk

    if not sys.stdin.isatty():
        raise Quit(USAGE, "no terminal to ask at: use --headless or --desk-json")
    return TerminalDesk()
