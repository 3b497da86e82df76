# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from enrollment.desks.tap import Links, answer, current, tap_view, version_of
from provisioning import keys
from provisioning.audit import CLI
from provisioning.clock import MINUTE, SECOND, now_ms
from provisioning.desks import jobs, orders
from provisioning.desks.faults import FAULTS, Next
from provisioning.desks.jobs import Op
from provisioning.lifecycle import JobState, JobStep, KeyKind
from provisioning.models import Job, Station
from provisioning.services import Services
from provisioning.storage.db import transaction

LINKS = Links(
    poll="/live?of=1", retry="/retry", cancel="/cancel", reset="/reset", change_pin="/change-pin"
)


@pytest.fixture(autouse=True)
def _request(app: Flask) -> Iterator[None]:
    with app.test_request_context("/"):
        yield


@pytest.fixture
def station(services: Services) -> Station:
    with transaction():
        return Station.create(
            resource_id="desk", name="Desk NFC", signing_key=b"s" * 32, sealing_key=b"x" * 32,
            last_seen_at=now_ms(), state="no_card",
        )  # fmt: skip


@pytest.fixture
def job(station: Station, services: Services) -> Job:
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "admin", user=None, actor=CLI)
        return orders.queue_enrolment(station, key, services, CLI)


def running(job: Job, *, step: JobStep = JobStep.PREPARED, **card: object) -> Job:
    job.state, job.step = JobState.RUNNING, step
    job.ticket_expires_at = now_ms() + 2 * MINUTE
    jobs.tell(job, **card)
    return job


def test_a_job_that_waits_for_a_station_says_which(job: Job) -> None:
    live = tap_view(job, LINKS)
    assert live["phase"] == "starting"
    assert "Desk NFC" in str(live["headline"])
    assert live["cancel_url"] == "/cancel"
    assert str(live["poll_url"]).startswith("/live?of=1&seen=")


def test_a_station_that_is_busy_with_another_card_is_said(
    job: Job, station: Station, services: Services
) -> None:
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Second", "admin", user=None, actor=CLI)
        second = orders.queue_enrolment(station, key, services, CLI)
    before = version_of(second)
    assert tap_view(second, LINKS)["headline"] == "Asking Desk NFC …"
    with transaction():
        jobs.save(running(job, at="waiting"))
    assert tap_view(second, LINKS)["headline"] == "Desk NFC is busy with another card"
    assert version_of(second) != before  # the page hears of it
    with transaction():
        jobs.finish(job, CLI)
    assert tap_view(second, LINKS)["headline"] == "Asking Desk NFC …"


def test_a_station_that_is_away_is_said(job: Job, station: Station) -> None:
    Station.update(last_seen_at=now_ms() - MINUTE).execute()
    live = tap_view(jobs.get(job.resource_id), LINKS)
    assert live["phase"] == "offline"
    assert live["poll_url"]


def test_the_time_to_tap_counts_down(job: Job) -> None:
    live = tap_view(running(job, at="waiting", since=now_ms() - 20 * SECOND), LINKS)
    assert live["phase"] == "waiting"
    assert live["seconds"] in (39, 40)
    assert live["total"] == 60
    late = tap_view(running(job, at="waiting", since=now_ms() - 90 * SECOND), LINKS)
    assert late["seconds"] == 0


def test_a_card_is_described(job: Job) -> None:
    told = {"at": "card", "fido": True, "client_pin": False, "model": "Test card"}
    live = tap_view(running(job, step=JobStep.TAPPED, **told), LINKS)
    assert live["phase"] == "card"
    assert live["card"] == {"model": "Test card", "fido2": True, "has_pin": False}
    assert [step["state"] for step in _steps(live)] == ["done", "current", "todo", "todo"]


@pytest.mark.parametrize(("op", "said"), [(Op.ENROL, True), (Op.ASSERT, False)])
def test_a_pin_on_a_card_is_news_only_where_a_new_card_is_wanted(
    job: Job, op: Op, said: bool
) -> None:
    job.op = op
    live = tap_view(running(job, at="card", fido=True, client_pin=True), LINKS)
    assert live["card"]["has_pin"] is said  # type: ignore[index]


def test_work_is_shown_step_by_step(job: Job) -> None:
    told = {"at": "card", "fido": True, "pin_setting": True}
    live = tap_view(running(job, step=JobStep.REGISTERED, **told), LINKS)
    assert live["phase"] == "working"
    assert [step["state"] for step in _steps(live)] == ["done", "done", "done", "current"]


