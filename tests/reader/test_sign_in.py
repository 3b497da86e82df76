# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest

from reader.faults import Fault
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import CTAP_2_0, JAVACARD, Faults, Profile
from tests.reader.conftest import Bench
from tests.reader.fake_server import FakeJob

pytestmark = pytest.mark.enable_socket

PIN = "482915"


def enrolled(bench: Bench, profile: Profile | None = None) -> tuple[SoftwareCard, FakeJob]:
    """A card whose PIN is its holder's; it lies on the reader."""
    card = bench.tap(SoftwareCard(profile))
    job = bench.finish(bench.server.enrol(PIN, force_change=False))
    assert job.step == "done"
    bench.saw("done")
    bench.desk.states.clear()
    return card, job


@pytest.mark.parametrize("profile", [Profile(), CTAP_2_0, JAVACARD], ids=["2.1", "2.0", "java"])
def test_a_card_signs_in_with_the_pin_typed_here(bench: Bench, profile: Profile) -> None:
    _, key = enrolled(bench, profile)
    bench.desk.pins = [PIN]
    job = bench.finish(bench.server.sign_in(key))
    assert job.signed_in
    assert job.story == ["waiting", "card", "assertion"]
    assert PIN not in json.dumps(job.events)


def test_the_code_is_shown_and_asked_with(bench: Bench) -> None:
    _, key = enrolled(bench)
    bench.reader.remove()
    bench.server.sign_in(key)
    shown = bench.saw("tap")
    assert shown.code == "KX7P"
    assert "KX7P" in shown.text


def test_a_key_that_the_card_finds_by_itself_signs_in(bench: Bench) -> None:
    """No list of credentials: the card tells who its holder is."""
    _, key = enrolled(bench)
    bench.desk.pins = [PIN]
    job = FakeJob("assert", public_key=key.public_key)
    bench.finish(bench.server.send(job))
    assert job.signed_in
    assert job.event("assertion")["response"]["response"]["userHandle"]


def test_a_wrong_pin_is_asked_for_again_with_the_tries_left(bench: Bench) -> None:
    card, key = enrolled(bench)
    bench.desk.pins = ["111222", PIN]
    job = bench.finish(bench.server.sign_in(key))
    assert job.signed_in
    assert [question.tries for question in bench.desk.questions] == [8, 7]
    assert "wrong" in bench.desk.questions[1].text
    assert card.memory.pin_retries == 8


def test_the_third_wrong_pin_in_a_row_ends_the_job(bench: Bench) -> None:
    card, key = enrolled(bench)
    bench.desk.pins = ["wrong1", "wrong2", "wrong3", PIN]
    job = bench.finish(bench.server.sign_in(key))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_AUTH_BLOCKED
    assert (card.memory.pin_retries, bench.desk.pins) == (5, [PIN])


def test_a_blocked_pin_is_not_asked_for(bench: Bench) -> None:
    card, key = enrolled(bench)
    card.memory.pin_retries = 0
    job = bench.finish(bench.server.sign_in(key))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_BLOCKED
    assert bench.desk.questions == []


def test_a_card_that_must_change_its_pin_is_not_asked_for_it(bench: Bench) -> None:
    card, key = enrolled(bench)
    card.memory.force_pin_change = True
    job = bench.finish(bench.server.sign_in(key))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CHANGE_PENDING
    assert card.memory.pin_retries == 8


def test_a_card_without_the_key_is_not_asked_for_its_pin(bench: Bench) -> None:
    _, key = enrolled(bench)
    bench.tap(SoftwareCard(Profile(pin="771199")))
    job = bench.finish(bench.server.sign_in(key))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.NO_CREDENTIAL
    assert bench.desk.questions == []


def test_nobody_types_a_pin_at_a_headless_station(bench: Bench) -> None:
    _, key = enrolled(bench)
    bench.desk.attended = False
    job = bench.finish(bench.server.sign_in(key))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CANCELLED_AT_DESK
    assert "type a PIN" in job.fault["detail"]


def test_a_card_pulled_while_the_pin_is_typed_is_a_fault(bench: Bench) -> None:
    _, key = enrolled(bench)
    bench.desk.pins = [PIN]
    bench.desk.on_question = lambda question: bench.reader.remove()
    job = bench.finish(bench.server.sign_in(key))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CARD_REMOVED


def test_a_signature_that_the_server_refuses_is_told(bench: Bench) -> None:
    _, key = enrolled(bench)
    bench.desk.pins = [PIN]
    reply = {"go": False, "reason": "refused", "message": "This is not your key."}
    bench.finish(bench.server.sign_in(key, replies={"assertion": reply}))
    assert bench.saw("cancelled").text == "Stopped: This is not your key."


def test_a_page_that_gave_up_ends_the_question(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reader import job as job_module

    monkeypatch.setattr(job_module, "PULSE_SECONDS", 0.05)
    _, key = enrolled(bench)
    seen: list[bool] = []

    def wait(question: object) -> None:
        cancelled = bench.desk.questions[-1].cancelled
        for _ in range(100):
            if cancelled():
                seen.append(True)
                return
            bench.stop.wait(0.02)

    bench.desk.on_question = wait
    job = bench.server.sign_in(key)
    bench.saw("pin")
    job.replies["waiting"] = {"go": False, "reason": "cancelled"}
    bench.saw("cancelled")
    assert seen == [True]


def test_a_card_with_faults_in_its_signature_is_the_servers_to_judge(bench: Bench) -> None:
    card, key = enrolled(bench)
    card.faults = Faults(no_uv=True)
    bench.desk.pins = [PIN]
    job = bench.server.sign_in(key)
    job.replies["assertion"] = {"go": False, "reason": "refused"}
    bench.finish(job)
    assert not job.signed_in
