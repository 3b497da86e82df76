# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from reader import wipe
from reader.faults import Fault
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import JAVACARD, Profile
from tests.reader.conftest import Bench
from tests.reader.fake_server import FakeJob

pytestmark = pytest.mark.enable_socket

PIN = "482915"


class Clock:
    """The card's own time, for its ten seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def enrolled(
    bench: Bench, profile: Profile | None = None, clock: Callable[[], float] = time.monotonic
) -> SoftwareCard:
    card = bench.tap(SoftwareCard(profile, clock=clock))
    assert bench.finish(bench.server.enrol(PIN)).step == "done"
    bench.saw("done")
    bench.desk.states.clear()
    return card


def reset(bench: Bench) -> FakeJob:
    return bench.server.send(FakeJob("reset"))


def is_wiped(card: SoftwareCard) -> bool:
    return card.memory.pin_hash is None and not card.memory.credentials


@pytest.mark.parametrize(
    "profile", [Profile(), JAVACARD, Profile(random_uid=True)], ids=["2.1", "java", "random-uid"]
)
def test_a_card_is_wiped_after_a_yes_at_the_desk(bench: Bench, profile: Profile) -> None:
    card = enrolled(bench, profile)
    job = bench.finish(reset(bench))
    assert (job.fault, job.story) == (None, ["waiting", "card", "wiping", "done"])
    assert is_wiped(card)


@pytest.mark.req("R24")
def test_the_question_names_server_user_and_card(bench: Bench) -> None:
    card = enrolled(bench)
    bench.finish(reset(bench))
    asked = bench.desk.questions[-1]
    for name in (
        "Example Works",
        "localhost",
        "Ada Lovelace",
        card.uid.hex().upper(),
        "every site",
    ):
        assert name in asked.text
    assert asked.seconds == 60


@pytest.mark.req("R24")
def test_without_a_yes_nothing_is_wiped(bench: Bench) -> None:
    card = enrolled(bench)
    bench.desk.agrees = False
    job = bench.finish(reset(bench))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CANCELLED_AT_DESK
    assert not is_wiped(card)
    assert "wiping" not in job.story


@pytest.mark.req("R20")
def test_the_server_hears_of_it_before_the_card_is_wiped(bench: Bench) -> None:
    card = enrolled(bench)
    job = FakeJob("reset", replies={"wiping": {"go": False, "reason": "cancelled"}})
    bench.finish(bench.server.send(job))
    bench.saw("cancelled")
    assert not is_wiped(card)


def test_a_person_may_think_longer_than_the_card_takes_resets(bench: Bench) -> None:
    """CTAP: ten seconds after power-up. The yes is followed by a power cycle."""
    clock = Clock()
    card = enrolled(bench, clock=clock)
    bench.desk.on_question = lambda question: setattr(clock, "now", clock.now + 30)
    assert bench.finish(reset(bench)).fault is None
    assert is_wiped(card)


def test_a_reader_that_keeps_the_power_on_needs_a_second_tap(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    card = enrolled(bench, clock=clock)
    bench.desk.on_question = lambda question: setattr(clock, "now", clock.now + 30)
    monkeypatch.setattr(wipe, "_repower", lambda job, tapped: None)
    job = reset(bench)
    bench.saw("remove")
    assert not is_wiped(card)
    bench.reader.remove()
    bench.tap(card)
    assert bench.finish(job).fault is None
    assert is_wiped(card)


def test_another_card_at_the_second_tap_is_left_alone(bench: Bench) -> None:
    enrolled(bench, Profile(reset_window=-1.0))
    other = SoftwareCard(Profile(pin="771199"))
    job = reset(bench)
    bench.saw("remove")
    bench.tap(other)
    bench.finish(job)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CARD_SWAPPED
    assert not is_wiped(other)


def test_another_card_without_keys_is_told_apart_by_its_uid(bench: Bench) -> None:
    bench.tap(SoftwareCard(Profile(pin="771199", reset_window=-1.0)))
    other = SoftwareCard(Profile(pin="771199"))
    job = reset(bench)
    bench.saw("remove")
    bench.tap(other)
    bench.finish(job)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CARD_SWAPPED
    assert not is_wiped(other)


def test_another_card_with_a_random_uid_is_told_apart_by_its_keys(bench: Bench) -> None:
    enrolled(bench, Profile(reset_window=-1.0, random_uid=True))
    other = SoftwareCard(Profile(pin="771199", random_uid=True))
    job = reset(bench)
    bench.saw("remove")
    bench.tap(other)
    bench.finish(job)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CARD_SWAPPED
    assert not is_wiped(other)


def test_a_card_that_takes_no_reset_even_then_says_so(bench: Bench) -> None:
    card = enrolled(bench, Profile(reset_window=-1.0))
    job = reset(bench)
    bench.saw("remove")
    bench.tap(card)
    bench.finish(job)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.RESET_TOO_LATE


@pytest.mark.req("R24")
def test_at_a_headless_station_a_second_tap_says_yes(bench: Bench) -> None:
    bench.desk.attended = False
    card = enrolled(bench)
    job = reset(bench)
    shown = bench.saw("remove")
    assert "Example Works" in shown.text
    assert shown.seconds == 60
    assert not is_wiped(card)
    bench.reader.remove()
    bench.tap(card)
    assert bench.finish(job).fault is None
    assert is_wiped(card)
    assert bench.desk.questions == []


@pytest.mark.req("R24")
@pytest.mark.parametrize("removed", [False, True], ids=["left-there", "taken-away"])
def test_no_second_tap_in_time_is_a_no(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    monkeypatch.setattr(wipe, "CONSENT_SECONDS", 0.5)
    bench.desk.attended = False
    card = enrolled(bench)
    job = reset(bench)
    bench.saw("remove")
    if removed:
        bench.reader.remove()
    bench.finish(job)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CANCELLED_AT_DESK
    assert not is_wiped(card)


def test_a_blocked_card_can_be_wiped(bench: Bench) -> None:
    card = enrolled(bench)
    card.memory.pin_retries = 0
    job = bench.finish(reset(bench))
    assert job.fault is None
    assert job.event("card")["pin_retries"] == 0
    assert is_wiped(card)


def test_somebody_elses_card_is_left_alone(bench: Bench) -> None:
    card = enrolled(bench)
    job = FakeJob("reset", replies={"card": {"go": False, "reason": "card_taken"}})
    bench.finish(bench.server.send(job))
    bench.saw("cancelled")
    assert not is_wiped(card)
    assert bench.desk.questions == []
