# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reader import enroll, poller, station
from reader import job as job_module
from reader.faults import Fault
from reader.job import Job
from reader.server import Clock
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import Faults
from reader.software_reader import SoftwareReader
from reader.station import Station, StationRevoked
from reader.ticket import Op
from tests.reader.conftest import Bench, CountingCard, FakeDesk
from tests.reader.fake_server import FakeJob, FakeServer

pytestmark = pytest.mark.enable_socket

PIN = "482915"


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came so"
        time.sleep(0.01)


# R21: nothing reaches a card before the ticket holds


def _forged(bench: Bench, job: FakeJob) -> str:
    return bench.server.ticket(job, Ed25519PrivateKey.generate())


def _altered(bench: Bench, job: FakeJob) -> str:
    head, body, signature = bench.server.ticket(job).split(".")
    return f"{head}.{body[:-2]}{'A' if body[-2] != 'A' else 'B'}{body[-1]}.{signature}"


def _with(**claims: Any) -> Callable[[Bench, FakeJob], str]:
    def make(bench: Bench, job: FakeJob) -> str:
        job.claims = claims
        return bench.server.ticket(job)

    return make


@pytest.mark.req("R21")
@pytest.mark.req("R23")
@pytest.mark.parametrize(
    "make",
    [
        _forged,
        _altered,
        _with(exp=int(time.time()) - 1, iat=int(time.time()) - 100),
        _with(exp=int(time.time()) + 10_000),
        _with(aud="another-station"),
        _with(iss="https://evil.example"),
        _with(rp_id="evil.example"),
        _with(origin="https://evil.example"),
        _with(options={"rp": {"id": "evil.example", "name": "x"}}),
        _with(pin={"mode": "server", "sealed": "AAAA"}),
    ],
    ids=[
        "forged",
        "altered",
        "expired",
        "long-lived",
        "other-station",
        "other-server",
        "other-rp",
        "other-origin",
        "other-options",
        "foreign-pin",
    ],
)
def test_a_refused_ticket_sends_no_apdu(
    bench: Bench, make: Callable[[Bench, FakeJob], str]
) -> None:
    card = CountingCard()
    bench.tap(card)
    job = FakeJob("enrol", pin=PIN)
    bench.server.jobs[job.id] = job
    bench.server.tickets.put(make(bench, job))
    shown = bench.saw("fault")
    assert shown.fault is Fault.REFUSED_TICKET
    assert card.apdus == 0
    assert not [name for name in job.story if name != "fault"]


@pytest.mark.req("R21")
def test_a_ticket_played_again_sends_no_apdu(bench: Bench) -> None:
    first = CountingCard()
    bench.tap(first)
    job = FakeJob("enrol", pin=PIN)
    bench.server.jobs[job.id] = job
    token = bench.server.ticket(job)
    bench.server.tickets.put(token)
    bench.finish(job)
    bench.saw("done")
    second = CountingCard()
    bench.tap(second)
    told = len(job.events)
    bench.server.tickets.put(token)
    assert bench.saw("fault").fault is Fault.REFUSED_TICKET
    assert second.apdus == 0
    assert len(job.events) == told  # whoever plays it again cannot even stop the job


def test_the_server_hears_that_its_own_ticket_was_too_old(bench: Bench) -> None:
    job = FakeJob("enrol", pin=PIN, claims={"iat": 1_000, "exp": 1_100})
    bench.finish(bench.server.send(job))
    assert job.fault is not None
    assert (job.fault["fault"], job.fault["step"]) == (Fault.REFUSED_TICKET, "prepared")


# R22


@pytest.mark.req("R22")
@pytest.mark.skipif(not Path("/proc/self/net").exists(), reason="looks at Linux's tables")
def test_a_station_listens_nowhere(bench: Bench) -> None:
    """Waiting, at work and done: no socket of this process is in state LISTEN but the server's."""
    server_port = int(bench.server.url.rsplit(":", 1)[1])
    bench.server.enrol(PIN)
    bench.saw("tap")
    assert _listening() == {server_port}
    bench.tap(SoftwareCard())
    bench.saw("done")
    assert _listening() == {server_port}


