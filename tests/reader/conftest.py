# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A paired station in process, with a software card to lay on its reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from reader import poller as poller_module
from reader import station as station_module
from reader.desk import DeskState, Question
from reader.identity import Identity
from reader.simulator.card import SoftwareCard
from reader.software_reader import SoftwareReader
from reader.station import Station, StationRevoked
from tests.reader.fake_server import FakeJob, FakeServer


@dataclass
class FakeDesk:
    """Answers from lists, and remembers what it showed and asked."""

    attended: bool = True
    pins: list[str | None] = field(default_factory=list)
    new_pins: list[str | None] = field(default_factory=list)
    agrees: bool = True
    states: list[DeskState] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    on_question: Callable[[Question], None] = lambda question: None

    def show(self, state: DeskState) -> None:
        self.states.append(state)

    def ask_pin(self, question: Question) -> str | None:
        self._asked(question)
        return self.pins.pop(0) if self.pins else None

    def ask_new_pin(self, question: Question) -> str | None:
        self._asked(question)
        return self.new_pins.pop(0) if self.new_pins else None

    def confirm(self, question: Question) -> bool:
        self._asked(question)
        return self.agrees

    def _asked(self, question: Question) -> None:
        self.questions.append(question)
        self.on_question(question)


@dataclass
class Bench:
    """A station under test with all around it."""

    server: FakeServer
    identity: Identity
    desk: FakeDesk
    reader: SoftwareReader
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    error: BaseException | None = None

    def start(self) -> Bench:
        station = Station(self.identity, self.desk, self.reader)

        def run() -> None:
            try:
                station.run(self.stop)
            except StationRevoked as error:
                self.error = error

        self.thread = threading.Thread(target=run, name="station under test")
        self.thread.start()
        return self

    def end(self) -> None:
        self.stop.set()
        if self.thread is not None:
            self.thread.join(20)
            assert not self.thread.is_alive()

    def finish(self, job: FakeJob, seconds: float = 15.0) -> FakeJob:
        assert job.ended.wait(seconds), f"{job.op} did not end: {job.story}"
        return job

    def saw(self, step: str, seconds: float = 10.0) -> DeskState:
        """The desk's newest state of this step, as soon as there is one."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for state in reversed(self.desk.states):
                if state.step == step:
                    return state
            time.sleep(0.01)
        raise AssertionError(f"no {step} among {[str(one.step) for one in self.desk.states]}")

    def tap(self, card: SoftwareCard) -> SoftwareCard:
        self.reader.insert(card)
        return card


def count_apdus(bench: Bench, pin: str) -> int:
    """How many APDUs one enrolment takes, from the tap to the end."""
    card = CountingCard()
    bench.tap(card)
    job = bench.finish(bench.server.enrol(pin))
    assert job.step == "done"
    bench.saw("done")
    bench.reader.remove()
    return card.apdus


class CountingCard(SoftwareCard):
    """Counts what reaches it."""

    apdus = 0

    def transmit(self, apdu: bytes) -> bytes:
        self.apdus += 1
        return super().transmit(apdu)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def bench(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    # The real times are for people; here nobody waits for anybody.
    monkeypatch.setattr(station_module, "_GLANCE", 0.01)
    monkeypatch.setattr(poller_module, "_EMPTY_PAUSE", 0.05)
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader())
    bench.start()
    yield bench
    bench.end()
