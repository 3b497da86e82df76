# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`pair`, `run` and `open`: this computer as a station."""

from __future__ import annotations

import argparse
import threading
from urllib.parse import urlsplit

from reader.choice import ReaderChoice
from reader.commands import desks, pcsc
from reader.commands.console import FAULT, OK, Quit, out
from reader.desk import Desk, DeskState, Question, Step
from reader.identity import Identity, IdentityError
from reader.link import PairingLink, read_link
from reader.pairing import pair as make_pair
from reader.running import is_running, running
from reader.server import checked_address
from reader.station import Station
from reader.window_desk import WindowDesk

CONSENT_SECONDS = 120.0


def pair(options: argparse.Namespace) -> int:
    address = checked_address(options.server)
    out(f"Pairing with {urlsplit(address).netloc} …")
    identity = make_pair(address, options.code, options.name).save(options.state)
    out(f"Paired with {identity.organisation} ({identity.origin}) as {identity.name}.")
    out("Next: keywright-reader run")
    return OK


def run(options: argparse.Namespace) -> int:
    Identity.load(options.state)  # before a desk is opened for nothing
    return desks.at_desk(options, lambda desk, stop: _work(options, desk, stop))


def open_link(options: argparse.Namespace) -> int:
    link = read_link(options.link) if options.link else None
    if link is None:
        return run(options)
    if is_running(options.state):
        raise Quit(FAULT, "the reader program runs already: stop it, then open the link again")

    def work(desk: Desk, stop: threading.Event) -> int:
        _pair_with_consent(options, link, desk, stop)
        return _work(options, desk, stop)

    return desks.at_desk(options, work)


def _work(options: argparse.Namespace, desk: Desk, stop: threading.Event) -> int:
    with running(options.state):
        identity = Identity.load(options.state)
        choice = None
        if isinstance(desk, WindowDesk) and not options.reader:
            choice = desk.choice = ReaderChoice(options.state)
        Station(identity, desk, pcsc.reader_named(options.reader), choice).run(stop)
    return OK


def _pair_with_consent(
    options: argparse.Namespace, link: PairingLink, desk: Desk, stop: threading.Event
) -> None:
    """A link must not pair a desk by itself: the person there reads the host and agrees."""
    text = (
        f"A page asks to pair this computer with the server {link.host}. It may then ask for cards "
        f"on this computer's reader. Agree only if {link.host} is your organisation's own server."
    )
    try:
        before = Identity.load(options.state)
        text += f" The pairing with {before.organisation} ({urlsplit(before.server).netloc}) ends."
    except IdentityError:
        pass
    text += f" Pair with {link.host}?"
    desk.show(DeskState(Step.CONFIRM, text, server=link.host, seconds=int(CONSENT_SECONDS)))
    if not desk.confirm(Question(text, CONSENT_SECONDS, cancelled=stop.is_set)):
        raise Quit(FAULT, "not paired: nobody at the desk agreed")
    identity = make_pair(link.server, link.code, options.name).save(options.state)
    text = f"Paired with {identity.organisation} as {identity.name}."
    desk.show(DeskState(Step.DONE, text, organisation=identity.organisation, server=link.host))