def _listening() -> set[int]:
    mine = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            mine.add(os.readlink(f"/proc/self/fd/{entry}"))
        except FileNotFoundError:
            continue
    ports = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            listens = fields[3] == ("0A" if table.startswith("tcp") else "07")
            if listens and f"socket:[{fields[9]}]" in mine:
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def test_the_look_at_listening_sockets_sees_one() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert listener.getsockname()[1] in _listening()


# Jobs


def test_jobs_are_done_one_after_another(bench: Bench) -> None:
    jobs = [bench.server.enrol(PIN, user=f"Person {number}") for number in range(3)]
    for job in jobs:
        bench.reader.remove()
        bench.tap(SoftwareCard())
        bench.finish(job)
    assert [job.step for job in jobs] == ["done"] * 3


def test_while_a_job_runs_the_station_asks_for_no_other(bench: Bench) -> None:
    job = bench.server.enrol(PIN)
    bench.saw("tap")
    polls = len(bench.server.polls)
    time.sleep(0.3)
    assert len(bench.server.polls) == polls
    bench.tap(SoftwareCard())
    bench.finish(job)
    until(lambda: len(bench.server.polls) > polls)


def test_a_card_that_hangs_does_not_hang_the_station(server: FakeServer) -> None:
    """The watchdog's: the next job works, with the card that hung or with another one."""
    reader = SoftwareReader(seconds=0.2)
    bench = Bench(server, server.identity(), FakeDesk(), reader).start()
    try:
        card = bench.tap(SoftwareCard())
        card.faults = Faults(delay=30)
        job = bench.finish(server.enrol(PIN))
        assert job.fault is not None
        assert job.fault["fault"] == Fault.TIMEOUT
        card.faults = Faults()
        bench.tap(card)
        assert bench.finish(server.send(job)).step == "done"
    finally:
        bench.end()


def test_a_card_that_hangs_in_the_middle_is_resumed(server: FakeServer) -> None:
    class Hangs(SoftwareCard):
        def transmit(self, apdu: bytes) -> bytes:
            if self.memory.credentials and not self.released:
                self._field_lost.wait(30)
            return super().transmit(apdu)

        released = False

    reader = SoftwareReader(seconds=0.3)
    bench = Bench(server, server.identity(), FakeDesk(), reader).start()
    try:
        card = Hangs()
        bench.tap(card)
        job = bench.finish(server.enrol(PIN))
        assert job.fault is not None
        assert (job.fault["fault"], job.fault["step"]) == (Fault.TIMEOUT, "pin_set")
        card.released = True
        bench.tap(card)
        assert bench.finish(server.send(job)).step == "done"
    finally:
        bench.end()


