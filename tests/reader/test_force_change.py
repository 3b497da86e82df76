# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from reader.faults import Fault
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import CTAP_2_0, Profile
from tests.reader.conftest import Bench
from tests.reader.fake_server import FakeJob

pytestmark = pytest.mark.enable_socket

PIN = "482915"


def demand(bench: Bench, profile: Profile | None = None) -> tuple[FakeJob, SoftwareCard]:
    card = bench.tap(SoftwareCard(profile or Profile(pin=PIN)))
    return bench.finish(bench.server.send(FakeJob("force_change"))), card


def test_the_holders_pin_makes_the_card_demand_another_one(bench: Bench) -> None:
    bench.desk.pins = [PIN]
    job, card = demand(bench)
    assert job.story == ["waiting", "card", "change_forced", "done"]
    assert job.forced is True
    assert card.memory.force_pin_change
    assert PIN not in json.dumps(job.events)


def test_a_wrong_pin_is_asked_for_again(bench: Bench) -> None:
    bench.desk.pins = ["000000", PIN]
    job, card = demand(bench)
    assert job.fault is None
    assert card.memory.force_pin_change
    assert "wrong" in bench.desk.questions[-1].text


def test_a_card_that_demands_it_already_is_asked_nothing(bench: Bench) -> None:
    card = bench.tap(SoftwareCard(Profile(pin=PIN)))
    card.memory.force_pin_change = True
    job = bench.finish(bench.server.send(FakeJob("force_change")))
    assert job.forced is True
    assert bench.desk.questions == []


def test_a_card_that_cannot_is_known_before_it_is_asked(bench: Bench) -> None:
    """The server stops at the card's description; see its `no_forced_change`."""
    bench.tap(SoftwareCard(Profile(**{**CTAP_2_0.__dict__, "pin": PIN})))
    job = FakeJob("force_change", replies={"card": {"go": False, "reason": "no_forced_change"}})
    bench.finish(bench.server.send(job))
    bench.saw("cancelled")
    assert job.event("card")["can_force_change"] is False
    assert bench.desk.questions == []


@pytest.mark.req("R24")
@pytest.mark.parametrize("attended", [True, False])
def test_without_a_yes_nothing_is_demanded(bench: Bench, attended: bool) -> None:
    bench.desk.attended, bench.desk.agrees = attended, False
    job, card = demand(bench)
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CANCELLED_AT_DESK
    assert not card.memory.force_pin_change
