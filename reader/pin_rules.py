# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a PIN that a person chooses has to hold, one line of a checklist each."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from itertools import pairwise

MAX_BYTES = 63  # CTAP 2.1 §6.5.1: in UTF-8, and the padding needs the 64th


@dataclass(frozen=True)
class Check:
    text: str
    holds: bool


@dataclass(frozen=True)
class PinRules:
    """`current` is the PIN that is to be replaced: the new one must be another.

    A card may accept its old PIN at a forced change (some JavaCards do), which would leave the
    PIN that went by mail in use; so it is refused here.
    """

    min_length: int
    current: str | None = field(default=None, repr=False)

    def checks(self, pin: str) -> tuple[Check, ...]:
        pin = normal(pin)
        checks = [
            Check(f"at least {self.min_length} characters", len(pin) >= self.min_length),
            Check(f"at most {MAX_BYTES} bytes", len(pin.encode()) <= MAX_BYTES),
            Check("no plain row such as 111111 or 123456", bool(pin) and not is_trivial(pin)),
        ]
        if self.current is not None:
            checks.append(Check("not the present PIN", bool(pin) and pin != normal(self.current)))
        return tuple(checks)

    def allow(self, pin: str) -> bool:
        return all(check.holds for check in self.checks(pin))


def normal(pin: str) -> str:
    """A PIN as it goes to the card: CTAP 2.1 §6.5.1 asks for Unicode NFC."""
    return unicodedata.normalize("NFC", pin)


def is_trivial(pin: str) -> bool:
    """Whether each character is as far from the one before: 1111, 1234, 8642, aaaa."""
    steps = {ord(after) - ord(before) for before, after in pairwise(pin)}
    return len(steps) <= 1 and abs(next(iter(steps), 0)) <= 2
