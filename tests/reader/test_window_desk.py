# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The desk behind a window, without one: what the station's thread meets."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from reader.commands.desks import NoWindow, _tk_window, in_window
from reader.desk import Desk, DeskState, Question, Step
from reader.identity import IdentityError
from reader.window_desk import Asked, Ended, Prompt, WindowDesk, Withdrawn


def asking(ask: Callable[[], Any]) -> Callable[[], Any]:
    """Ask in a thread, as the station does; the result when it is called."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(ask()))
    thread.start()

    def result() -> Any:
        thread.join(5)
        return results[0]

    return result


def prompt_of(desk: WindowDesk) -> Prompt:
    message = desk.messages.get(timeout=5)
    assert isinstance(message, Prompt)
    return message


def test_an_answer_reaches_the_one_who_asked() -> None:
    desk = WindowDesk()
    told = asking(lambda: desk.ask_pin(Question("PIN?")))
    prompt = prompt_of(desk)
    assert (prompt.asked, prompt.question.text) == (Asked.PIN, "PIN?")
    prompt.answer.put("482915")
    assert told() == "482915"
    told = asking(lambda: desk.ask_new_pin(Question("New?")))
    prompt_of(desk).answer.put(None)
    assert told() is None


@pytest.mark.req("R24")
@pytest.mark.parametrize(("answer", "agreed"), [(True, True), (None, False), ("yes", False)])
def test_nothing_but_a_click_on_yes_agrees(answer: Any, agreed: bool) -> None:
    desk = WindowDesk()
    told = asking(lambda: desk.confirm(Question("Wipe it?")))
    prompt_of(desk).answer.put(answer)
    assert told() is agreed


@pytest.mark.req("R24")
def test_time_a_cancelled_job_and_a_closed_window_end_a_question() -> None:
    desk = WindowDesk()
    assert not desk.confirm(Question("Wipe it?", seconds=0.2))
    prompt = prompt_of(desk)
    assert desk.messages.get(timeout=1) == Withdrawn(prompt)
    over = threading.Event()
    told = asking(lambda: desk.confirm(Question("Wipe it?", cancelled=over.is_set)))
    prompt_of(desk)
    over.set()
    assert told() is False
    told = asking(lambda: desk.ask_pin(Question("PIN?")))
    desk.closed.set()
    assert told() is None


# The program around it


def nothing(_number: int, _frame: object) -> None:
    """A signal that does not matter here."""


def shown_until_ended(seen: list[object]) -> Callable[[WindowDesk], Callable[[], None]]:
    def show(desk: WindowDesk) -> Callable[[], None]:
        def run() -> None:
            while not isinstance(message := desk.messages.get(timeout=5), Ended):
                seen.append(message)
            seen.append(message)

        return run

    return show


@pytest.fixture(autouse=True)
def _signals() -> Any:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def test_the_work_is_done_beside_the_window() -> None:
    seen: list[object] = []

    def work(desk: Desk, stop: threading.Event) -> int:
        assert threading.current_thread() is not threading.main_thread()
        desk.show(DeskState(Step.READY, "Ready."))
        return 0

    assert in_window(work, threading.Event(), nothing, shown_until_ended(seen)) == 0
    assert seen == [DeskState(Step.READY, "Ready."), Ended("")]


def test_what_goes_wrong_is_shown_and_raised() -> None:
    seen: list[object] = []

    def work(desk: Desk, stop: threading.Event) -> int:
        raise IdentityError("not paired yet")

    with pytest.raises(IdentityError):
        in_window(work, threading.Event(), nothing, shown_until_ended(seen))
    assert seen == [Ended("not paired yet")]


def test_closing_the_window_ends_the_work() -> None:
    def work(desk: Desk, stop: threading.Event) -> int:
        assert stop.wait(5)
        return 0

    began = time.monotonic()
    assert in_window(work, threading.Event(), nothing, lambda desk: lambda: None) == 0
    assert time.monotonic() - began < 2


def test_without_a_display_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(NoWindow):
        _tk_window(WindowDesk())
    monkeypatch.setenv("DISPLAY", ":987654")
    with pytest.raises(NoWindow):
        _tk_window(WindowDesk())
