# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which desk a command gets: another program, none, a window, or the terminal."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from reader.commands.console import USAGE, Quit
from reader.commands.outcome import told
from reader.desk import Desk, HeadlessDesk
from reader.window_desk import Ended, WindowDesk

Work = Callable[[Desk, threading.Event], int]
"""What is done at a desk until the event is set; the exit code."""

Show = Callable[[WindowDesk], Callable[[], None]]
"""Makes the window and returns what runs it; raises where there can be none."""


class NoWindow(Exception):
    """There is no display here, or this Python came without Tk."""


def at_desk(options: argparse.Namespace, work: Work) -> int:
    """Do the work at the desk that the options name. SIGINT and SIGTERM set the event."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    if not (options.desk_json or options.headless or options.terminal):
        try:
            return in_window(work, stop, end)
        except NoWindow:
            pass
    desk = _desk(options)
    _on_signals(end)
    return work(desk, stop)


def in_window(
    work: Work,
    stop: threading.Event,
    end: Callable[[int, FrameType | None], None],
    show: Show | None = None,
) -> int:
    """Do the work in a thread while this one shows a window; closing it ends the work.

    Raises NoWindow before anything is done, and what the work raises.
    """
    desk = WindowDesk()
    run = (show or _tk_window)(desk)
    outcome: list[int] = []
    errors: list[BaseException] = []

    def at_work() -> None:
        try:
            outcome.append(work(desk, stop))
        except BaseException as error:  # noqa: BLE001 - handed over to the main thread
            errors.append(error)
        desk.messages.put(Ended(told(errors[0])[1] if errors else ""))

    _on_signals(end)
    worker = threading.Thread(target=at_work, name="desk work", daemon=True)
    worker.start()
    run()
    stop.set()
    worker.join()
    if errors:
        raise errors[0]
    return outcome[0]


def _tk_window(desk: WindowDesk) -> Callable[[], None]:
    if sys.platform not in ("win32", "darwin") and not os.environ.get("DISPLAY"):
        raise NoWindow
    try:
        import tkinter

        from reader.window import Window
    except ImportError:
        raise NoWindow from None
    try:
        return Window(desk).run
    except tkinter.TclError:
        raise NoWindow from None


def _on_signals(end: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _desk(options: argparse.Namespace) -> Desk:
    if options.desk_json:
        from reader.json_desk import JsonDesk

        return JsonDesk()
    if options.headless:
        logging.getLogger("reader").setLevel(logging.INFO)
        return HeadlessDesk()
    from reader.terminal_desk import TerminalDesk

    if not sys.stdin.isatty():
        raise Quit(USAGE, "no display and no terminal to ask at: use --headless, or --desk-json")
    return TerminalDesk()