def test_a_flaw_of_ours_ends_one_job_and_not_the_station(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flawed(job: Job) -> None:
        raise ZeroDivisionError("PIN is 482915")

    monkeypatch.setitem(station._RUN, Op.ENROL, flawed)  # type: ignore[attr-defined]
    job = bench.finish(bench.server.enrol(PIN))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CARD_ERROR
    assert PIN not in str(job.fault) + caplog.text
    monkeypatch.setitem(station._RUN, Op.ENROL, enroll.run)  # type: ignore[attr-defined]
    bench.tap(SoftwareCard())
    assert bench.finish(bench.server.enrol(PIN)).step == "done"


# The server


def test_the_server_hears_of_a_tap_at_once(bench: Bench) -> None:
    until(lambda: bool(bench.server.polls))
    assert bench.server.polls[-1]["state"] == "no_card"
    card = bench.tap(SoftwareCard())
    until(lambda: bench.server.polls[-1]["state"] == "card", 2)
    assert bench.server.polls[-1]["wait"] == 0
    assert bench.server.polls[-1]["reader"] == bench.reader.name
    bench.reader.remove()
    until(lambda: bench.server.polls[-1]["state"] == "no_card", 2)
    assert not card.powered


def test_a_ticket_that_answers_such_news_is_run(bench: Bench) -> None:
    """The server may answer any poll with a ticket, not only the one that waits."""
    until(lambda: bool(bench.server.polls))
    job = FakeJob("enrol", pin=PIN)
    bench.server.jobs[job.id] = job

    def only_news(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if path == "poll" and body["wait"] == 0 and not job.jti:
            return 200, {"ticket": bench.server.ticket(job)}
        return None

    bench.server.before = only_news
    bench.tap(SoftwareCard())
    assert bench.finish(job).step == "done"


def test_after_a_job_the_server_hears_what_lies_there_now(bench: Bench) -> None:
    """Also when the job came by the news of its tap, and an older poll still waits."""
    until(lambda: bool(bench.server.polls))
    job = FakeJob("enrol", pin=PIN, replies={"pin_set": {"go": False, "reason": "cancelled"}})
    bench.server.jobs[job.id] = job

    def only_news(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if path == "poll" and body["wait"] == 0 and not job.jti:
            return 200, {"ticket": bench.server.ticket(job)}
        if body.get("event") == "pin_set":
            bench.reader.remove()
        return None

    bench.server.before = only_news
    polls = len(bench.server.polls)
    bench.tap(SoftwareCard())
    bench.finish(job)
    until(lambda: len(bench.server.polls) > polls, 2)
    assert bench.server.polls[-1]["state"] == "no_card"


def test_a_server_that_is_away_is_waited_for(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "_BACK_OFF", (0.05, 0.2))
    server.before = lambda path, body: (503, {})
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader()).start()
    try:
        assert "503" in bench.saw("offline").text
        server.before = None
        until(lambda: bench.desk.states[-1].step == "ready")
        bench.tap(SoftwareCard())
        assert bench.finish(server.enrol(PIN)).step == "done"
    finally:
        bench.end()


def test_tries_become_rarer_while_the_server_is_away(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "_BACK_OFF", (0.05, 10.0))
    times: list[float] = []

    def away(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        times.append(time.monotonic())
        return 503, {}

    server.before = away
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader()).start()
    try:
        until(lambda: len(times) >= 6)
        gaps = [after - before for before, after in pairwise(times)]
        assert gaps[4] > 4 * gaps[0]
    finally:
        bench.end()


def test_a_server_that_says_when_is_obeyed(server: FakeServer) -> None:
    calls: list[float] = []

    def slow_down(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        calls.append(time.monotonic())
        return (429, {"headers": {"Retry-After": "1"}}) if len(calls) == 1 else None

    server.before = slow_down
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader()).start()
    try:
        until(lambda: len(calls) >= 2)
        assert 0.9 < calls[1] - calls[0] < 2
    finally:
        bench.end()


def test_an_empty_answer_at_once_is_not_asked_for_again_at_once(bench: Bench) -> None:
    """A server with too many waiting stations answers 204 immediately."""
    bench.server.max_wait = 0.0
    bench.server.tickets.put("not a ticket")  # ends the poll that still waits
    bench.saw("fault")
    start = len(bench.server.polls)
    time.sleep(0.5)
    assert len(bench.server.polls) - start <= 12  # at most one each _EMPTY_PAUSE


def test_a_revoked_station_ends(bench: Bench) -> None:
    bench.server.revoked = True
    bench.server.tickets.put("wake up")
    assert bench.thread is not None
    bench.thread.join(5)
    assert isinstance(bench.error, StationRevoked)
    assert not bench.stop.is_set()


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_wrong_clock_is_put_right_by_the_server(server: FakeServer, hours: int) -> None:
    server.offset_ms = hours * 3_600_000
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader()).start()
    try:
        bench.tap(SoftwareCard())
        job = bench.finish(server.enrol(PIN))
        assert (job.step, job.fault) == ("done", None)
    finally:
        bench.end()


@pytest.mark.parametrize("told", [1_780_000_000, 1_780_000_000_000, 1_780_000_000.25])
def test_the_server_may_tell_its_time_in_seconds_or_milliseconds(told: float) -> None:
    clock = Clock()
    clock.set(told)
    assert clock.now() == pytest.approx(1_780_000_000, abs=2)


# Stopping


@pytest.mark.parametrize("state", ["idle", "waiting for a card"])
def test_a_stop_is_prompt(bench: Bench, state: str) -> None:
    job = None
    if state == "idle":
        until(lambda: bool(bench.server.polls))
    else:
        job = bench.server.enrol(PIN, tap_seconds=60)
        bench.saw("tap")
    began = time.monotonic()
    bench.end()
    assert time.monotonic() - began < 1.5
    if job is not None:
        assert job.fault is not None
        assert job.fault["detail"] == "the station was stopped"
    assert "poller" not in [thread.name for thread in threading.enumerate()]


def test_a_stop_comes_through_while_the_server_is_away(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.before = lambda path, body: (503, {})
    monkeypatch.setattr(poller, "_BACK_OFF", (30.0, 30.0))
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader()).start()
    bench.saw("offline")
    began = time.monotonic()
    bench.end()
    assert time.monotonic() - began < 1.5


def test_a_server_lost_in_the_middle_ends_the_job_here_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "RETRY_SECONDS", (0.01, 0.01))

    def lose(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        return (502, {}) if body.get("event") in ("pin_set", "fault") else None

    bench.server.before = lose
    card = bench.tap(SoftwareCard())
    job = bench.server.enrol(PIN)
    assert bench.saw("fault").fault is Fault.SERVER_GONE
    assert not card.powered
    bench.server.before = None
    bench.finish(bench.server.send(job))
    assert job.step == "done"


def test_one_run_per_station(server: FakeServer) -> None:
    stop = threading.Event()
    stop.set()
    Station(server.identity(), FakeDesk(), SoftwareReader()).run(stop)


# What a station says of itself, and what it tells the person beside it


@pytest.mark.parametrize(
    "name",
    ["Desk\nNFC\x00\x1b[2J", "$(reboot); `id` '\"", "N" * 1_024, "\ud800"],
    ids=["line breaks", "a shell's words", "a kilobyte", "half a character"],
)
def test_every_reader_is_told_whatever_it_calls_itself(server: FakeServer, name: str) -> None:
    # A server for each: the poll of a station that has ended would take the next one's ticket.
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader(name)).start()
    try:
        until(lambda: bool(server.polls))
        told = server.polls[-1]
        assert told["reader"].isprintable()
        assert 0 < len(told["reader"]) <= 200
        assert told["readers"] == [{"name": told["reader"], "state": "no_card"}]
        bench.tap(SoftwareCard())
        assert bench.finish(server.enrol(PIN)).step == "done"
    finally:
        bench.end()


