# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The card on a reader: what it is, its PIN, its options, its room."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from reader.card import Card
from reader.card_reader import CardReader, ReaderState, is_random
from reader.doctor.finding import Finding
from reader.faults import CardFault, Fault
from reader.simulator import SIMULATOR_AAGUID

_CLOSE_OTHER = "close the other program; often it is gpg's scdaemon, or a browser"
_RESET = "reset it from the panel, which wipes its keys for every site, or use another card"


def examine(reader: CardReader) -> Iterator[Finding]:
    """Raises nothing."""
    state = reader.state()
    name = reader.name
    for finding in _on(reader, state):
        yield replace(finding, reader=name)


def _on(reader: CardReader, state: ReaderState) -> Iterator[Finding]:
    if state is ReaderState.BUSY:
        yield Finding("card", False, Fault.CARD_BUSY.sentence, _CLOSE_OTHER)
        return
    if state is not ReaderState.CARD:
        yield Finding("card", None, "No card lies on the reader.", "lay one on it for more")
        return
    try:
        session = reader.wait_for_card(3.0, lambda: False)
    except CardFault as fault:
        yield Finding("card", False, fault.sentence, _mend(fault))
        return
    try:
        uid = session.uid.hex().upper() if session.uid else "not told by this reader"
        kind = ", another one at each tap" if is_random(session.uid) else ""
        yield Finding("card", True, f"A card lies on the reader, UID {uid}{kind}.")
        yield from _fido(Card(session.device))
    except CardFault as fault:
        yield Finding("fido2", False, fault.sentence, _mend(fault))
    finally:
        session.close()


def _fido(card: Card) -> Iterator[Finding]:
    info = card.info
    yield Finding("fido2", True, f"It has a FIDO2 application: {', '.join(info.versions)}.")
    name = " (Keywright's software card)" if info.aaguid == SIMULATOR_AAGUID else ""
    firmware = f", firmware {info.firmware_version}" if info.firmware_version else ""
    yield Finding("model", True, f"Its model: AAGUID {info.aaguid}{name}{firmware}.")
    yield _pin(card)
    on = sorted(name for name, value in info.options.items() if value)
    yield Finding("options", True, f"Its options: {', '.join(on) or 'none'}.")
    can = card.can_force_change
    yield Finding(
        "forced_change",
        True if can else None,
        f"It can{'' if can else 'not'} be told to demand another PIN.",
        "" if can else "nothing is wrong; a policy that asks for it refuses such cards",
    )
    yield _room(info.remaining_disc_creds)


def _pin(card: Card) -> Finding:
    if not card.has_pin:
        return Finding("pin", True, "It has no PIN yet: ready to be assigned.")
    tries, least = card.pin_retries(), card.info.min_pin_length
    if tries == 0:
        return Finding("pin", False, Fault.PIN_BLOCKED.sentence, _RESET)
    if card.info.force_pin_change:
        mend = "keywright-reader change-pin"
        return Finding("pin", False, f"Its PIN must be changed first; {tries} tries.", mend)
    return Finding("pin", True, f"It has a PIN of {least} characters or more; {tries} tries left.")


def _room(left: int | None) -> Finding:
    if left is None:
        return Finding("room", None, "It does not tell how many more keys it has room for.")
    if left == 0:
        mend = "reset it (it wipes the keys of every site) or use another card"
        return Finding("room", False, Fault.STORAGE_FULL.sentence, mend)
    return Finding("room", True, f"It has room for {left} more keys.")


def _mend(fault: CardFault) -> str:
    if fault.word is Fault.NOT_ALLOWED and sys.platform == "win32":
        return "Windows keeps FIDO cards to itself: run this program as administrator"
    return {
        Fault.CARD_BUSY: _CLOSE_OTHER,
        Fault.CARD_MUTE: "lay it flat, without wallet or other cards",
        Fault.NOT_FIDO: "it is a badge or a payment card, an identifier and no key: "
        "use a FIDO2 card",
        Fault.U2F_ONLY: "use a FIDO2 card",
        Fault.TIMEOUT: "take it off and lay it on again",
    }.get(fault.word, "take it off and lay it on again")
