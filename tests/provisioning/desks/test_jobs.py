# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning import keys
from provisioning.audit import CLI
from provisioning.clock import HOUR, MINUTE, SECOND
from provisioning.desks import desk_events, dispatch, jobs, orders
from provisioning.desks.faults import FAULTS
from provisioning.desks.jobs import PinMode, Wipe
from provisioning.errors import KeywrightError, WrongState
from provisioning.issuing import activations, assignment, pins
from provisioning.lifecycle import JobState, JobStep, KeyKind, KeyState, Reason
from provisioning.models import AuditEvent, Job, OutboxMail, SecurityKey, Station
from provisioning.services import Services
from provisioning.settings import PinDelivery
from provisioning.storage.db import transaction
from tests.fakes import people


@pytest.fixture
def desk(services: Services) -> Station:
    return people.station(services)


@pytest.fixture
def key(services: Services) -> SecurityKey:
    return people.pending_key(people.person())


def queued(services: Services, desk: Station, key: SecurityKey) -> Job:
    with transaction():
        return orders.queue_enrolment(desk, key, services, CLI)


def taken(services: Services, desk: Station, key: SecurityKey) -> Job:
    """A job whose ticket is out at the station."""
    job = queued(services, desk, key)
    Station.update(sealing_key=_usable_key()).where(Station.id == desk.id).execute()
    with transaction():
        assert dispatch.next_ticket(Station.get_by_id(desk.id), services) is not None
    return Job.get_by_id(job.id)


def _usable_key() -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.generate().public_key().public_bytes_raw()


def tell(services: Services, job: Job, event: str, **body: object) -> desk_events.Reply:
    with transaction():
        return desk_events.handle(Job.get_by_id(job.id), event, body, services, None)


