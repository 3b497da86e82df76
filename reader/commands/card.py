# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`change-pin` and `info`: the card on the reader, without a server."""

from __future__ import annotations

import argparse
from getpass import getpass

from reader.card import Card
from reader.change_pin import check_changed
from reader.commands import pcsc
from reader.commands.console import FAULT, OK, Quit, out, out_json
from reader.faults import CardFault
from reader.pin_rules import PinRules

TAP_SECONDS = 60.0


def change_pin(options: argparse.Namespace) -> int:
    reader = pcsc.reader_named(options.reader)
    out("Tap the card whose PIN is to be changed, and leave it on the reader.")
    session = reader.wait_for_card(TAP_SECONDS, lambda: False)
    try:
        card = Card(session.device)
        if not card.has_pin:
            raise Quit(FAULT, "this card has no PIN yet")
        out(f"{card.pin_retries()} tries left.")
        current = getpass("Present PIN: ")
        rules = PinRules(card.info.min_pin_length, current=current)
        new = getpass(f"New PIN ({'; '.join(check.text for check in rules.checks(''))}): ")
        for check in rules.checks(new):
            if not check.holds:
                raise Quit(FAULT, f"the new PIN must be: {check.text}")
        if getpass("The same again: ") != new:
            raise Quit(FAULT, "the two differ")
        card.change_pin(current, new)
        check_changed(card)
    finally:
        session.close()
    out("The PIN is changed.")
    return OK


def info(options: argparse.Namespace) -> int:
    reader = pcsc.reader_named(options.reader)
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
        out_json(facts)
    else:
        for name, value in facts.items():
            out(f"{name}: {value}")
    return FAULT if "fault" in facts or state.value in ("no_service", "no_reader") else OK
