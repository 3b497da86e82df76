# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import json
import os
import pty
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reader.desk import Desk, DeskState, HeadlessDesk, Question, Step, printable
from reader.faults import Fault
from reader.json_desk import JsonDesk
from reader.keyboard import Keyboard
from reader.pin_rules import PinRules
from reader.terminal_desk import TerminalDesk

STATE = DeskState(
    Step.TAP,
    "Tap the card.",
    reader="Desk NFC",
    organisation="Example Works",
    server="keys.example.com",
    op="enrol",
    user="Ada",
    key="Card of Ada",
    code="KX7P",
    seconds=60,
    station="Front desk",
)


def test_text_from_elsewhere_moves_no_cursor() -> None:
    assert printable("a\x1b[2Jb\r\nc\x07\u202e") == "a?[2Jb??c??"
    assert printable("x" * 500, 10) == "x" * 9 + "…"
    assert printable("Grüße, 王") == "Grüße, 王"


def test_a_headless_desk_agrees_to_nothing() -> None:
    desk: Desk = HeadlessDesk()
    question = Question("Wipe it?")
    assert not desk.attended
    assert not desk.confirm(question)
    assert desk.ask_pin(question) is None
    assert desk.ask_new_pin(question) is None


# JSON lines


class JsonDesks:
    """A desk and the program at its other end."""

    def __init__(self) -> None:
        read_in, self._write = os.pipe()
        read_out, write_out = os.pipe()
        self.input = os.fdopen(self._write, "w", buffering=1)
        self.output = os.fdopen(read_out)
        self._files = [self.input, self.output]
        lines, out = os.fdopen(read_in), os.fdopen(write_out, "w")
        self._files += [lines, out]
        self.desk = JsonDesk(out, lines)

    def ask(self, ask: Callable[[], Any]) -> Callable[[], Any]:
        """Ask in a thread; the result when it is called."""
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(ask()))
        thread.start()

        def result() -> Any:
            thread.join(5)
            return results[0]

        return result

    def read(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.output.readline())
        return read

    def say(self, **answer: Any) -> None:
        self.input.write(json.dumps(answer) + "\n")

    def close(self) -> None:
        self.input.close()
        time.sleep(0.05)
        for file in self._files[1:]:
            file.close()


@pytest.fixture
def json_desk() -> Iterator[JsonDesks]:
    desks = JsonDesks()
    yield desks
    desks.close()


def test_a_state_is_one_line(json_desk: JsonDesks) -> None:
    json_desk.desk.show(STATE)
    assert json_desk.read() == {
        "state": "tap",
        "text": "Tap the card.",
        "reader": "Desk NFC",
        "organisation": "Example Works",
        "server": "keys.example.com",
        "op": "enrol",
        "user": "Ada",
        "key": "Card of Ada",
        "code": "KX7P",
        "seconds": 60,
        "fault": None,
        "station": "Front desk",
        "card": "",
        "notice": "",
    }
    json_desk.desk.show(DeskState(Step.FAULT, "line\nbreak", fault=Fault.NO_CARD))
    assert (json_desk.read() | {})["fault"] == "no_card"


def test_a_pin_is_asked_for_and_answered(json_desk: JsonDesks) -> None:
    result = json_desk.ask(lambda: json_desk.desk.ask_pin(Question("PIN, please.", 9, tries=3)))
    asked = json_desk.read()
    assert asked == {"prompt": "pin", "id": 1, "text": "PIN, please.", "seconds": 9, "tries": 3}
    json_desk.say(pin="482915")
    assert result() == "482915"


def test_a_new_pin_is_asked_for_until_it_holds(json_desk: JsonDesks) -> None:
    question = Question("Choose.", rules=PinRules(6, current="482915"))
    result = json_desk.ask(lambda: json_desk.desk.ask_new_pin(question))
    first = json_desk.read()
    assert (first["prompt"], first["min_length"]) == ("new_pin", 6)
    assert "482915" not in json.dumps(first)
    json_desk.say(pin="12345", id=first["id"])
    again = json_desk.read()
    assert [check["holds"] for check in again["checks"]] == [False, True, False, True]
    json_desk.say(pin="602418")
    assert result() == "602418"


@pytest.mark.req("R24")
@pytest.mark.parametrize(
    ("answer", "agreed"),
    [
        ({"confirm": True}, True),
        ({"confirm": False}, False),
        ({"confirm": "yes"}, False),
        ({"confirm": 1}, False),
        ({"cancel": True}, False),
    ],
)
def test_only_a_true_confirm_is_a_yes(
    json_desk: JsonDesks, answer: dict[str, Any], agreed: bool
) -> None:
    result = json_desk.ask(lambda: json_desk.desk.confirm(Question("Wipe it?")))
    assert json_desk.read()["prompt"] == "confirm"
    json_desk.say(**answer)
    assert result() is agreed


def test_an_answer_that_came_too_early_answers_nothing(json_desk: JsonDesks) -> None:
    json_desk.say(confirm=True)
    time.sleep(0.1)
    result = json_desk.ask(lambda: json_desk.desk.confirm(Question("Wipe it?", 0.4)))
    asked = json_desk.read()
    json_desk.say(pin="482915")
    json_desk.say(confirm=True, id=asked["id"] + 1)
    json_desk.input.write("garbage\n[1]\n")
    assert result() is False
    assert json_desk.read() == {"withdrawn": asked["id"]}