def test_an_older_station_is_told_to_be_installed_anew(bench: Bench) -> None:
    bench.server.version, bench.server.max_wait = "999.1", 0.2
    bench.tap(SoftwareCard())  # a poll of its own, beside the one that is held
    until(lambda: "older than the server" in notice(bench))
    assert f"{bench.server.url}/reader-driver" in notice(bench)
    assert bench.finish(bench.server.enrol(PIN)).step == "done", "it works as before meanwhile"


def test_a_wrong_clock_is_told_and_borne(server: FakeServer) -> None:
    server.offset_ms, server.max_wait = 300_000, 0.2
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader()).start()
    try:
        until(lambda: "clock is 300 seconds slow" in notice(bench))
        until(lambda: any(poll.get("clock") == 300 for poll in server.polls))
        bench.tap(SoftwareCard())
        assert bench.finish(server.enrol(PIN)).step == "done"
    finally:
        bench.end()


def notice(bench: Bench) -> str:
    return bench.desk.states[-1].notice if bench.desk.states else ""


def test_after_a_sleep_the_dead_connection_is_not_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: len(bench.server.polls) >= 1)
    polls = len(bench.server.polls)
    slept = threading.Event()
    monkeypatch.setattr(station.Nap, "over", lambda self: slept.is_set() and not slept.clear())
    slept.set()
    until(lambda: len(bench.server.polls) > polls, 3)


def test_a_sleep_in_a_long_pause_ends_the_pause(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "_BACK_OFF", (30.0, 30.0))
    slept = threading.Event()
    monkeypatch.setattr(station.Nap, "over", lambda self: slept.is_set() and not slept.clear())
    server.before = lambda path, body: (503, {})
    bench = Bench(server, server.identity(), FakeDesk(), SoftwareReader()).start()
    try:
        bench.saw("offline")
        server.before = None
        slept.set()
        until(lambda: bench.desk.states[-1].step == "ready", 3)
    finally:
        bench.end()
