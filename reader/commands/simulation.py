# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`simulate`: a software contactless card, behind pcscd or in this process."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from reader.commands.console import FAULT, MISSING, OK, USAGE, Quit, out
from reader.simulator import attestation
from reader.simulator.card import SoftwareCard
from reader.simulator.options import MODELS, BadOption, changed, described
from reader.simulator.profile import NO_FAULTS
from reader.simulator.self_check import self_check
from reader.simulator.store import NotACard, load, save
from reader.simulator.vpcd import VPCD_PORT, VpcdCard

ADDRESS = f"127.0.0.1:{VPCD_PORT}"

EPILOG = f"""
A software FIDO2 card for tests of anything that talks to contactless cards. It protects nothing:
its keys lie in memory or in the file of --card, and its attestation root is public.

behind pcscd (packages pcscd and vsmartcard-vpcd; the second slot is the next port):
  keywright-reader simulate --vpcd
  keywright-reader simulate --vpcd 127.0.0.1:35964 --model badge
in this process, one card's life step by step:
  keywright-reader simulate --in-process --model javacard

Lines of standard input, while it lies there:
  remove, insert             take it off, lay it on again
  fault NAME=VALUE …         something goes wrong from now on; a new count begins
  fault                      nothing goes wrong any more
  state                      one JSON line: on the reader, UID, PIN set, tries, credentials, faults
  quit

--set takes what a card is (values of ctap-2.1):
  {chr(10).join(f"  {line}" for line in described(MODELS["ctap-2.1"])).strip()}
--fault takes what goes wrong (values of a card that is well):
  {chr(10).join(f"  {line}" for line in described(NO_FAULTS)).strip()}
  die_at=5 is the fifth APDU, die_at=1 die_command=0x01 the first makeCredential, and with
  die_executed the card does it and its answer is lost.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of `simulate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--vpcd",
        nargs="?",
        const=ADDRESS,
        metavar="HOST:PORT",
        help=f"lay it on a virtual reader ({ADDRESS})",
    )
    where.add_argument("--in-process", action="store_true", help="check it here, without pcscd")
    where.add_argument(
        "--print-root", action="store_true", help="print the PEM that its attestations lead to"
    )
    parser.add_argument("--model", choices=MODELS, default="ctap-2.1", help="(%(default)s)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another kind of card"
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=VALUE", help="what goes wrong"
    )
    parser.add_argument("--card", type=Path, metavar="FILE", help="keep the card in this file")


def simulate(options: argparse.Namespace) -> int:
    if options.print_root:
        out_root()
        return OK
    card = _card(options)
    if options.in_process:
        return _check(card)
    host, _, port = options.vpcd.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise Quit(USAGE, f"{options.vpcd}: give the virtual reader as HOST:PORT")
    slot = VpcdCard(card, host, int(port))
    try:
        slot.insert()
    except OSError:
        raise Quit(
            MISSING,
            f"no virtual reader listens at {options.vpcd}: start pcscd with vpcd "
            "(apt-get install pcscd vsmartcard-vpcd)",
        ) from None
    out(f"Software card {card.uid.hex().upper()} lies on the reader.")
    try:
        _obey(slot)
    finally:
        slot.remove()
        if options.card:
            save(card, options.card)
    return OK


def out_root() -> None:
    """PEM is lines, which `out` would make one of."""
    sys.stdout.write(attestation.root_pem().decode())


def _card(options: argparse.Namespace) -> SoftwareCard:
    path: Path | None = options.card
    try:
        faults = changed(NO_FAULTS, options.fault)
        if path and path.exists():
            if options.set:
                raise Quit(USAGE, f"{path} has its settings already: --set is for a new card")
            card = load(path)
        else:
            card = SoftwareCard(changed(MODELS[options.model], options.set))
    except BadOption as error:
        raise Quit(USAGE, str(error)) from None
    except NotACard as error:
        raise Quit(USAGE, f"{path}: {error}") from None
    card.faults = faults
    return card


def _check(card: SoftwareCard) -> int:
    well = True
    for done in self_check(card):
        well = not done.fault
        mark = "ok  " if well else "FAIL"
        out(f"{mark} {done.name:<34} {done.ms:8.1f} ms  {done.fault or done.note}".rstrip())
    return OK if well else FAULT


def _obey(slot: VpcdCard) -> None:
    """Lines of standard input; see EPILOG. At its end the card stays until a signal."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if sys.stdin.isatty():
        out("Type remove, insert, fault, state or quit; --help says more.")
    for line in sys.stdin:
        word, *more = line.split() or [""]
        if word == "quit":
            return
        if word == "remove":
            slot.remove()
        elif word == "insert":
            slot.insert()
        elif word == "fault":
            _set_faults(slot, more)
            continue
        elif word == "state":
            out(json.dumps(_state(slot)))
            continue
        else:
            if word:
                out("remove, insert, fault, state or quit")
            continue
        out("on the reader" if slot.inserted else "off the reader")
    threading.Event().wait()


def _set_faults(slot: VpcdCard, words: list[str]) -> None:
    try:
        slot.card.faults = changed(NO_FAULTS, words)
    except BadOption as error:
        out(str(error))
        return
    out(f"faults: {' '.join(words) or 'none'}")


def _state(slot: VpcdCard) -> dict[str, object]:
    card, well = slot.card, described(NO_FAULTS)
    return {
        "on_the_reader": slot.inserted,
        "uid": card.uid.hex(),
        "pin_set": card.memory.pin_hash is not None,
        "pin_retries": card.memory.pin_retries,
        "force_pin_change": card.memory.force_pin_change,
        "credentials": len(card.memory.credentials),
        "faults": [one for one in described(card.faults) if one not in well],
    }
