# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is wrong at this desk, from the bottom up, and how to mend it."""

from __future__ import annotations

import http.client
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reader.card import Card
from reader.card_reader import CardReader, ReaderState
from reader.faults import CardFault, Fault
from reader.identity import Identity, IdentityError
from reader.server import connection_to

INSTALL_PYSCARD = (
    "install the card reader library: pip install 'keywright[reader]' "
    "(Linux first: apt-get install pcscd libpcsclite-dev gcc)"
)

_START_SERVICE = {
    "linux": "install and start it: apt-get install pcscd && systemctl enable --now pcscd.socket",
    "darwin": "it starts with the first reader: plug one in, or restart this computer",
    "win32": "start the service 'Smart Card' (SCardSvr)",
}


@dataclass(frozen=True)
class Finding:
    """`ok` is None for what is no fault but cannot be judged now."""

    name: str
    ok: bool | None
    text: str
    mend: str = ""


def examine(reader: CardReader | None, folder: Path) -> Iterator[Finding]:
    """Each finding as it is made; `reader` is None where pyscard is missing."""
    yield from _reader(reader)
    yield from _pairing(folder)


def _reader(reader: CardReader | None) -> Iterator[Finding]:
    if reader is None:
        yield Finding("library", False, "pyscard is not installed.", INSTALL_PYSCARD)
        return
    yield Finding("library", True, "pyscard is installed.")
    state = reader.state()
    if state is ReaderState.NO_SERVICE:
        yield Finding("service", False, Fault.NO_SERVICE.sentence, _START_SERVICE[_system()])
        return
    yield Finding("service", True, "The smart card service answers.")
    if state is ReaderState.NO_READER:
        yield Finding(
            "reader",
            False,
            Fault.NO_READER.sentence,
            "plug it in; if it stays away, install its driver (Linux: libccid) "
            "and unload pn533 and nfc: modprobe -r pn533_usb nfc",
        )
        return
    yield Finding("reader", True, f"Reader: {reader.name}.")
    if state is ReaderState.BUSY:
        yield Finding(
            "card", False, Fault.CARD_BUSY.sentence, "close it; often it is gpg's scdaemon"
        )
        return
    if state is ReaderState.NO_CARD:
        yield Finding("card", None, "No card lies on the reader.", "lay one on it for more")
        return
    yield from _card(reader)


def _card(reader: CardReader) -> Iterator[Finding]:
    try:
        session = reader.wait_for_card(3.0, lambda: False)
    except CardFault as fault:
        yield Finding("card", False, fault.sentence, _mend(fault))
        return
    try:
        uid = session.uid.hex().upper() if session.uid else "not told by this reader"
        yield Finding("card", True, f"A card lies on the reader, UID {uid}.")
        card = Card(session.device)
        versions = ", ".join(card.info.versions)
        yield Finding("fido2", True, f"It has a FIDO2 application: {versions}.")
        yield _pin(card)
        yield Finding(
            "forced_change",
            True if card.can_force_change else None,
            "It can be told to demand another PIN."
            if card.can_force_change
            else "It cannot be told to demand another PIN.",
        )
    except CardFault as fault:
        yield Finding("fido2", False, fault.sentence, _mend(fault))
    finally:
        session.close()


def _pin(card: Card) -> Finding:
    if not card.has_pin:
        return Finding("pin", True, "It has no PIN yet: ready to be assigned.")
    tries = card.pin_retries()
    if tries == 0:
        return Finding("pin", False, Fault.PIN_BLOCKED.sentence, "reset the card")
    if card.info.force_pin_change:
        mend = "keywright-reader change-pin"
        return Finding("pin", False, f"Its PIN must be changed first; {tries} tries.", mend)
    return Finding("pin", True, f"It has a PIN; {tries} tries.")


def _pairing(folder: Path) -> Iterator[Finding]:
    try:
        identity = Identity.load(folder)
    except IdentityError as error:
        yield Finding("pairing", False, f"{error}.", "ask for a pairing code in the panel")
        return
    yield Finding(
        "pairing",
        True,
        f"Paired with {identity.organisation} at {identity.server} as {identity.name!r}.",
    )
    yield _server(identity)


def _server(identity: Identity) -> Finding:
    parts = urlsplit(identity.server)
    link = connection_to(parts)
    try:
        link.request("GET", f"{parts.path}/healthz")
        status = link.getresponse().status
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "server",
            False,
            f"Its certificate is not trusted: {error.verify_message}.",
            "check this computer's clock; name your own CA with SSL_CERT_FILE",
        )
    except (OSError, http.client.HTTPException) as error:
        text = f"The server cannot be reached ({type(error).__name__})."
        return Finding("server", False, text, "check network, proxy and address")
    finally:
        link.close()
    if status != 200:
        return Finding("server", False, f"The server answers {status}.", "ask its keeper")
    return Finding("server", True, "The server answers.")


def _system() -> str:
    return sys.platform if sys.platform in _START_SERVICE else "linux"


def _mend(fault: CardFault) -> str:
    if fault.word is Fault.NOT_ALLOWED and sys.platform == "win32":
        return "Windows keeps FIDO cards to itself: run this program as administrator"
    return {
        Fault.CARD_BUSY: "close the other program; often it is gpg's scdaemon",
        Fault.CARD_MUTE: "lay it flat, without wallet or other cards",
        Fault.NOT_FIDO: "it is a badge or a payment card: use a FIDO2 card",
        Fault.U2F_ONLY: "use a FIDO2 card",
        Fault.TIMEOUT: "take it off and lay it on again",
    }.get(fault.word, "take it off and lay it on again")