def test_an_own_pin_has_no_forced_change(job: Job) -> None:
    job.pin_mode = "own"
    live = tap_view(running(job, step=JobStep.TAPPED, at="card", fido=True), LINKS)
    assert "Choose a PIN" in str(live["headline"])
    assert len(_steps(live)) == 3


def test_a_finished_job_asks_for_nothing_more(job: Job) -> None:
    running(job, at="card")
    with transaction():
        jobs.finish(job, CLI)
    live = tap_view(job, LINKS)
    assert (live["phase"], live["poll_url"], live["cancel_url"]) == ("done", None, None)
    assert {step["state"] for step in _steps(live)} == {"done"}


@pytest.mark.parametrize("word", FAULTS)
def test_every_fault_has_its_sentence_and_a_next_step(job: Job, word: str) -> None:
    running(job, at="card")
    with transaction():
        jobs.interrupt(job, word, CLI)
    live = tap_view(job, LINKS)
    assert live["phase"] == "fault"
    assert live["headline"] == str(FAULTS[word].sentence)
    assert live["poll_url"] is None
    actions = live["actions"]
    assert isinstance(actions, list)
    assert actions
    assert sum(action["tone"] == "primary" for action in actions) == 1
    unlinked = (Next.OWN_PIN, Next.KEEP_BADGE)
    advised = [step for step in FAULTS[word].steps if step not in unlinked]
    assert len(live["next"]) == len(advised)  # type: ignore[arg-type]


def test_every_fault_has_a_sentence_of_its_own() -> None:
    sentences = [str(fault.sentence) for fault in FAULTS.values()]
    assert len(set(sentences)) == len(sentences)


def test_a_page_without_reset_offers_none(job: Job) -> None:
    running(job)
    with transaction():
        jobs.interrupt(job, "pin_blocked", CLI)
    actions = tap_view(job, Links(retry="/retry"))["actions"]
    assert isinstance(actions, list)
    assert [action["url"] for action in actions] == ["/retry"]


def test_a_refusals_own_words_stand_below_the_sentence(job: Job) -> None:
    running(job, said="This model of key is not known here.")
    with transaction():
        jobs.interrupt(job, "attestation_refused", CLI)
    assert tap_view(job, LINKS)["detail"] == "This model of key is not known here."
    with transaction():
        jobs.requeue(job, CLI)
    assert "said" not in jobs.card_of(job)


def test_a_cards_words_stay_among_us_unless_nothing_else_is_known(job: Job) -> None:
    running(job, detail="CTAP 0x7f")
    with transaction():
        jobs.interrupt(job, "card_mute", CLI)
    assert tap_view(job, LINKS)["detail"] == ""
    job.fault = "card_error"
    assert tap_view(job, LINKS)["detail"] == "CTAP 0x7f"


def test_a_poll_is_answered_only_with_news(job: Job) -> None:
    running(job, at="waiting", since=now_ms())
    seen = version_of(job)
    assert answer(job, seen, LINKS).status_code == 204
    with transaction():
        jobs.tell(job, at="card", fido=True)
    assert "Card detected" in answer(job, seen, LINKS).get_data(as_text=True)


def test_a_done_job_moves_the_page_on(job: Job) -> None:
    running(job)
    with transaction():
        jobs.finish(job, CLI)
    moved = answer(job, None, LINKS, then="/next")
    assert moved.headers["HX-Redirect"] == "/next"


def test_a_station_that_went_silent_is_noticed_by_whoever_looks(job: Job) -> None:
    running(job, at="waiting")
    Job.update(ticket_expires_at=now_ms() - 2 * MINUTE).execute()
    looked = current(jobs.get(job.resource_id))
    assert (looked.state, looked.fault) == (JobState.INTERRUPTED, "station_gone")


@pytest.mark.parametrize("op", [op for op in Op if op is not Op.ENROL])
def test_each_kind_of_job_has_words_of_its_own(job: Job, op: Op) -> None:
    running(job, at="card", fido=True)
    job.op = op
    at_card = tap_view(job, LINKS)
    job.state = JobState.DONE
    done = tap_view(job, LINKS)
    assert at_card["headline"] != "Leave the card on the reader"
    assert done["headline"] != "The card is assigned"
    assert done["steps"] == []


def _steps(live: dict[str, object]) -> list[dict[str, str]]:
    steps = live["steps"]
    assert isinstance(steps, list)
    return steps
