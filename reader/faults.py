# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What can go wrong with a card, as one list of words that desk and server both know."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from fido2.ctap import CtapError

ERR = CtapError.ERR


class Fault(StrEnum):
    """The words of the station protocol. The server has its own sentence for each."""

    NO_SERVICE = "no_service"
    NO_READER = "no_reader"
    NO_CARD = "no_card"
    NOT_FIDO = "not_fido"
    U2F_ONLY = "u2f_only"
    UNSUPPORTED = "unsupported"
    CARD_REMOVED = "card_removed"
    CARD_SWAPPED = "card_swapped"
    CARD_MUTE = "card_mute"
    CARD_BUSY = "card_busy"
    TWO_CARDS = "two_cards"
    TIMEOUT = "timeout"
    PIN_PRESENT = "pin_present"
    PIN_INVALID = "pin_invalid"
    PIN_AUTH_BLOCKED = "pin_auth_blocked"
    PIN_BLOCKED = "pin_blocked"
    PIN_POLICY = "pin_policy"
    PIN_TOO_SHORT = "pin_too_short"
    CHANGE_PENDING = "change_pending"
    ALREADY_ENROLLED = "already_enrolled"
    CARD_TAKEN = "card_taken"
    STORAGE_FULL = "storage_full"
    NO_CREDENTIAL = "no_credential"
    RESET_TOO_LATE = "reset_too_late"
    NOT_ALLOWED = "not_allowed"
    ATTESTATION_REFUSED = "attestation_refused"
    GARBAGE = "garbage"
    REFUSED_TICKET = "refused_ticket"
    CANCELLED_AT_DESK = "cancelled_at_desk"
    SERVER_GONE = "server_gone"
    CARD_ERROR = "card_error"

    @property
    def sentence(self) -> str:
        """What the person at the desk reads: what is the matter, and what to do."""
        return _SENTENCES[self]


_SENTENCES: Mapping[Fault, str] = {
    Fault.NO_SERVICE: "The smart card service (PC/SC) is not running on this computer. "
    "Start it: keywright-reader doctor says how.",
    Fault.NO_READER: "No card reader is connected. Plug one in.",
    Fault.NO_CARD: "No card was tapped in time. Start again on the page.",
    Fault.NOT_FIDO: "This card has no FIDO2 application. Use another card.",
    Fault.U2F_ONLY: "This card only knows U2F, which has no PIN. Use a FIDO2 card.",
    Fault.UNSUPPORTED: "This card cannot do what is asked of it. Use another card.",
    Fault.CARD_REMOVED: "The card was taken away too early. Tap it again and leave it there.",
    Fault.CARD_SWAPPED: "This is another card than the one before. Tap the first one.",
    Fault.CARD_MUTE: "The card does not answer. Take it off and tap it again, flat on the reader.",
    Fault.CARD_BUSY: "Another program is using the card. Close it and try again.",
    Fault.TWO_CARDS: "Two cards lie there. Take one of them away.",
    Fault.TIMEOUT: "The card stopped answering. Take it off and tap it again.",
    Fault.PIN_PRESENT: "This card has a PIN already. Reset it or use another card.",
    Fault.PIN_INVALID: "The PIN is wrong. Start again on the page and type another one.",
    Fault.PIN_AUTH_BLOCKED: "Three wrong PINs in a row. Take the card off and tap it again.",
    Fault.PIN_BLOCKED: "The PIN is blocked: only a reset makes the card usable again. Ask for one.",
    Fault.PIN_POLICY: "The card does not accept this PIN. Choose another one.",
    Fault.PIN_TOO_SHORT: "The PIN is too short for this card. Choose a longer one.",
    Fault.CHANGE_PENDING: "The PIN of this card must be changed first: Change PIN on the page.",
    Fault.ALREADY_ENROLLED: "This card is enrolled already. Use another card.",
    Fault.CARD_TAKEN: "This card is somebody else's already. Use another card.",
    Fault.STORAGE_FULL: "The card has no room for another key. Reset it or use another card.",
    Fault.NO_CREDENTIAL: "There is no key for this on the card. Use the one that was set up.",
    Fault.RESET_TOO_LATE: "A card takes a reset only in the first seconds. Tap it again.",
    Fault.NOT_ALLOWED: "The card, or this computer, does not allow it. "
    "keywright-reader doctor may say why.",
    Fault.ATTESTATION_REFUSED: "Cards of this model are not accepted here. Use another model.",
    Fault.GARBAGE: "The card gave an answer that makes no sense. Tap again, or use another.",
    Fault.REFUSED_TICKET: "The server's order was refused as not valid here. Start it anew.",
    Fault.CANCELLED_AT_DESK: "Cancelled at the desk. Start again on the page if you still want it.",
    Fault.SERVER_GONE: "The server cannot be reached. Wait until it is back, then tap again.",
    Fault.CARD_ERROR: "The card reports an error. Tap it again, or use another card.",
}