def test_the_pin_is_sealed_before_any_card_is_touched(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    job = queued(services, desk, key)
    assert job.step == JobStep.PREPARED
    assert len(pins.unseal(services.vault, job)) == services.settings.pin_length


def test_a_station_gets_one_job_at_a_time_oldest_first(services: Services, desk: Station) -> None:
    first = taken(services, desk, people.pending_key(people.person("ada")))
    second = queued(services, desk, people.pending_key(people.person("bob"), "Card of Bob"))
    with transaction():
        assert dispatch.next_ticket(Station.get_by_id(desk.id), services) is None
        jobs.cancel(first, CLI)
        assert dispatch.next_ticket(Station.get_by_id(desk.id), services) is not None
    assert people.again(second).state == JobState.RUNNING


def test_a_key_has_one_enrolment_at_a_time(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    queued(services, desk, key)
    with pytest.raises(WrongState, match="already"), transaction():
        orders.queue_enrolment(desk, key, services, CLI)


@pytest.mark.req("R20")
def test_an_interrupted_job_goes_on_with_the_same_pin(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    job = taken(services, desk, key)
    pin = pins.unseal(services.vault, job)
    tell(services, job, "card", uid="04aa", fido=True)
    tell(services, job, "pin_setting")
    tell(services, job, "fault", fault="card_removed", step="tapped")
    assert people.again(job).state == JobState.INTERRUPTED
    assert people.again(key).state == KeyState.PENDING
    with transaction():
        again = orders.queue_enrolment(desk, key, services, CLI)
    assert again == job
    assert pins.unseal(services.vault, people.again(again)) == pin
    assert jobs.card_touched(people.again(again))


@pytest.mark.req("R20")
@pytest.mark.parametrize("event", ["pin_setting", "pin_set"])
def test_cancelling_after_the_card_was_written_says_needs_reset(
    services: Services, desk: Station, key: SecurityKey, event: str
) -> None:
    job = taken(services, desk, key)
    tell(services, job, event)
    with transaction():
        jobs.cancel(people.again(job), CLI)
    assert people.again(key).state == KeyState.NEEDS_RESET
    assert people.again(job).sealed_pin is None


def test_cancelling_before_the_card_was_written_leaves_the_key_pending(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    job = taken(services, desk, key)
    tell(services, job, "card", fido=True)
    with transaction():
        jobs.cancel(people.again(job), CLI)
    assert people.again(key).state == KeyState.PENDING


@pytest.mark.req("R20")
@pytest.mark.parametrize(
    ("event", "state"), [("waiting", KeyState.SUSPENDED), ("pin_setting", KeyState.NEEDS_RESET)]
)
def test_a_key_that_is_suspended_takes_its_job_along(
    services: Services, desk: Station, key: SecurityKey, event: str, state: KeyState
) -> None:
    job = taken(services, desk, key)
    tell(services, job, event)
    with transaction():
        jobs.suspend_key(key, Reason.LOST, CLI)
    assert key.state == state
    assert people.again(job).state == JobState.CANCELLED
    assert people.again(job).sealed_pin is None


def test_a_key_that_needs_a_reset_already_is_not_suspended_and_keeps_its_job(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    with transaction():
        keys.need_reset(key, CLI, "test")
        job = orders.queue_reset(desk, key, services, CLI, Wipe.AGAIN)
    with pytest.raises(WrongState), transaction():
        jobs.suspend_key(key, Reason.LOST, CLI)
    assert people.again(job).state == JobState.QUEUED


@pytest.mark.req("R20")
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.sampled_from(
            [
                "waiting",
                "card",
                "pin_setting",
                "pin_set",
                "change_forced",
                "done",
                "fault",
                "nonsense",
                "assertion",
            ]
        ),
        max_size=8,
    )
)
def test_no_order_of_events_makes_a_key_active_without_a_credential(
    services: Services, events: list[str]
) -> None:
    number = SecurityKey.select().count()
    desk = people.station(services, f"Desk {number}")
    key = people.pending_key(people.person(f"u{number}"))
    job = taken(services, desk, key)
    for event in events:
        try:
            tell(services, job, event, fault="card_removed", fido=True)
        except KeywrightError:
            continue
    assert people.again(key).state in (KeyState.PENDING, KeyState.NEEDS_RESET)
    assert people.again(job).state != JobState.DONE
    assert OutboxMail.select().count() == 0


def test_a_finished_card_activates_its_key_and_mails_the_pin_in_one_transaction(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    job = taken(services, desk, key)
    with transaction():
        link, _url = activations.issue(key, services, CLI)
    tell(services, job, "pin_set")
    with transaction():
        row = people.again(job)
        keys.register(key, people.registration(), "localhost", CLI)
        jobs.step_to(row, JobStep.REGISTERED)
    assert people.again(key).state == KeyState.PENDING
    tell(services, job, "change_forced", forced=True)
    tell(services, job, "done")
    assert people.again(key).state == KeyState.ACTIVE
    assert people.again(key).pin_change_forced is True
    assert people.again(job).sealed_pin is None
    assert people.again(link).state == "superseded"
    waiting = OutboxMail.select().where(OutboxMail.state == "queued")
    assert [mail.template for mail in waiting] == ["pin"]


def test_done_before_the_forced_change_is_refused(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    job = taken(services, desk, key)
    with transaction():
        row = people.again(job)
        keys.register(key, people.registration(), "localhost", CLI)
        jobs.step_to(row, JobStep.REGISTERED)
    with pytest.raises(WrongState):
        tell(services, job, "done")
    assert people.again(key).state == KeyState.PENDING


def test_a_card_that_is_somebody_elses_key_is_refused_without_a_name(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    import base64

    holder = people.active_key(people.person("bob"), "Card of Bob")
    credential = holder.credentials.get()
    known = base64.urlsafe_b64encode(bytes(credential.credential_id)).rstrip(b"=").decode()
    reply = tell(services, taken(services, desk, key), "card", fido=True, known=[known])
    assert not reply.go
    assert reply.reason == "card_taken"
    assert "bob" not in reply.message.lower()


def test_a_persons_own_other_card_is_called_already_enrolled(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    import base64

    other = people.active_key(key.user, "Old card")
    known = base64.urlsafe_b64encode(bytes(other.credentials.get().credential_id)).decode()
    reply = tell(services, taken(services, desk, key), "card", fido=True, known=[known])
    assert reply.reason == "already_enrolled"


def test_a_silent_station_interrupts_its_job(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    job = taken(services, desk, key)
    assert jobs.settle(people.again(job)).state == JobState.RUNNING
    Job.update(ticket_expires_at=job.ticket_expires_at - 121 * SECOND - 2 * MINUTE).execute()
    with transaction():
        settled = jobs.settle(people.again(job))
    assert settled.state == JobState.INTERRUPTED
    assert settled.fault == "station_gone"


def test_a_job_that_nobody_fetched_is_not_a_surprise_later(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    job = queued(services, desk, key)
    Job.update(updated_at=job.updated_at - 6 * MINUTE).execute()
    with transaction():
        assert dispatch.next_ticket(desk, services) is None
    assert people.again(job).state == JobState.INTERRUPTED


@pytest.mark.req("R19")
def test_a_pin_that_nobody_fetched_is_forgotten_after_three_days(
    services: Services, desk: Station, key: SecurityKey
) -> None:
    job = taken(services, desk, key)
    tell(services, job, "pin_setting")
    tell(services, job, "fault", fault="card_removed", step="tapped")
    with transaction():
        assert jobs.forget_old_pins() == 0
        Job.update(updated_at=job.updated_at - 73 * HOUR).execute()
        assert jobs.forget_old_pins() == 1
    assert people.again(job).sealed_pin is None
    assert people.again(key).state == KeyState.NEEDS_RESET


def test_every_fault_word_of_the_protocol_has_its_own_sentence() -> None:
    words = [
        "no_service",
        "no_reader",
        "no_card",
        "not_fido",
        "u2f_only",
        "unsupported",
        "card_removed",
        "card_swapped",
        "card_mute",
        "card_busy",
        "timeout",
        "pin_present",
        "pin_invalid",
        "pin_auth_blocked",
        "pin_blocked",
        "pin_policy",
        "pin_too_short",
        "change_pending",
        "already_enrolled",
        "card_taken",
        "storage_full",
        "no_credential",
        "reset_too_late",
        "not_allowed",
        "attestation_refused",
        "garbage",
        "refused_ticket",
        "cancelled_at_desk",
        "server_gone",
        "card_error",
    ]
    sentences = {word: str(FAULTS[word].sentence) for word in words}
    assert len(set(sentences.values())) == len(words)
    assert all(FAULTS[word].steps for word in words)


def test_a_wizards_card_becomes_active_at_confirm_and_not_before(
    services: Services, desk: Station
) -> None:
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card of Ada", "admin", user=None, actor=CLI)
    people.tapped(services, key, desk)
    assert people.again(key).state == KeyState.DRAFT
    assert OutboxMail.select().count() == 0
    user = people.person()
    with transaction():
        assignment.confirm_tapped(people.again(key), user, services, CLI)
    assert people.again(key).state == KeyState.ACTIVE
    assert OutboxMail.get().template == "pin"
    story = [line.event for line in AuditEvent.select().order_by(AuditEvent.id)]
    assert story[-3:] == ["key.assigned", "key.activated", "pin.released"]


def test_confirm_without_a_finished_card_is_refused(services: Services, desk: Station) -> None:
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card of Ada", "admin", user=None, actor=CLI)
        orders.queue_enrolment(desk, key, services, CLI)
    user = people.person()
    with pytest.raises(WrongState, match="Assign the card first"), transaction():
        assignment.confirm_tapped(key, user, services, CLI)


def test_cancelling_a_wizard_says_whether_a_card_was_written(
    services: Services, desk: Station
) -> None:
    with transaction():
        clean = keys.draft(KeyKind.CONTACTLESS_CARD, "One", "admin", user=None, actor=CLI)
        orders.queue_enrolment(desk, clean, services, CLI)
        assert assignment.release_card(clean, CLI) is False
        written = keys.draft(KeyKind.CONTACTLESS_CARD, "Two", "admin", user=None, actor=CLI)
    job = people.tapped(services, written, desk)
    with transaction():
        assert assignment.release_card(people.again(written), CLI) is True
    assert people.again(written).state == KeyState.REVOKED
    assert people.again(job).sealed_pin is None


def test_a_pin_is_revealed_once(services: Services, desk: Station) -> None:
    from dataclasses import replace

    shown_once = replace(
        services,
        settings=services.settings.model_copy(update={"pin_delivery": PinDelivery.REVEAL_ONCE}),
    )
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "admin", user=None, actor=CLI)
    job = people.tapped(services, key, desk)
    pin = pins.unseal(services.vault, job)
    with transaction():
        assignment.confirm_tapped(people.again(key), people.person(), shown_once, CLI)
    assert [mail.template for mail in OutboxMail.select()] == ["key_added"]
    with transaction():
        assert assignment.reveal_pin(people.again(job), services, CLI) == pin
    with pytest.raises(WrongState), transaction():
        assignment.reveal_pin(people.again(job), services, CLI)


def test_a_user_sets_policy_makes_no_pin(services: Services, desk: Station) -> None:
    from dataclasses import replace

    strict = replace(
        services,
        settings=services.settings.model_copy(update={"pin_delivery": PinDelivery.USER_SETS}),
    )
    job = queued(strict, desk, people.pending_key(people.person()))
    assert job.pin_mode == PinMode.OWN
    assert job.sealed_pin is None
