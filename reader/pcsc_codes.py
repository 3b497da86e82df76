# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Numbers that PC/SC and cards answer with, and the fault behind each."""

from __future__ import annotations

from collections.abc import Mapping

from reader.faults import CardFault, Fault

OK = 0
TIMEOUT = 0x8010000A

_RESULTS: Mapping[int, Fault] = {
    0x80100003: Fault.NO_SERVICE,  # SCARD_E_INVALID_HANDLE: the service was started anew
    0x80100009: Fault.NO_READER,  # SCARD_E_UNKNOWN_READER
    TIMEOUT: Fault.NO_CARD,
    0x8010000B: Fault.CARD_BUSY,  # SCARD_E_SHARING_VIOLATION
    0x8010000C: Fault.CARD_REMOVED,  # SCARD_E_NO_SMARTCARD
    0x8010000F: Fault.CARD_MUTE,  # SCARD_E_PROTO_MISMATCH: a bad answer to reset
    0x80100013: Fault.NO_SERVICE,  # SCARD_F_COMM_ERROR: the service went away
    0x80100016: Fault.CARD_REMOVED,  # SCARD_E_NOT_TRANSACTED
    0x80100017: Fault.NO_READER,  # SCARD_E_READER_UNAVAILABLE
    0x8010001D: Fault.NO_SERVICE,  # SCARD_E_NO_SERVICE
    0x8010001E: Fault.NO_SERVICE,  # SCARD_E_SERVICE_STOPPED
    0x80100027: Fault.NOT_ALLOWED,  # SCARD_E_ACCESS_DENIED: Windows keeps FIDO to itself
    0x8010006A: Fault.NOT_ALLOWED,  # SCARD_W_SECURITY_VIOLATION: polkit's no, on Linux
    0x8010002E: Fault.NO_READER,  # SCARD_E_NO_READERS_AVAILABLE
    0x8010002F: Fault.CARD_REMOVED,  # SCARD_E_COMM_DATA_LOST
    0x80100066: Fault.CARD_MUTE,  # SCARD_W_UNRESPONSIVE_CARD
    0x80100067: Fault.CARD_REMOVED,  # SCARD_W_UNPOWERED_CARD
    0x80100068: Fault.CARD_REMOVED,  # SCARD_W_RESET_CARD: its state is gone either way
    0x80100069: Fault.CARD_REMOVED,  # SCARD_W_REMOVED_CARD
    0x0000001F: Fault.CARD_REMOVED,  # ERROR_GEN_FAILURE, on Windows
    # pyscard's own: an answer of no bytes (some drivers say so of a removal), a closed connection.
    0x00000000: Fault.CARD_REMOVED,
    0xFFFFFFFF: Fault.CARD_REMOVED,
}


def result_fault(result: int) -> CardFault:
    """The fault behind a PC/SC result code, signed or not."""
    code = result & 0xFFFFFFFF
    return CardFault(_RESULTS.get(code, Fault.CARD_ERROR), f"PC/SC 0x{code:08X}")


_STATUS_WORDS: Mapping[int, Fault] = {
    0x6700: Fault.UNSUPPORTED,  # wrong length: the card takes no message as long as this
    0x6982: Fault.NOT_ALLOWED,
    0x6985: Fault.NOT_ALLOWED,
    0x6A81: Fault.UNSUPPORTED,
    # The application did answer before, so it is not selected any more: the card was away for a
    # moment that the reader did not see.
    0x6D00: Fault.CARD_REMOVED,
    0x6E00: Fault.CARD_REMOVED,
}


def status_word_fault(word: int) -> CardFault:
    """The fault behind an ISO 7816-4 status word other than 9000."""
    return CardFault(_STATUS_WORDS.get(word, Fault.CARD_ERROR), f"card answers {word:04X}")
