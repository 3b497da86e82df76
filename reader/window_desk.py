# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The desk behind a window: what is shown and asked passes through a queue to the window's thread.

A window lives in the program's main thread and the station in another, so nothing here touches
the window. Apart from it, so that it works and is tested without a display.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum

from reader.choice import ReaderChoice
from reader.desk import DeskState, Question

_SLICE = 0.1


class Asked(StrEnum):
    PIN = "pin"
    NEW_PIN = "new_pin"
    CONFIRM = "confirm"


@dataclass(eq=False)
class Prompt:
    """One open question; the window puts the answer in, None for giving up."""

    asked: Asked
    question: Question
    answer: queue.Queue[str | bool | None] = field(default_factory=queue.Queue, repr=False)


@dataclass(frozen=True)
class Withdrawn:
    """Nobody needs the answer any more, or its time is over."""

    prompt: Prompt


@dataclass(frozen=True)
class Ended:
    """The work is over; `text` says why, empty when all is well."""

    text: str


Message = DeskState | Prompt | Withdrawn | Ended


class WindowDesk:
    """A `Desk`. The window takes `messages` and sets `closed` when the person closes it."""

    attended = True

    def __init__(self) -> None:
        self.messages: queue.Queue[Message] = queue.Queue()
        self.closed = threading.Event()
        self.choice: ReaderChoice | None = None
        """The readers to choose from, as soon as there are any."""

    def show(self, state: DeskState) -> None:
        self.messages.put(state)

    def ask_pin(self, question: Question) -> str | None:
        return self._text(Prompt(Asked.PIN, question))

    def ask_new_pin(self, question: Question) -> str | None:
        return self._text(Prompt(Asked.NEW_PIN, question))

    def confirm(self, question: Question) -> bool:
        return self._ask(Prompt(Asked.CONFIRM, question)) is True

    def _text(self, prompt: Prompt) -> str | None:
        answer = self._ask(prompt)
        return answer if isinstance(answer, str) and answer else None

    def _ask(self, prompt: Prompt) -> str | bool | None:
        self.messages.put(prompt)
        until = time.monotonic() + prompt.question.seconds
        while time.monotonic() < until and not self.closed.is_set():
            if prompt.question.cancelled():
                break
            try:
                return prompt.answer.get(timeout=_SLICE)
            except queue.Empty:
                continue
        self.messages.put(Withdrawn(prompt))
        return None
