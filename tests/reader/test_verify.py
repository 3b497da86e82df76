# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from reader.faults import Fault
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import BADGE, CTAP_2_0, JAVACARD, Profile
from tests.reader.conftest import Bench
from tests.reader.fake_server import FakeJob

pytestmark = pytest.mark.enable_socket

PIN = "482915"


def enrolled(bench: Bench, profile: Profile, *, force_change: bool = True) -> FakeJob:
    bench.tap(SoftwareCard(profile))
    job = bench.finish(bench.server.enrol(PIN, force_change=force_change))
    assert job.step == "done"
    bench.saw("done")
    bench.desk.states.clear()
    return job


def asked(bench: Bench, key: FakeJob) -> FakeJob:
    job = FakeJob("verify", public_key=key.public_key, user="", key="")
    return bench.finish(bench.server.send(job))


@pytest.mark.parametrize("profile", [Profile(), CTAP_2_0, JAVACARD], ids=["2.1", "2.0", "java"])
def test_a_card_names_itself_for_its_tap_alone(bench: Bench, profile: Profile) -> None:
    key = enrolled(bench, profile)
    job = asked(bench, key)
    assert job.story == ["waiting", "card", "assertion"]
    assert job.signed_in
    assert bench.desk.questions == [], "nobody knows the PIN of a found card"


def test_a_card_that_must_change_its_pin_names_itself_too(bench: Bench) -> None:
    key = enrolled(bench, Profile(), force_change=True)
    assert bench.reader.card is not None
    assert bench.reader.card.memory.force_pin_change
    assert asked(bench, key).signed_in


def test_a_card_that_signs_nothing_without_its_pin_asks_for_it(bench: Bench) -> None:
    key = enrolled(bench, Profile(always_uv=True), force_change=False)
    bench.desk.pins = [PIN]
    assert asked(bench, key).signed_in
    assert len(bench.desk.questions) == 1


@pytest.mark.parametrize(
    ("card", "fault"),
    [(Profile(), Fault.NO_CREDENTIAL), (BADGE, Fault.NOT_FIDO)],
    ids=["fresh card", "plain badge"],
)
def test_a_card_that_is_no_key_here_is_told(bench: Bench, card: Profile, fault: Fault) -> None:
    bench.tap(SoftwareCard(card))
    job = bench.finish(bench.server.send(FakeJob("verify")))
    assert job.fault is not None
    assert job.fault["fault"] == fault


def test_the_desk_names_nobody(bench: Bench) -> None:
    key = enrolled(bench, Profile())
    asked(bench, key)
    shown = bench.saw("done")
    assert (shown.user, shown.key) == ("", "")
