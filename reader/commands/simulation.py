# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`simulate`: a software card on a virtual reader."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from reader.commands.console import MISSING, OK, USAGE, Quit, out
from reader.simulator.card import SoftwareCard
from reader.simulator.store import NotACard, load, save
from reader.simulator.vpcd import VpcdCard


def simulate(options: argparse.Namespace) -> int:
    path: Path | None = options.card
    try:
        software_card = load(path) if path and path.exists() else SoftwareCard()
    except NotACard as error:
        raise Quit(USAGE, f"{path}: {error}") from None
    slot = VpcdCard(software_card, options.host, options.port)
    try:
        slot.insert()
    except OSError:
        where = f"{options.host}:{options.port}"
        raise Quit(
            MISSING, f"no virtual reader listens at {where}: start pcscd with vpcd"
        ) from None
    out(f"Software card {software_card.uid.hex().upper()} lies on the reader.")
    try:
        _obey(slot)
    finally:
        slot.remove()
        if path:
            save(software_card, path)
    return OK


def _obey(slot: VpcdCard) -> None:
    """Lines of standard input: remove, insert, quit. At its end the card stays until a signal."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if sys.stdin.isatty():
        out("Type remove, insert or quit.")
    for line in sys.stdin:
        word = line.strip().lower()
        if word == "quit":
            return
        if word == "remove":
            slot.remove()
        elif word == "insert":
            slot.insert()
        else:
            continue
        out("on the reader" if slot.inserted else "off the reader")
    threading.Event().wait()
