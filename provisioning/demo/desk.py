# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The desk of the demo: a page instead of a window, and software cards instead of plastic.

The station and its protocol are the real ones. What a person would do with the hands — lay a card
on the reader, type a PIN — is done by buttons on the desk's page, or by itself where nothing is
to be decided: a fresh card for an enrolment, the owner's card for a step-up.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reader.card_reader import CardReader
from reader.desk import DeskState, Question, Step
from reader.simulator import store
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import Profile

OWNER_CARD = "Owner's card"
_AUTO_AFTER = 1.5  # seconds: long enough to see the panel ask for the tap


class Slot(CardReader, Protocol):
    """A reader that software cards are laid on: in this process, or behind pcscd and vpcd."""

    @property
    def card(self) -> SoftwareCard | None:
        """The card that lies there."""

    def insert(self, card: SoftwareCard) -> None:
        """Lay a card on it."""

    def remove(self) -> None:
        """Take the card away."""


@dataclass
class Pending:
    """A question that waits for the person: `kind` is pin, new_pin or confirm."""

    kind: str
    question: Question
    answered: threading.Event
    answer: str | bool | None = None


class CardBox:
    """The software cards of this demo, by name, kept in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._cards: dict[str, SoftwareCard] = {
            path.stem: store.load(path) for path in sorted(folder.glob("*.json"))
        }

    def names(self) -> list[str]:
        """Return the names of the cards that people hold, the owner's left out."""
        return [name for name in self._cards if name != OWNER_CARD]

    def get(self, name: str) -> SoftwareCard | None:
        """Return a card, or None."""
        return self._cards.get(name)

    def fresh(self, name: str | None = None) -> str:
        """Put a blank card into the box and return its name."""
        name = name or f"Card {len(self.names()) + 1}"
        self._cards[name] = SoftwareCard(Profile())
        self.save()
        return name

    def name_of(self, card: SoftwareCard | None) -> str | None:
        """Return what a card is called here."""
        return next((name for name, mine in self._cards.items() if mine is card), None)

    def is_blank(self, name: str) -> bool:
        """Say whether a card has no PIN and no credential yet."""
        memory = self._cards[name].memory
        return not memory.credentials and memory.pin_hash is None

    def save(self) -> None:
        """Write every card to its file."""
        for name, card in self._cards.items():
            store.save(card, self._folder / f"{name}.json")


class WebDesk:
    """A `reader.desk.Desk` whose window is a page; the station asks, the page answers."""

    attended = True

    def __init__(self, reader: Slot, cards: CardBox, owner: str, owner_pin: str) -> None:
        self.reader = reader
        self.cards = cards
        self.auto = True
        self._owner = owner
        self._owner_pin = owner_pin
        self._state = DeskState(Step.OFFLINE, "Starting.")
        self._pending: Pending | None = None
        self._changed = threading.Condition()

    @property
    def state(self) -> DeskState:
        """What the station shows now."""
        return self._state

    @property
    def pending(self) -> Pending | None:
        """What the station asks now."""
        return self._pending

    def show(self, state: DeskState) -> None:
        """Keep what the station shows; tap by itself where nothing is to be decided."""
        with self._changed:
            self._state = state
            self._changed.notify_all()
        if state.step in (Step.DONE, Step.FAULT, Step.CANCELLED):
            self.cards.save()
        if self.auto and state.step in (Step.TAP, Step.REMOVE):
            threading.Thread(target=self._help, args=(state,), daemon=True).start()
        if self.auto and state.step is Step.DONE:
            self.reader.remove()

    def ask_pin(self, question: Question) -> str | None:
        """Return the PIN typed on the page; the owner's card's is known here."""
        if self.auto and self._is_owners_job():
            return self._owner_pin
        answer = self._ask("pin", question)
        return answer if isinstance(answer, str) else None

    def ask_new_pin(self, question: Question) -> str | None:
        """Return the new PIN typed on the page, if it holds the rules."""
        answer = self._ask("new_pin", question)
        return answer if isinstance(answer, str) else None

    def confirm(self, question: Question) -> bool:
        """Return whether the person said yes on the page."""
        if self.auto and self._is_owners_job():
            return True
        return self._ask("confirm", question) is True

    def answer(self, value: str | bool | None) -> None:
        """Answer the open question (the page calls this)."""
        pending = self._pending
        if pending is not None:
            pending.answer = value
            pending.answered.set()

    def tap(self, name: str) -> bool:
        """Lay a card on the reader, in place of the one that lies there."""
        card = self.cards.get(name)
        if card is None:
            return False
        self.reader.remove()
        self.reader.insert(card)
        return True

    def _ask(self, kind: str, question: Question) -> str | bool | None:
        pending = Pending(kind, question, threading.Event())
        self._pending = pending
        until = time.monotonic() + question.seconds
        try:
            while time.monotonic() < until and not question.cancelled():
                if pending.answered.wait(0.2):
                    return pending.answer
            return None
        finally:
            self._pending = None

    def _help(self, state: DeskState) -> None:
        time.sleep(_AUTO_AFTER)
        if self._state is not state:
            return
        if state.step is Step.REMOVE:
            self.reader.remove()
        elif self._is_owners_job():
            self.tap(OWNER_CARD)
        elif state.op == "enrol" and self.reader.card is None:
            blank = next((n for n in self.cards.names() if self.cards.is_blank(n)), None)
            self.tap(blank or self.cards.fresh())

    def _is_owners_job(self) -> bool:
        return self._state.op == "assert" and self._state.user == self._owner
