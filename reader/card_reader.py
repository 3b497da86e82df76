# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the station needs of a card reader, however cards get to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol

from fido2.ctap import CtapDevice


class ReaderState(StrEnum):
    NO_SERVICE = "no_service"
    NO_READER = "no_reader"
    NO_CARD = "no_card"
    CARD = "card"
    BUSY = "busy"
    """The card is held by another program."""


class CardSession(Protocol):
    """One card, held exclusively from the tap until `close()`."""

    @property
    def device(self) -> CtapDevice:
        """The FIDO application.

        Raises CardFault: NOT_FIDO when the card has none, UNSUPPORTED when it answers strangely.
        """

    @property
    def uid(self) -> bytes | None:
        """The UID as it was at the tap; None if the reader does not tell."""

    def read_uid(self) -> bytes | None:
        """The UID of the card that lies there now. Raises CardFault when there is none."""

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """One APDU as it is; its answer and status word. Raises CardFault."""

    def power_cycle(self) -> None:
        """Cut the card's power and select the FIDO application again; `uid` may be a new one.

        Raises CardFault. Afterwards `device` is a new object.
        """

    def close(self) -> None:
        """Cut the card's power and give the card free. Never raises."""


class CardReader(Protocol):
    @property
    def name(self) -> str:
        """As the operating system calls it; "" when none is connected."""

    def state(self) -> ReaderState:
        """At this moment; never waits."""

    def states(self) -> Mapping[str, ReaderState]:
        """Of each reader that may be used, by name, as they were when `state` was asked last."""

    def only(self, name: str) -> CardReader:
        """The reader of exactly this name."""

    def wait_for_card(self, seconds: float, cancelled: Callable[[], bool]) -> CardSession:
        """The card that lies there, or the next one tapped.

        Asks `cancelled` several times a second. Raises Cancelled, and CardFault: NO_CARD,
        NO_READER or NO_SERVICE when the time is over, CARD_BUSY or CARD_MUTE for a card that
        cannot be had.
        """

    def presence(self) -> str:
        """A name for the present tap: "" without a card, and another one after each tap."""

    def wait_for_removal(
        self, presence: str, seconds: float, cancelled: Callable[[], bool]
    ) -> bool:
        """True as soon as that tap is over, also when another card lies there by then.

        False when the time is over. Raises Cancelled.
        """


def is_random(uid: bytes | None) -> bool:
    """Whether the card draws a new UID at each tap (ISO 14443-3: four bytes, the first 08)."""
    return uid is not None and len(uid) == 4 and uid[0] == 0x08
