# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""ISO 7816-4 command and response APDUs, short and extended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum


class SW(IntEnum):
    """Status words the card answers."""

    OK = 0x9000
    UPDATE = 0x9100
    WRONG_LENGTH = 0x6700
    CONDITIONS_NOT_SATISFIED = 0x6985
    FUNCTION_NOT_SUPPORTED = 0x6A81
    FILE_NOT_FOUND = 0x6A82
    INCORRECT_P1_P2 = 0x6A86
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00


CHAINING = 0x10
"""Class byte bit: this APDU's data goes on in the next one (ISO 7816-4 §5.1.1.1)."""


class MalformedApdu(ValueError):
    """Lengths that do not add up: the card answers 6700."""


@dataclass(frozen=True)
class Command:
    """One command APDU. ``le`` is how many answer bytes fit, at most 65536."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    le: int

    @classmethod
    def parse(cls, apdu: bytes) -> Command:
        """:raises MalformedApdu:"""
        if len(apdu) < 4:
            raise MalformedApdu
        header, body = apdu[:4], apdu[4:]
        extended = len(body) >= 3 and body[0] == 0
        data, le = _parse_extended(body[1:]) if extended else _parse_short(body)
        cla, ins, p1, p2 = header
        return cls(cla, ins, p1, p2, data, le)

    @property
    def more_follows(self) -> bool:
        return bool(self.cla & CHAINING)

    def after(self, earlier: bytes) -> Command:
        """This APDU as the end of a chain."""
        return replace(self, data=earlier + self.data)


def _parse_short(body: bytes) -> tuple[bytes, int]:
    if len(body) <= 1:
        return b"", _length(body, 256)
    lc = body[0]
    data, le = body[1 : 1 + lc], body[1 + lc :]
    if not lc or len(data) != lc or len(le) > 1:
        raise MalformedApdu
    return data, _length(le, 256)


def _parse_extended(body: bytes) -> tuple[bytes, int]:
    # python-fido2 sends extended APDUs without Le, even with no data at all; a card that took
    # the standard by its word would answer nothing. Real cards answer, so this one does.
    lc = int.from_bytes(body[:2], "big")
    if len(body) == 2:
        return b"", _length(body, 65536)
    data, le = body[2 : 2 + lc], body[2 + lc :]
    if not lc or len(data) != lc or len(le) not in (0, 2):
        raise MalformedApdu
    return data, _length(le, 65536)


def _length(le: bytes, most: int) -> int:
    return int.from_bytes(le, "big") or most


def answer(status: int, data: bytes = b"") -> bytes:
    """A response APDU."""
    return data + status.to_bytes(2, "big")
