# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The window on the desk, on a display of its own (Xvfb)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tkinter as tk
from collections.abc import Callable, Iterator
from pathlib import Path
from tkinter import ttk
from typing import Any

import pytest

from reader.choice import ReaderChoice
from reader.desk import DeskState, Question, Step
from reader.pin_rules import PinRules
from reader.window import Window
from reader.window_desk import Ended, WindowDesk
from tests.e2e.desk import listening_sockets
from tests.reader.fake_server import FakeServer

pytestmark = [pytest.mark.device, pytest.mark.enable_socket]

TAP = DeskState(
    Step.TAP,
    "Tap the card for Ada Lovelace.",
    reader="Desk NFC",
    organisation="Example Works",
    server="keys.example.org",
    user="Ada Lovelace",
    key="Card of Ada Lovelace",
    code="KX7P",
    seconds=60,
    station="Front desk",
    card="UID 04AABBCC",
    notice="This station is older than the server.",
)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """An X server that nobody looks at; what is missing fails, nothing skips."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.fail("Xvfb is missing: apt-get install xvfb", pytrace=False)
    read, write = os.pipe()
    process = subprocess.Popen(
        [program, "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    yield f":{number}"
    process.terminate()
    process.wait(10)


@pytest.fixture
def window(display: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    monkeypatch.setenv("DISPLAY", display)
    made = Window(WindowDesk())
    yield made
    made.close()


def desk_of(window: Window) -> WindowDesk:
    return window._desk


def look(window: Window, until: Callable[[], bool] = lambda: True) -> None:
    """Have the window take what waits, as its own loop does, until it is so."""
    for _ in range(200):
        window._look()
        window.root.update()
        if until():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it never came so")


def parts(widget: tk.Misc, kind: type) -> list[Any]:
    found = [widget] if isinstance(widget, kind) else []
    return found + [one for child in widget.winfo_children() for one in parts(child, kind)]


def words(window: Window) -> str:
    return "\n".join(str(label.cget("text")) for label in parts(window.root, ttk.Label))


def press(window: Window, text: str) -> None:
    (button,) = [one for one in parts(window.root, ttk.Button) if one.cget("text") == text]
    button.invoke()


def asked(window: Window, ask: Callable[[], Any]) -> Callable[[], Any]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(ask()))
    thread.start()
    look(window, lambda: window._prompt is not None)

    def result() -> Any:
        thread.join(5)
        return results[0]

    return result


def test_it_shows_server_station_reader_card_user_and_what_to_do(window: Window) -> None:
    desk_of(window).show(TAP)
    look(window)
    shown = words(window)
    for word in (
        "Tap the card for Ada Lovelace.",
        "Example Works (keys.example.org)",
        "Front desk",
        "Desk NFC",
        "UID 04AABBCC",
        "Ada Lovelace",
        "Card of Ada Lovelace",
        "KX7P",
        "seconds left",
        "older than the server",
    ):
        assert word in shown
    desk_of(window).show(DeskState(Step.READY, "Ready.\x1b[2J"))
    look(window)
    assert "Ready.?[2J" in words(window)
    assert "KX7P" not in words(window)


@pytest.mark.req("R24")
def test_a_wipe_takes_a_click_and_no_enter(window: Window) -> None:
    told = asked(window, lambda: desk_of(window).confirm(Question("Wipe it?", 30)))
    assert "Wipe it?" in words(window)
    window.root.event_generate("<Return>")
    window.root.update()
    assert window._prompt is not None, "Enter has agreed"
    press(window, "Yes, I agree")
    assert told() is True
    told = asked(window, lambda: desk_of(window).confirm(Question("Wipe it?", 30)))
    press(window, "No")
    assert told() is False


def test_a_pin_is_typed_unseen_and_leaves_no_trace(window: Window) -> None:
    told = asked(window, lambda: desk_of(window).ask_pin(Question("PIN?", 30, tries=8)))
    (entry,) = parts(window.form, ttk.Entry)
    entry.insert(0, "482915")
    assert "8 tries left." in words(window)
    assert entry.cget("show") == "●"
    press(window, "OK")
    assert told() == "482915"
    assert parts(window.form, ttk.Entry) == []


def test_a_new_pin_is_checked_while_it_is_typed(window: Window) -> None:
    rules = PinRules(6, current="482915")
    told = asked(window, lambda: desk_of(window).ask_new_pin(Question("New?", 30, rules=rules)))
    first, again = parts(window.form, ttk.Entry)
    first.insert(0, "482915")
    assert "✓ at least 6 characters" in words(window)
    assert "· not the present PIN" in words(window)
    press(window, "OK")
    assert window._prompt is not None
    first.delete(0, "end")
    first.insert(0, "739154")
    press(window, "OK")
    assert "The two differ." in words(window)
    again.insert(0, "739154")
    press(window, "OK")
    assert told() == "739154"


def test_a_withdrawn_question_goes_away(window: Window) -> None:
    over = threading.Event()
    question = Question("PIN?", 30, cancelled=over.is_set)
    told = asked(window, lambda: desk_of(window).ask_pin(question))
    over.set()
    look(window, lambda: window._prompt is None)
    assert told() is None
    assert parts(window.form, ttk.Entry) == []


def test_closing_gives_up_what_is_asked(window: Window) -> None:
    told = asked(window, lambda: desk_of(window).confirm(Question("Wipe it?", 30)))
    window.close()
    assert told() is False
    assert desk_of(window).closed.is_set()


def test_an_end_with_a_reason_stays_to_be_read(window: Window) -> None:
    desk_of(window).messages.put(Ended("the server has revoked this station: pair it again"))
    look(window)
    assert "revoked this station" in words(window)
    press(window, "Close")
    assert desk_of(window).closed.is_set()


def goes_down_the_list(window: Window) -> None:
    """Open the list of readers by the arrow key, go one further, and take that."""
    tk_ = window.root.tk
    window.readers.event_generate("<Down>")
    popup = str(tk_.call("ttk::combobox::PopdownWindow", str(window.readers)))
    look(window, lambda: bool(int(tk_.call("winfo", "ismapped", popup))))
    listed = f"{popup}.f.l"
    tk_.call("focus", "-force", listed)  # there is no window manager here
    for key in ("<Down>", "<Return>"):
        tk_.call("event", "generate", listed, key)
    look(window, lambda: not int(tk_.call("winfo", "ismapped", popup)))


def test_the_reader_is_chosen_by_keys_alone_and_remembered(window: Window, tmp_path: Path) -> None:
    choice = desk_of(window).choice = ReaderChoice(tmp_path)
    choice.offered = ("Desk NFC 00 00",)
    look(window)
    assert not window.readers.winfo_ismapped(), "there is nothing to choose"
    choice.offered = ("Desk NFC 00 00", "Desk NFC 00 01\n")
    look(window, lambda: bool(window.readers.winfo_ismapped()))
    assert window.readers.get() == "Any reader: the tap chooses"
    assert window.readers.cget("values")[2] == "Desk NFC 00 01?"
    window.root.focus_force()
    look(window, lambda: window.root.focus_get() is window.root)
    window.root.event_generate("<Tab>")
    look(window, lambda: window.root.focus_get() is window.readers)
    for _ in range(2):
        goes_down_the_list(window)
    assert ReaderChoice(tmp_path).name == "Desk NFC 00 01\n"
    # It is unplugged: the window goes on showing what is chosen, and what there is instead.
    choice.offered = ("Desk NFC 00 00", "Other 00 00", "Desk NFC 00 02")
    look(window)
    assert window.readers.get() == "Desk NFC 00 01?"


@pytest.mark.req("R22")
def test_the_program_with_its_window_works_and_listens_nowhere(
    display: str, tmp_path: Path
) -> None:
    """A whole station process: its window is there, it polls, a signal ends it well."""
    with FakeServer() as server:
        server.identity().save(tmp_path)
        process = subprocess.Popen(
            [sys.executable, "-m", "reader", "run", "--state", str(tmp_path)],
            env={**os.environ, "DISPLAY": display, "PCSCLITE_CSOCK_NAME": "/nonexistent"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 20
        while not server.polls:
            assert time.monotonic() < until, "it never polled"
            assert process.poll() is None
            time.sleep(0.05)
        assert listening_sockets(process.pid) == []
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=15)
        assert (process.returncode, said) == (0, "")
