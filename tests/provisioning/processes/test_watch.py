# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from provisioning import keys
from provisioning.audit import CLI
from provisioning.desks import dispatch, jobs, orders
from provisioning.lifecycle import JobState, KeyKind
from provisioning.models import Job, Station
from provisioning.processes.watch import Watch
from provisioning.services import Services
from provisioning.storage.db import database, transaction


@pytest.fixture
def watch() -> Iterator[Watch]:
    yield Watch(4)
    until = time.monotonic() + 2
    while any(thread.name == "watch" for thread in threading.enumerate()):
        assert time.monotonic() < until, "the watcher outlives those who waited"
        time.sleep(0.01)


def station(name: str = "Desk") -> Station:
    with transaction():
        return Station.create(
            resource_id=name, name=name, signing_key=b"s" * 32, sealing_key=b"x" * 32
        )


def queue(at: Station, services: Services) -> Job:
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "admin", user=None, actor=CLI)
        return orders.queue_enrolment(at, key, services, CLI, own_pin=True)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            database.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def waited(watch: Watch, at: Station, seconds: float) -> float | None:
    """Wait for a first wake and return after how many seconds it came, or None."""
    started = time.monotonic()
    with watch.place() as mine:
        assert mine
        for _ in watch.wakes(at.id, seconds):
            return time.monotonic() - started
    return None


def test_a_job_that_was_there_before_wakes_at_once(watch: Watch, services: Services) -> None:
    desk = station()
    queue(desk, services)
    after = waited(watch, desk, 5)
    assert after is not None
    assert after < 1


def test_a_job_queued_while_waiting_wakes_its_station_only(
    watch: Watch, services: Services
) -> None:
    desk, other = station(), station("Other")
    results: dict[str, float | None] = {}
    threads = [
        in_thread(lambda: results.update(desk=waited(watch, desk, 5))),
        in_thread(lambda: results.update(other=waited(watch, other, 1))),
    ]
    time.sleep(0.3)
    queue(desk, services)
    for thread in threads:
        thread.join()
    assert results["desk"] is not None
    assert 0.2 < results["desk"] < 1
    assert results["other"] is None


def test_one_watcher_serves_all(watch: Watch, services: Services) -> None:
    desks = [station(f"Desk {number}") for number in range(4)]
    threads = [in_thread(lambda at=at: waited(watch, at, 0.6)) for at in desks]
    time.sleep(0.3)
    assert sum(thread.name == "watch" for thread in threading.enumerate()) == 1
    for thread in threads:
        thread.join()


def test_a_process_that_is_about_to_end_lets_everybody_go(watch: Watch, services: Services) -> None:
    desk = station()
    ended: list[float] = []

    def wait() -> None:
        assert waited(watch, desk, 20) is None
        ended.append(time.monotonic())

    thread = in_thread(wait)
    time.sleep(0.3)
    assert not watch.is_over
    told = time.monotonic()
    watch.let_go()
    thread.join()
    assert ended[0] - told < 1
    assert waited(watch, desk, 20) is None
    assert time.monotonic() - ended[0] < 1


def test_places_run_out_and_come_back(watch: Watch) -> None:
    small = Watch(1)
    with small.place() as first, small.place() as second:
        assert first
        assert not second
    with small.place() as again:
        assert again


def test_a_job_that_cannot_be_given_out_wakes_once_and_not_in_circles(
    watch: Watch, services: Services
) -> None:
    desk = station()
    queue(desk, services)
    with watch.place():
        assert sum(1 for _ in watch.wakes(desk.id, 0.5)) == 1


def test_a_station_at_work_is_not_woken_before_it_is_done(watch: Watch, services: Services) -> None:
    desk = station()
    first, _second = queue(desk, services), queue(desk, services)
    Job.update(state=JobState.RUNNING).where(Job.id == first.id).execute()
    assert dispatch.stations_with_news() == {}
    with transaction():
        jobs.finish(jobs.get(first.resource_id), CLI)
    assert list(dispatch.stations_with_news()) == [desk.id]


def test_a_watcher_survives_a_database_that_is_gone_for_a_moment(
    watch: Watch, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peewee import OperationalError

    desk = station()
    real = dispatch.stations_with_news
    fails = iter([True, True])

    def flaky() -> dict[int, int]:
        if next(fails, False):
            raise OperationalError("the server closed the connection")
        return real()

    monkeypatch.setattr(dispatch, "stations_with_news", flaky)
    queue(desk, services)
    assert waited(watch, desk, 3) is not None
