# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The window of the person at the desk: what the station shows and what it asks.

A station asks from its own thread, one question at a time; `show` may come from another thread.
Names in a state or a question come from the server: a desk that prints them lets no control
character through (`printable`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from reader.faults import Fault
from reader.pin_rules import PinRules

log = logging.getLogger("reader.desk")


class Step(StrEnum):
    """What the desk shows, in the order of a job; the first five belong to no job."""

    OFFLINE = "offline"
    NO_READER = "no_reader"
    READY = "ready"
    CARD_PRESENT = "card_present"
    CARD_BUSY = "card_busy"
    REMOVE = "remove"
    TAP = "tap"
    CONFIRM = "confirm"
    PIN = "pin"
    WORKING = "working"
    DONE = "done"
    CANCELLED = "cancelled"
    FAULT = "fault"


@dataclass(frozen=True)
class DeskState:
    """One thing to show. `text` is a whole sentence for a person and names what to do."""

    step: Step
    text: str
    reader: str = ""
    organisation: str = ""
    server: str = ""
    op: str = ""
    user: str = ""
    key: str = ""
    code: str = ""
    """To be compared with the code on the page (sign-in)."""
    seconds: int | None = None
    """How long the person has for it."""
    fault: Fault | None = None
    station: str = ""
    card: str = ""
    """What lies on the reader, as far as it is known: empty, or a few words."""
    notice: str = ""
    """Something to know that is about no job, such as a server that is newer."""


def always(answer: bool) -> Callable[[], bool]:
    return lambda: answer


@dataclass(frozen=True)
class Question:
    """One thing to ask. The desk gives up when `cancelled()` says so or the time is over."""

    text: str
    seconds: float = 60.0
    cancelled: Callable[[], bool] = field(default=always(False), repr=False)
    tries: int | None = None
    """Wrong PINs that the card will still bear."""
    rules: PinRules | None = None
    """What the new PIN has to hold."""


class Desk(Protocol):
    @property
    def attended(self) -> bool:
        """Whether somebody can type and click here. Else a second tap says yes (R24)."""

    def show(self, state: DeskState) -> None: ...

    def ask_pin(self, question: Question) -> str | None:
        """The card's present PIN, or None if the person gives up or the time is over."""

    def ask_new_pin(self, question: Question) -> str | None:
        """A new PIN that `question.rules` allow, typed twice, or None."""

    def confirm(self, question: Question) -> bool:
        """Whether the person agrees. Nothing but an explicit yes in time counts as one."""


class HeadlessDesk:
    """No screen, no keyboard: a second tap says yes, and PINs cannot be typed."""

    attended = False

    def show(self, state: DeskState) -> None:
        log.info("%s: %s", state.step, printable(state.text))

    def ask_pin(self, question: Question) -> str | None:
        return None

    def ask_new_pin(self, question: Question) -> str | None:
        return None

    def confirm(self, question: Question) -> bool:
        return False


def printable(text: str, most: int = 200) -> str:
    """Text from elsewhere, safe on a terminal and in a log: one line, no control characters."""
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"
