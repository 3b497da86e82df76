# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from peewee import OperationalError

from provisioning.audit import CLI
from provisioning.clock import HOUR, now_ms
from provisioning.models import Connection, RequestHour, RequestTrace
from provisioning.services import Services
from provisioning.storage import recorder
from provisioning.storage.db import transaction
from provisioning.storage.recorder import Recorder
from provisioning.upstream import tokens, traces
from provisioning.upstream.traces import Trace


@pytest.fixture
def entra(services: Services) -> Connection:
    with transaction():
        return tokens.create_connection("Entra ID", CLI)


def trace(connection: Connection, number: int = 0, status: int = 200, at: int = 0) -> Trace:
    def path() -> str:
        return f"/{number}"

    return Trace(at or now_ms(), connection.id, None, "GET", path, status, None, 1_500)


def write(*batch: Trace) -> None:
    with transaction():
        traces.write(batch)


def paths() -> list[str]:
    return [row.path for row in RequestTrace.select().order_by(RequestTrace.id)]


def test_of_a_burst_the_refused_ones_and_the_newest_are_kept(entra: Connection) -> None:
    burst = [trace(entra, number, 400 if number < 5 else 200) for number in range(1_000)]
    write(*burst)
    kept = [f"/{number}" for number in (*range(5), *range(805, 1_000))]
    assert paths() == kept
    assert RequestHour.select().count() in (1, 2)
    assert sum(row.requests for row in RequestHour.select()) == 1_000
    assert sum(row.errors for row in RequestHour.select()) == 5


def test_so_many_are_kept_of_each_connection(
    entra: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "KEPT", 3)
    with transaction():
        okta = tokens.create_connection("Okta", CLI)
    write(trace(okta, 100))
    for number in range(5):
        write(trace(entra, number))
    assert paths() == ["/100", "/2", "/3", "/4"]


def test_none_is_kept_for_longer_than_a_week(entra: Connection) -> None:
    write(trace(entra, 1, at=now_ms() - traces.AGE - HOUR), trace(entra, 2))
    with transaction():
        assert traces.sweep() == 2
    assert paths() == ["/2"]
    assert RequestHour.select().count() == 1


def test_hours_without_a_request_are_among_them(entra: Connection) -> None:
    write(trace(entra, at=now_ms() - 2 * HOUR), trace(entra, status=500))
    hours = traces.hours(entra, 4)
    assert [hour.requests for hour in hours] == [0, 1, 0, 1]
    assert [hour.errors for hour in hours] == [0, 0, 0, 1]


def test_what_the_database_cannot_take_now_waits() -> None:
    away = [True]
    written: list[list[int]] = []

    def take(batch: list[int]) -> None:
        if away[0]:
            raise OperationalError("database is locked")
        written.append(batch)

    mine = Recorder[int](take)
    for number in range(3):
        mine.note(number)
    mine.flush()
    mine.note(3)
    away[0] = False
    mine.flush()
    assert written == [[0, 1, 2, 3]]


def test_the_oldest_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MOST", 10)
    written: list[int] = []
    mine = Recorder[int](written.extend)
    for number in range(15):
        mine.note(number)
    mine.flush()
    assert written == list(range(5, 15))


def test_its_thread_writes_within_the_pause_and_outlives_a_fault(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PAUSE", 0.01)
    came = threading.Event()

    def take(batch: list[str]) -> None:
        if batch == ["bad"]:
            raise ZeroDivisionError
        came.set()

    mine = Recorder[str](take)
    mine.start()
    mine.note("bad")
    while mine._waiting:
        threading.Event().wait(0.01)
    mine.note("good")
    assert came.wait(5)
    mine.stop()


def test_a_forked_process_that_ends_in_order_writes_its_last_batch(tmp_path: Path) -> None:
    """granian's processes are made by multiprocessing, which passes by what atexit would do."""
    told = tmp_path / "told"
    program = f"""
import multiprocessing, pathlib
from provisioning.storage import recorder
recorder.PAUSE = 600
def work():
    mine = recorder.Recorder(lambda batch: pathlib.Path({str(told)!r}).write_text(str(batch)))
    mine.start()
    mine.note(1815)
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join(20)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert told.read_text() == "[1815]"
