# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The desk in a terminal window."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

from reader.desk import DeskState, Question, printable
from reader.keyboard import Keyboard
from reader.pin_rules import PinRules, normal

_CLEAR_LINE = "\r\x1b[K"
_SYMBOL = {True: "✓", False: "·"}


class TerminalDesk:
    """Writes to `out` (standard output) and reads keys."""

    attended = True

    def __init__(self, out: TextIO | None = None, keyboard: Keyboard | None = None) -> None:
        self._out = out or sys.stdout
        self._keyboard = keyboard or Keyboard()
        self._noticed = ""

    def show(self, state: DeskState) -> None:
        where = state.organisation or state.server
        prefix = f"[{printable(where, 40)}] " if where else ""
        limit = f" ({state.seconds} s)" if state.seconds else ""
        self._write(f"{prefix}{printable(state.text, 400)}{limit}\n")
        if state.user:
            self._write(f"  for {printable(state.user, 80)}: {printable(state.key, 80)}\n")
        if state.code:
            self._write(f"  {printable(state.code, 20)}\n")
        if state.notice and state.notice != self._noticed:
            self._write(f"  {printable(state.notice, 300)}\n")
        self._noticed = state.notice

    def ask_pin(self, question: Question) -> str | None:
        tries = "" if question.tries is None else f" {question.tries} tries left."
        self._write(f"{printable(question.text, 400)}{tries} Escape gives up.\n")
        pin = self._keyboard.line(self._dots("PIN"), question.seconds, question.cancelled)
        self._write("\n")
        return pin or None

    def ask_new_pin(self, question: Question) -> str | None:
        rules = question.rules or PinRules(min_length=4)
        self._write(f"{printable(question.text, 400)} Escape gives up.\n")
        while True:
            pin = self._keyboard.line(self._checklist(rules), question.seconds, question.cancelled)
            self._write("\n")
            if pin is None:
                return None
            if not rules.allow(pin):
                self._write("That is not enough yet.\n")
                continue
            again = self._keyboard.line(
                self._dots("The same again"), question.seconds, question.cancelled
            )
            self._write("\n")
            if again is None:
                return None
            if normal(again) == normal(pin):
                return pin
            self._write("The two differ. Once more.\n")

    def confirm(self, question: Question) -> bool:
        self._write(f"{printable(question.text, 600)}\nType yes and Enter: ")
        answer = self._keyboard.line(self._plain, question.seconds, question.cancelled)
        self._write("\n")
        return (answer or "").strip().lower() == "yes"

    def _plain(self, text: str) -> None:
        self._write(f"{_CLEAR_LINE}Type yes and Enter: {text}")

    def _dots(self, label: str) -> Callable[[str], None]:
        return lambda text: self._write(f"{_CLEAR_LINE}{label}: {'●' * len(text)}")

    def _checklist(self, rules: PinRules) -> Callable[[str], None]:
        def changed(text: str) -> None:
            checks = "  ".join(f"{_SYMBOL[one.holds]} {one.text}" for one in rules.checks(text))
            self._write(f"{_CLEAR_LINE}New PIN: {'●' * len(text)}   {checks}")

        return changed

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
