# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""keywright-reader: the program at the desk.

Exit codes: 0 done, 1 a fault of card or reader, 2 wrong usage, 3 not paired or revoked, 4 the
server cannot be reached or refuses, 5 something is not installed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from getpass import getpass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from reader import doctor
from reader.card import Card
from reader.card_reader import CardReader
from reader.change_pin import check_changed
from reader.desk import Desk, HeadlessDesk, printable
from reader.faults import Cancelled, CardFault
from reader.identity import Identity, IdentityError, default_folder
from reader.pairing import PairingFailed, pair
from reader.pin_rules import PinRules
from reader.server import BadAddress, ServerGone, ServerRefused, checked_address, version
from reader.simulator.card import SoftwareCard
from reader.simulator.store import NotACard, load, save
from reader.simulator.vpcd import VPCD_PORT, VpcdCard
from reader.station import Station, StationRevoked

OK, FAULT, USAGE, NOT_PAIRED, SERVER, MISSING, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
TAP_SECONDS = 60.0


class _Quit(Exception):
    """One line for the person, and the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    level = logging.DEBUG if options.verbose else logging.WARNING
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # Ours only: the libraries would log what goes to the card.
    logging.getLogger("reader").setLevel(level)
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except _Quit as quit_:
        return _say(quit_.code, str(quit_))
    except CardFault as fault:
        return _say(FAULT, fault.sentence)
    except Cancelled:
        return _say(FAULT, "cancelled")
    except (IdentityError, StationRevoked) as error:
        text = str(error) or "the server has revoked this station: pair it again"
        return _say(NOT_PAIRED, text)
    except BadAddress as error:
        return _say(USAGE, str(error))
    except ServerGone as error:
        return _say(SERVER, f"the server cannot be used: {error}")
    except (ServerRefused, PairingFailed) as error:
        return _say(SERVER, str(error))
    except (KeyboardInterrupt, EOFError):
        return _say(INTERRUPTED, "interrupted")
    except OSError as error:
        return _say(FAULT, f"{error.filename or ''} {error.strerror or type(error).__name__}")


def _say(code: int, text: str) -> int:
    print(f"keywright-reader: {printable(text, 400)}", file=sys.stderr)  # noqa: T201
    return code


def _out(text: str = "") -> None:
    print(printable(text, 2_000), flush=True)  # noqa: T201


def _json(value: object) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keywright-reader",
        description="Assigns security keys at a desk with a card reader.",
        epilog=(__doc__ or "").split("\n\n", 1)[1],
    )
    parser.add_argument("--version", action="version", version=version())
    parser.add_argument("--verbose", action="store_true", help="say more on standard error")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=run)
        return added

    def with_state(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--state",
            type=Path,
            default=default_folder(),
            metavar="DIR",
            help="where the pairing is kept (%(default)s)",
        )

    def with_reader(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--reader",
            metavar="NAME",
            help="part of the reader's name; wise where there are several",
        )

    added = command("pair", _pair, "Pair this desk with a server, by a code from its panel.")
    added.add_argument("--server", required=True, metavar="URL")
    added.add_argument("--code", required=True, metavar="12345678")
    added.add_argument("--name", default=socket.gethostname(), help="of this desk (%(default)s)")
    with_state(added)
    added = command("run", _run, "Wait for jobs from the server and do them, until stopped.")
    with_state(added)
    with_reader(added)
    desk = added.add_mutually_exclusive_group()
    desk.add_argument("--headless", action="store_true", help="no screen: a second tap says yes")
    desk.add_argument(
        "--desk-json", action="store_true", help="states and questions as JSON lines; see json_desk"
    )
    added = command("change-pin", _change_pin, "Change the PIN of the card on the reader.")
    with_reader(added)
    added = command("info", _info, "What lies on the reader.")
    with_reader(added)
    added.add_argument("--json", action="store_true")
    added = command("doctor", _doctor, "What is wrong at this desk, and how to mend it.")
    with_state(added)
    with_reader(added)
    added.add_argument("--json", action="store_true")
    added = command("simulate", _simulate, "Lay a software card on a virtual reader (vpcd).")
    added.add_argument("--vpcd", required=True, action="store_true", help="through pcscd and vpcd")
    added.add_argument("--host", default="127.0.0.1")
    added.add_argument("--port", type=int, default=VPCD_PORT, help="of the slot (%(default)s)")
    added.add_argument("--card", type=Path, metavar="FILE", help="keep the card in this file")
    return parser


def _pcsc_reader(name: str | None) -> CardReader:
    try:
        from reader.transport import PcscReader
    except ImportError:
        raise _Quit(MISSING, doctor.INSTALL_PYSCARD) from None
    return PcscReader(name)


def _pair(options: argparse.Namespace) -> int:
    address = checked_address(options.server)
    _out(f"Pairing with {urlsplit(address).netloc} …")
    identity = pair(address, options.code, options.name).save(options.state)
    _out(f"Paired with {identity.organisation} ({identity.origin}) as {identity.name}.")
    _out("Next: keywright-reader run")
    return OK


def _run(options: argparse.Namespace) -> int:
    identity = Identity.load(options.state)
    station = Station(identity, _desk(options), _pcsc_reader(options.reader))
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    station.run(stop)
    return OK


def _desk(options: argparse.Namespace) -> Desk:
    if options.desk_json:
        from reader.json_desk import JsonDesk

        return JsonDesk()
    if options.headless:
        logging.getLogger("reader").setLevel(logging.INFO)
        return HeadlessDesk()
    from reader.terminal_desk import TerminalDesk

    if not sys.stdin.isatty():
        raise _Quit(USAGE, "no terminal to ask at: use --headless or --desk-json")
    return TerminalDesk()


def _change_pin(options: argparse.Namespace) -> int:
    reader = _pcsc_reader(options.reader)
    _out("Tap the card whose PIN is to be changed, and leave it on the reader.")
    session = reader.wait_for_card(TAP_SECONDS, lambda: False)
    try:
        card = Card(session.device)
        if not card.has_pin:
            raise _Quit(FAULT, "this card has no PIN yet")
        _out(f"{card.pin_retries()} tries left.")
        current = getpass("Present PIN: ")
        rules = PinRules(card.info.min_pin_length, current=current)
        new = getpass(f"New PIN ({'; '.join(check.text for check in rules.checks(''))}): ")
        for check in rules.checks(new):
            if not check.holds:
                raise _Quit(FAULT, f"the new PIN must be: {check.text}")
        if getpass("The same again: ") != new:
            raise _Quit(FAULT, "the two differ")
        card.change_pin(current, new)
        check_changed(card)
    finally:
        session.close()
    _out("The PIN is changed.")
    return OK


def _info(options: argparse.Namespace) -> int:
    reader = _pcsc_reader(options.reader)
    state = reader.state()
    facts: dict[str, object] = {"reader": reader.name, "state": state.value}
    if state.value == "card":
        session = reader.wait_for_card(3.0, lambda: False)
        try:
            facts["uid"] = session.uid.hex() if session.uid else None
            card = Card(session.device)
            facts |= {
                "versions": list(card.info.versions),
                "aaguid": str(card.info.aaguid),
                "client_pin": card.has_pin,
                "pin_retries": card.pin_retries() if card.has_pin else None,
                "min_pin_length": card.info.min_pin_length,
                "force_pin_change": card.info.force_pin_change,
                "can_force_change": card.can_force_change,
                "room": card.info.remaining_disc_creds,
            }
        except CardFault as fault:
            facts["fault"] = fault.word.value
        finally:
            session.close()
    if options.json:
        _json(facts)
    else:
        for name, value in facts.items():
            _out(f"{name}: {value}")
    return FAULT if "fault" in facts or state.value in ("no_service", "no_reader") else OK


def _doctor(options: argparse.Namespace) -> int:
    reader: CardReader | None
    try:
        reader = _pcsc_reader(options.reader)
    except _Quit:
        reader = None
    well = True
    findings = []
    for finding in doctor.examine(reader, options.state):
        well = well and finding.ok is not False
        findings.append(asdict(finding))
        if not options.json:
            mark = {True: "ok  ", False: "FAIL", None: "?   "}[finding.ok]
            _out(f"{mark} {finding.text}")
            if finding.mend:
                _out(f"     → {finding.mend}")
    if options.json:
        _json({"ok": well, "findings": findings})
    return OK if well else FAULT


def _simulate(options: argparse.Namespace) -> int:
    path: Path | None = options.card
    try:
        software_card = load(path) if path and path.exists() else SoftwareCard()
    except NotACard as error:
        raise _Quit(USAGE, f"{path}: {error}") from None
    slot = VpcdCard(software_card, options.host, options.port)
    try:
        slot.insert()
    except OSError:
        where = f"{options.host}:{options.port}"
        raise _Quit(
            MISSING, f"no virtual reader listens at {where}: start pcscd with vpcd"
        ) from None
    _out(f"Software card {software_card.uid.hex().upper()} lies on the reader.")
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
        _out("Type remove, insert or quit.")
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
        _out("on the reader" if slot.inserted else "off the reader")
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