def test_a_cancelled_question_is_withdrawn(json_desk: JsonDesks) -> None:
    over = threading.Event()
    question = Question("PIN", 30, cancelled=over.is_set)
    result = json_desk.ask(lambda: json_desk.desk.ask_pin(question))
    number = json_desk.read()["id"]
    over.set()
    assert result() is None
    assert json_desk.read() == {"withdrawn": number}


def test_the_end_of_the_input_gives_up(json_desk: JsonDesks) -> None:
    result = json_desk.ask(lambda: json_desk.desk.ask_pin(Question("PIN", 30)))
    json_desk.read()
    json_desk.input.close()
    assert result() is None


# The terminal


class Terminal:
    """A person's terminal, as standard input of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.master, slave = pty.openpty()
        self.stdin = os.fdopen(slave)
        monkeypatch.setattr(sys, "stdin", self.stdin)
        self.out = io.StringIO()
        self.desk = TerminalDesk(self.out, Keyboard())

    def type(self, text: str, after: str) -> None:
        """Type once the desk has shown something."""

        def later() -> None:
            until = time.monotonic() + 5
            while after not in self.out.getvalue() and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.05)
            os.write(self.master, text.encode())

        threading.Thread(target=later, daemon=True).start()

    def echoed(self) -> bytes:
        os.set_blocking(self.master, False)
        try:
            return os.read(self.master, 4096)
        except BlockingIOError:
            return b""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    terminal = Terminal(monkeypatch)
    yield terminal
    terminal.stdin.close()
    os.close(terminal.master)


def test_a_typed_pin_shows_dots_only(terminal: Terminal) -> None:
    terminal.type("48291é\x7f5\n", "PIN: ")
    assert terminal.desk.ask_pin(Question("Type the PIN.", 5, tries=8)) == "482915"
    shown = terminal.out.getvalue()
    assert "8 tries left" in shown
    assert "●●●●●●" in shown
    assert "4829" not in shown
    assert b"4829" not in terminal.echoed()


def test_the_checklist_follows_each_key(terminal: Terminal) -> None:
    terminal.type("602418\n", "New PIN: ")
    terminal.type("602418\n", "The same again: ")
    question = Question("Choose.", 5, rules=PinRules(6))
    assert terminal.desk.ask_new_pin(question) == "602418"
    shown = terminal.out.getvalue()
    assert "· at least 6 characters" in shown
    assert "✓ at least 6 characters" in shown


def test_two_different_entries_are_asked_again(terminal: Terminal) -> None:
    terminal.type("602418\n", "New PIN: ")
    terminal.type("602419\n", "The same again: ")
    terminal.type("\x1b", "Once more.")
    assert terminal.desk.ask_new_pin(Question("Choose.", 5, rules=PinRules(6))) is None


def test_a_pin_that_is_not_enough_is_not_taken(terminal: Terminal) -> None:
    terminal.type("111111\n", "New PIN: ")
    terminal.type("\x1b", "not enough")
    assert terminal.desk.ask_new_pin(Question("Choose.", 5, rules=PinRules(6))) is None


@pytest.mark.req("R24")
@pytest.mark.parametrize(
    ("typed", "agreed"),
    [("yes\n", True), ("YES \n", True), ("y\n", False), ("\n", False), ("\x1b", False)],
)
def test_yes_is_typed_in_full(terminal: Terminal, typed: str, agreed: bool) -> None:
    terminal.type(typed, "Type yes")
    assert terminal.desk.confirm(Question("Wipe it?", 5)) is agreed


@pytest.mark.req("R24")
def test_what_was_typed_before_the_question_is_no_answer(terminal: Terminal) -> None:
    os.write(terminal.master, b"yes\n")
    time.sleep(0.05)
    assert not terminal.desk.confirm(Question("Wipe it?", 0.3))


def test_an_arrow_key_is_no_letter_and_no_escape(terminal: Terminal) -> None:
    terminal.type("48\x1b[A2915\n", "PIN: ")
    assert terminal.desk.ask_pin(Question("Type the PIN.", 5)) == "482915"


def test_a_question_ends_when_it_is_cancelled(terminal: Terminal) -> None:
    over = threading.Event()
    threading.Timer(0.1, over.set).start()
    began = time.monotonic()
    assert terminal.desk.ask_pin(Question("PIN", 30, cancelled=over.is_set)) is None
    assert time.monotonic() - began < 3


def test_control_c_is_control_c(terminal: Terminal) -> None:
    import termios

    raw = termios.tcgetattr(terminal.stdin.fileno())
    raw[3] &= ~termios.ISIG
    termios.tcsetattr(terminal.stdin.fileno(), termios.TCSANOW, raw)
    terminal.type("\x03", "PIN: ")
    with pytest.raises(KeyboardInterrupt):
        terminal.desk.ask_pin(Question("PIN", 5))


def test_the_terminal_is_as_it_was_afterwards(terminal: Terminal) -> None:
    import termios

    before = termios.tcgetattr(terminal.stdin.fileno())
    terminal.type("1\n", "PIN: ")
    terminal.desk.ask_pin(Question("PIN", 5))
    assert termios.tcgetattr(terminal.stdin.fileno()) == before


def test_names_from_the_server_cannot_write_to_the_terminal() -> None:
    out = io.StringIO()
    desk = TerminalDesk(out)
    desk.show(DeskState(Step.TAP, "Tap for \x1b]0;evil\x07.", organisation="E\x1b[31m"))
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()
