# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import json

import pytest

from reader.faults import Fault
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import JAVACARD, Profile
from tests.reader.conftest import Bench
from tests.reader.fake_server import FakeJob

pytestmark = pytest.mark.enable_socket

OLD, NEW = "482915", "my new pin"


def forced_card(bench: Bench, profile: Profile | None = None) -> SoftwareCard:
    card = bench.tap(SoftwareCard(profile))
    bench.finish(bench.server.enrol(OLD))
    assert card.memory.force_pin_change
    return card


def has_pin(card: SoftwareCard, pin: str) -> bool:
    return card.memory.pin_hash == hashlib.sha256(pin.encode()).digest()[:16]


def change(bench: Bench) -> FakeJob:
    return bench.finish(bench.server.send(FakeJob("change_pin")))


@pytest.mark.parametrize("profile", [Profile(), JAVACARD], ids=["2.1", "java"])
def test_the_mailed_pin_gives_way_to_the_holders_own(bench: Bench, profile: Profile) -> None:
    card = forced_card(bench, profile)
    bench.desk.pins, bench.desk.new_pins = [OLD], [NEW]
    job = change(bench)
    assert (job.fault, job.step) == (None, "done")
    assert job.story == ["waiting", "card", "done"]
    assert has_pin(card, NEW)
    assert not card.memory.force_pin_change
    told = json.dumps(job.events)
    assert OLD not in told
    assert NEW not in told


@pytest.mark.req("R24")
def test_the_person_is_asked_first_and_told_by_whom(bench: Bench) -> None:
    forced_card(bench)
    bench.desk.pins, bench.desk.new_pins = [OLD], [NEW]
    change(bench)
    asked = bench.desk.questions[0].text
    for name in ("Example Works", "localhost", "Ada Lovelace", "Card of Ada Lovelace"):
        assert name in asked
    assert bench.desk.questions[0].seconds == 60


@pytest.mark.req("R24")
def test_without_a_yes_nothing_is_asked_and_nothing_changes(bench: Bench) -> None:
    card = forced_card(bench)
    bench.desk.agrees = False
    bench.desk.pins, bench.desk.new_pins = [OLD], [NEW]
    job = change(bench)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CANCELLED_AT_DESK
    assert has_pin(card, OLD)
    assert (bench.desk.pins, bench.desk.new_pins) == ([OLD], [NEW])


@pytest.mark.parametrize("profile", [Profile(), JAVACARD], ids=["2.1", "java"])
def test_the_old_pin_is_no_new_one_even_where_the_card_would_take_it(
    bench: Bench, profile: Profile
) -> None:
    card = forced_card(bench, profile)
    bench.desk.pins, bench.desk.new_pins = [OLD], [OLD]
    job = change(bench)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_POLICY
    assert card.memory.force_pin_change
    assert card.memory.pin_retries == 8


def test_a_wrong_present_pin_is_asked_for_again(bench: Bench) -> None:
    card = forced_card(bench)
    bench.desk.pins, bench.desk.new_pins = ["wrong1", OLD], [NEW, NEW]
    assert change(bench).step == "done"
    tries = [question.tries for question in bench.desk.questions if question.tries is not None]
    assert tries == [8, 7]
    assert has_pin(card, NEW)


def test_three_wrong_ones_need_a_new_tap(bench: Bench) -> None:
    card = forced_card(bench)
    bench.desk.pins, bench.desk.new_pins = ["wrong1", "wrong2", "wrong3", OLD], [NEW] * 4
    job = change(bench)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_AUTH_BLOCKED
    assert card.memory.pin_retries == 5
    bench.tap(card)
    bench.desk.pins, bench.desk.new_pins = [OLD], [NEW]
    assert bench.finish(bench.server.send(FakeJob("change_pin"))).step == "done"


def test_the_checklist_asks_for_what_card_and_server_ask(bench: Bench) -> None:
    card = bench.tap(SoftwareCard(Profile(pin="12345678")))
    card.memory.min_pin_length = 8
    bench.desk.pins, bench.desk.new_pins = ["12345678"], ["short1!"]
    job = change(bench)
    rules = bench.desk.questions[-1].rules
    assert rules is not None
    assert rules.min_length == 8
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_POLICY


def test_a_card_without_a_pin_has_none_to_change(bench: Bench) -> None:
    bench.tap(SoftwareCard())
    job = change(bench)
    assert job.fault is not None
    assert (job.fault["fault"], job.fault["detail"]) == (Fault.UNSUPPORTED, "the card has no PIN")


def test_a_headless_station_says_why_it_cannot(bench: Bench) -> None:
    forced_card(bench)
    bench.desk.attended, bench.desk.agrees = False, False
    job = change(bench)
    assert job.fault is not None
    assert (job.fault["fault"], job.fault["detail"]) == (
        Fault.CANCELLED_AT_DESK,
        "nobody can type a PIN at this station",
    )


def test_a_card_pulled_in_the_change_keeps_one_of_the_two_pins(bench: Bench) -> None:
    card = forced_card(bench)
    bench.desk.pins, bench.desk.new_pins = [OLD], [NEW]
    bench.desk.on_question = lambda question: (
        bench.reader.remove() if question.rules is not None else None
    )
    job = change(bench)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CARD_REMOVED
    assert has_pin(card, OLD) or has_pin(card, NEW)