class CardFault(Exception):
    """Something about card, reader or desk ends this run of a job.

    `detail` is for whoever mends it: short, and never with a secret in it.
    """

    def __init__(self, word: Fault, detail: str = "") -> None:
        super().__init__(f"{word.value}: {detail}" if detail else word.value)
        self.word = word
        self.detail = detail

    @property
    def sentence(self) -> str:
        return f"{self.word.sentence} ({self.detail})" if self.detail else self.word.sentence


class Cancelled(Exception):
    """A wait was given up because nobody wants its end any more."""


_CTAP: Mapping[int, Fault] = {
    ERR.CREDENTIAL_EXCLUDED: Fault.ALREADY_ENROLLED,
    ERR.KEY_STORE_FULL: Fault.STORAGE_FULL,
    ERR.NO_CREDENTIALS: Fault.NO_CREDENTIAL,
    ERR.INVALID_CREDENTIAL: Fault.NO_CREDENTIAL,
    ERR.NOT_ALLOWED: Fault.NOT_ALLOWED,
    ERR.OPERATION_DENIED: Fault.NOT_ALLOWED,
    ERR.PIN_INVALID: Fault.PIN_INVALID,
    ERR.PIN_BLOCKED: Fault.PIN_BLOCKED,
    ERR.PIN_AUTH_BLOCKED: Fault.PIN_AUTH_BLOCKED,
    ERR.PIN_POLICY_VIOLATION: Fault.PIN_POLICY,
    ERR.UNSUPPORTED_ALGORITHM: Fault.UNSUPPORTED,
    ERR.UNSUPPORTED_OPTION: Fault.UNSUPPORTED,
    ERR.INVALID_OPTION: Fault.UNSUPPORTED,
    ERR.INVALID_COMMAND: Fault.UNSUPPORTED,
    ERR.INVALID_SUBCOMMAND: Fault.UNSUPPORTED,
    ERR.REQUEST_TOO_LARGE: Fault.UNSUPPORTED,
    ERR.TIMEOUT: Fault.TIMEOUT,
    ERR.USER_ACTION_TIMEOUT: Fault.TIMEOUT,
    ERR.ACTION_TIMEOUT: Fault.TIMEOUT,
}

# What python-fido2 raises when a card's answer does not parse; there is no one class for it.
_UNPARSABLE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    struct.error,
    UnsupportedAlgorithm,
)


def ctap_fault(error: CtapError, special: Mapping[int, Fault] | None = None) -> CardFault:
    """The fault behind a CTAP status byte (CTAP 2.1 §6.3); `special` is what one command means."""
    word = (special or {}).get(error.code) or _CTAP.get(error.code, Fault.CARD_ERROR)
    return CardFault(word, f"CTAP {error.code}")


@contextmanager
def translated(
    special: Mapping[int, Fault] | None = None, unparsable: Fault = Fault.GARBAGE
) -> Iterator[None]:
    """Every error of a python-fido2 call in the block leaves it as a `CardFault`."""
    try:
        yield
    except CtapError as error:
        raise ctap_fault(error, special) from None
    except _UNPARSABLE as error:
        # The text of a parse error may quote what the card sent: keep the class only.
        raise CardFault(unparsable, type(error).__name__) from None
