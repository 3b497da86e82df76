# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Many cards in a row: who comes when, and what becomes of each turn."""

from __future__ import annotations

import pytest

from provisioning import directory, keys
from provisioning.audit import CLI, Actor, Event
from provisioning.clock import now_ms
from provisioning.desks import batches, jobs, orders, turns
from provisioning.desks.jobs import Op
from provisioning.errors import InvalidValue, Taken, WrongState
from provisioning.issuing import assignment
from provisioning.lifecycle import BatchState, JobState, JobStep, KeyKind, KeyState, TurnState
from provisioning.models import (
    AuditEvent,
    Batch,
    BatchItem,
    Job,
    OutboxMail,
    PanelAccount,
    SecurityKey,
    Station,
    User,
)
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import people

NAMES = ("ada", "bob", "cy", "dee")


@pytest.fixture
def desk(services: Services) -> Station:
    return people.station(services)


@pytest.fixture
def account(services: Services) -> PanelAccount:
    with transaction():
        return access.create_account("Grace Hopper", Role.OPERATOR, CLI)


@pytest.fixture
def batch(services: Services, account: PanelAccount) -> Batch:
    users = [people.person(name, displayName=name.title()) for name in NAMES]
    with transaction():
        return batches.make("Monday", account, users)


def running(batch: Batch, *desks: Station) -> Batch:
    with transaction():
        turns.start(batch, list(desks), CLI)
    return batch


def asks(services: Services, desk: Station, state: str = "no_card") -> BatchItem | None:
    """The station asks for work; whose turn it is there."""
    with transaction():
        turns.tend(Station.get_by_id(desk.id), state, services)
    found: BatchItem | None = BatchItem.get_or_none(
        BatchItem.station == desk, BatchItem.state == TurnState.AT_READER
    )
    return found


def finish_card(services: Services, item: BatchItem) -> None:
    """What the station's events do to a job, from tap to done."""
    with transaction():
        job = Job.get_by_id(item.job_id)
        job.state = JobState.RUNNING
        keys.register(jobs.key_of(job), people.registration(), "localhost", CLI)
        jobs.step_to(job, JobStep.DONE)
        jobs.finish(job, CLI)
        assignment.complete(job, services, CLI)
        turns.done(job)


def states(batch: Batch) -> list[str]:
    return [item.state for item in batches.items(batch)]


def break_off(item: BatchItem, fault: str) -> None:
    with transaction():
        job = Job.get_by_id(item.job_id)
        job.state = JobState.RUNNING
        jobs.interrupt(job, fault, CLI)


def test_one_after_the_other_gets_a_working_card(
    services: Services, desk: Station, batch: Batch
) -> None:
    running(batch, desk)
    for name in NAMES:
        item = asks(services, desk)
        assert item is not None
        assert item.user.user_name == name
        assert asks(services, desk) == item, "asking again begins nobody else's turn"
        finish_card(services, item)
    assert asks(services, desk) is None
    assert batches.is_over(batch)
    assert [key.state for key in SecurityKey.select()] == [KeyState.ACTIVE] * 4
    assert OutboxMail.select().where(OutboxMail.template == "pin").count() == 4


def test_many_refusals_in_a_row_let_others_write_in_between(
    services: Services, desk: Station, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "REFUSALS", 2)
    User.update(active=False).where(User.user_name != "dee").execute()
    running(batch, desk)
    for more, refused in ((True, 2), (False, 3)):
        with transaction():
            assert turns.wake(batches.get(batch.resource_id), services) is more
        assert states(batch).count(TurnState.REFUSED) == refused
    assert states(batch)[3] == TurnState.AT_READER


def test_two_stations_share_the_row(services: Services, desk: Station, batch: Batch) -> None:
    other = people.station(services, "Second desk")
    running(batch, desk, other)
    first, second = asks(services, desk), asks(services, other)
    assert first is not None
    assert second is not None
    assert (first.user.user_name, second.user.user_name) == ("ada", "bob")
    finish_card(services, first)
    third = asks(services, desk)
    assert third is not None
    assert third.user.user_name == "cy"


def test_a_station_works_for_one_batch_at_a_time(
    services: Services, desk: Station, batch: Batch, account: PanelAccount
) -> None:
    running(batch, desk)
    with transaction():
        other = batches.make("Tuesday", account, [people.person("eve")])
    with pytest.raises(Taken, match="works for the batch “Monday”"):
        running(other, desk)
    with transaction():
        turns.finish(Batch.get_by_id(batch.id), CLI)
    running(other, desk)


def test_a_batch_that_is_over_lets_go_of_its_station(
    services: Services, desk: Station, batch: Batch, account: PanelAccount
) -> None:
    running(batch, desk)
    BatchItem.update(state=TurnState.SKIPPED).execute()
    with transaction():
        other = batches.make("Tuesday", account, [people.person("eve")])
    running(other, desk)
    assert Batch.get_by_id(batch.id).state == BatchState.FINISHED


@pytest.mark.parametrize("fault", ["station_gone", "server_gone", "card_removed"])
def test_what_breaks_off_by_itself_goes_on_by_itself(
    services: Services, desk: Station, batch: Batch, fault: str
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    break_off(item, fault)
    assert asks(services, desk, "card") == item
    assert Job.get_by_id(item.job_id).state == JobState.QUEUED


def test_a_card_that_keeps_failing_has_to_leave_the_reader(
    services: Services, desk: Station, batch: Batch
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    tries = 0
    while Job.get_by_id(item.job_id).state == JobState.QUEUED and tries < 20:
        break_off(item, "card_removed")
        asks(services, desk, "card")
        tries += 1
    assert tries == 6
    asks(services, desk, "no_card")
    assert Job.get_by_id(item.job_id).state == JobState.QUEUED


@pytest.mark.parametrize("fault", ["card_taken", "tapped_twice", "pin_present", "not_fido"])
def test_a_refused_card_must_leave_the_reader_before_the_next_try(
    services: Services, desk: Station, batch: Batch, fault: str
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    break_off(item, fault)
    asks(services, desk, "card")
    assert Job.get_by_id(item.job_id).state == JobState.INTERRUPTED
    asks(services, desk, "no_card")
    assert Job.get_by_id(item.job_id).state == JobState.QUEUED
    assert BatchItem.get_by_id(item.id).note == fault


@pytest.mark.parametrize("fault", ["no_card", "cancelled_at_desk"])
def test_an_empty_desk_waits_for_somebody(
    services: Services, desk: Station, batch: Batch, fault: str
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    break_off(item, fault)
    asks(services, desk, "no_card")
    assert Job.get_by_id(item.job_id).state == JobState.INTERRUPTED
    with transaction():
        turns.retry(BatchItem.get_by_id(item.id), CLI)
    assert Job.get_by_id(item.job_id).state == JobState.QUEUED


def test_a_skipped_turn_leaves_nothing_behind(
    services: Services, desk: Station, batch: Batch
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    with transaction():
        turns.skip(item, CLI)
    assert SecurityKey.get().state == KeyState.REVOKED
    assert Job.get().state == JobState.CANCELLED
    after = asks(services, desk)
    assert after is not None
    assert after.user.user_name == "bob"
    with transaction():
        turns.retry(BatchItem.get_by_id(item.id), CLI)
    finish_card(services, after)
    again = asks(services, desk)
    assert again is not None
    assert again.user.user_name == "ada", "an earlier place comes first"


@pytest.mark.req("R20")
def test_a_card_that_was_written_for_a_skipped_turn_needs_a_reset(
    services: Services, desk: Station, batch: Batch
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    with transaction():
        job = Job.get_by_id(item.job_id)
        jobs.tell(job, pin_setting=True)
        turns.skip(BatchItem.get_by_id(item.id), CLI)
    assert SecurityKey.get().state == KeyState.NEEDS_RESET


def test_a_key_that_waited_before_the_batch_stays_with_its_person(
    services: Services, desk: Station, batch: Batch
) -> None:
    ada = User.get(User.user_name == "ada")
    waiting = people.pending_key(ada)
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    assert item.key == waiting, "the card becomes the key that was assigned already"
    with transaction():
        turns.skip(item, CLI)
    assert people.again(waiting).state == KeyState.PENDING


def test_a_key_that_somebody_assigned_meanwhile_is_not_the_turns_own(
    services: Services, desk: Station, batch: Batch
) -> None:
    ada = User.get(User.user_name == "ada")
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "By hand", "admin", user=ada, actor=CLI)
        keys.assign(key, ada, CLI)
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    assert item.key == key
    with transaction():
        turns.skip(item, CLI)
    assert people.again(key).state == KeyState.PENDING


def test_a_finished_card_is_taken_back(services: Services, desk: Station, batch: Batch) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    finish_card(services, item)
    with transaction():
        turns.undo(BatchItem.get_by_id(item.id), CLI, services)
    key = SecurityKey.get()
    assert key.state == KeyState.REVOKED
    assert OutboxMail.get(OutboxMail.template == "key_revoked").recipient == "ada@example.org"
    assert OutboxMail.get(OutboxMail.template == "pin").state == "cancelled"
    for told in (Event.PIN_CANCELLED, Event.BATCH_UNDONE):
        assert AuditEvent.select().where(AuditEvent.event == told).exists()
    again = asks(services, desk)
    assert again is not None
    assert again.user.user_name == "ada"
    assert again.key != key
    with pytest.raises(WrongState):
        turns.undo(again, CLI, services)


@pytest.mark.req("R25")
@pytest.mark.parametrize("closed", ["finished", "its hour is over", "who opened it may no longer"])
def test_no_card_is_taken_back_once_its_batch_is_closed(
    services: Services, desk: Station, batch: Batch, account: PanelAccount, closed: str
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    finish_card(services, item)
    with transaction():
        if closed == "finished":
            turns.finish(batch, CLI)
        elif closed == "its hour is over":
            Batch.update(open_until=1).execute()
        else:
            PanelAccount.update(state="suspended").execute()
    with pytest.raises(WrongState, match="revoke the key on its person's page"), transaction():
        turns.undo(BatchItem.get_by_id(item.id), CLI, services)
    assert SecurityKey.get().state == KeyState.ACTIVE


def test_whom_a_policy_or_the_directory_refuses_is_passed_over_with_the_reason(
    services: Services, desk: Station, batch: Batch
) -> None:
    User.update(active=False).where(User.user_name == "ada").execute()
    User.update(email=None).where(User.user_name == "bob").execute()
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    assert item.user.user_name == "cy"
    ada, bob, *_ = batches.items(batch)
    assert (ada.state, ada.note) == (TurnState.REFUSED, "This person is suspended.")
    assert "no e-mail address" in bob.note
    assert SecurityKey.select().where(SecurityKey.state == KeyState.PENDING).count() == 1


@pytest.mark.req("R25")
def test_nobody_gets_their_own_card_in_their_own_batch(
    services: Services, desk: Station, batch: Batch, account: PanelAccount
) -> None:
    account.user = User.get(User.user_name == "ada")
    account.save()
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    assert item.user.user_name == "bob"
    assert "Nobody activates a key for themselves" in batches.items(batch)[0].note


def test_after_an_hour_somebody_has_to_open_it_again(
    services: Services, desk: Station, batch: Batch, account: PanelAccount
) -> None:
    running(batch, desk)
    Batch.update(open_until=now_ms() - 1).execute()
    assert asks(services, desk) is None
    with transaction():
        turns.reopen(Batch.get(), account, CLI)
    assert asks(services, desk) is not None


def test_a_batch_of_somebody_who_was_suspended_begins_no_turn(
    services: Services, desk: Station, batch: Batch
) -> None:
    running(batch, desk)
    PanelAccount.update(state="suspended").execute()
    assert asks(services, desk) is None


def test_a_pause_begins_no_turn_and_ends_none(
    services: Services, desk: Station, batch: Batch, account: PanelAccount
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    with transaction():
        turns.pause(Batch.get(), CLI)
    assert Job.get_by_id(item.job_id).state == JobState.QUEUED
    finish_card(services, item)
    assert asks(services, desk) is None
    with transaction():
        turns.reopen(Batch.get(), account, CLI)
    assert asks(services, desk) is not None


def test_a_job_that_somebody_cancelled_elsewhere_ends_the_turn(
    services: Services, desk: Station, batch: Batch
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    with transaction():
        jobs.cancel(Job.get_by_id(item.job_id), CLI)
    after = asks(services, desk)
    assert after is not None
    assert after.user.user_name == "bob"
    assert states(batch)[0] == TurnState.SKIPPED


def test_the_order_is_whose_it_is(services: Services, batch: Batch) -> None:
    dee = batches.items(batch)[3]
    with transaction():
        batches.move(dee, -2)
    assert [item.user.user_name for item in batches.items(batch)] == ["ada", "dee", "bob", "cy"]
    with transaction():
        batches.move(BatchItem.get_by_id(dee.id), 99)
    assert batches.items(batch)[-1] == dee
    with transaction():
        batches.remove(dee)
    assert len(batches.items(batch)) == 3


def test_nobody_is_in_a_batch_twice(services: Services, batch: Batch) -> None:
    ada = User.get(User.user_name == "ada")
    with transaction():
        assert batches.add(batch, [ada, ada, people_of("eve")]) == 1
    assert len(batches.items(batch)) == 5


def people_of(name: str) -> User:
    return directory.create_user(people.document(name), connection=None, actor=CLI)


def test_what_cannot_begin_says_why(services: Services, account: PanelAccount) -> None:
    with pytest.raises(InvalidValue, match="1 to 64"), transaction():
        batches.make(" ", account, [])
    with transaction():
        empty = batches.make("Empty", account, [])
    with pytest.raises(InvalidValue, match="Choose people first"), transaction():
        turns.start(empty, [], CLI)
    with transaction():
        batches.add(empty, [people_of("eve")])
    with pytest.raises(InvalidValue, match="at least one reader"), transaction():
        turns.start(empty, [], CLI)


def test_a_persons_own_reader_serves_no_batch(
    services: Services, desk: Station, batch: Batch
) -> None:
    Station.update(user=User.get()).execute()
    with pytest.raises(InvalidValue, match="somebody's own"), transaction():
        turns.start(batch, [Station.get()], CLI)


class TestOutOfOrder:
    def card_of(self, services: Services, desk: Station, batch: Batch) -> BatchItem:
        item = asks(services, desk)
        assert item is not None
        SecurityKey.update(uid_hash="a card's").where(SecurityKey.id == item.key_id).execute()
        return item

    def test_a_card_tapped_twice_is_known_by_its_key_or_its_uid(
        self, services: Services, desk: Station, batch: Batch
    ) -> None:
        running(batch, desk)
        first = self.card_of(services, desk, batch)
        finish_card(services, first)
        second = asks(services, desk)
        assert second is not None
        job = Job.get_by_id(second.job_id)
        key = SecurityKey.get_by_id(first.key_id)
        assert turns.taken_from(job, [key], None) == "tapped_twice"
        assert turns.taken_from(job, [], "a card's") == "tapped_twice"
        assert turns.taken_from(job, [], "another's") is None
        assert turns.taken_from(job, [], None) is None

    def test_a_card_begun_for_somebody_else_is_kept_for_them(
        self, services: Services, desk: Station, batch: Batch
    ) -> None:
        other = people.station(services, "Second desk")
        running(batch, desk, other)
        self.card_of(services, desk, batch)
        second = asks(services, other)
        assert second is not None
        job = Job.get_by_id(second.job_id)
        assert turns.taken_from(job, [], "a card's") == "out_of_order"

    def test_an_enrolment_outside_a_batch_knows_nothing_of_it(
        self, services: Services, desk: Station, batch: Batch
    ) -> None:
        key = people.pending_key(people.person("eve"))
        with transaction():
            job = orders.queue_enrolment(desk, key, services, CLI)
        assert turns.taken_from(job, [], "a card's") is None
        assert job.op == Op.ENROL


def test_the_end_counts_what_came_of_it(
    services: Services, desk: Station, batch: Batch, account: PanelAccount
) -> None:
    item = asks(services, desk) if running(batch, desk) else None
    assert item is not None
    finish_card(services, item)
    asks(services, desk)
    with transaction():
        turns.finish(Batch.get(), Actor("account", str(account.id), account.name))
    told = AuditEvent.get(AuditEvent.event == Event.BATCH_FINISHED).detail
    assert '"done":1' in told
    assert '"left":3' in told
    assert states(batch) == ["done", "skipped", "waiting", "waiting"]
    assert asks(services, desk) is None
    with pytest.raises(WrongState):
        turns.start(Batch.get(), [desk], CLI)


def test_a_refused_turn_takes_no_key_away_that_somebody_else_assigned(
    services: Services, desk: Station, batch: Batch
) -> None:
    ada = User.get(User.user_name == "ada")
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Her card", "admin", user=ada, actor=CLI)
        keys.assign(key, ada, CLI)
        orders.queue_enrolment(people.station(services, "Next room"), key, services, CLI)
    running(batch, desk)
    item = asks(services, desk)
    assert item is not None
    assert item.user.user_name == "bob"
    refused = BatchItem.get(BatchItem.user == ada)
    assert (refused.state, refused.key_id) == (TurnState.REFUSED, None)
    assert people.again(key).state == KeyState.PENDING


def test_a_refused_turn_leaves_no_key_behind(
    services: Services, desk: Station, batch: Batch
) -> None:
    ada = User.get(User.user_name == "ada")
    User.update(email=None).where(User.id == ada.id).execute()
    running(batch, desk)
    item = asks(services, desk)
    assert item is not None
    assert item.user.user_name == "bob"
    assert not SecurityKey.select().where(SecurityKey.user == ada).exists()


@pytest.mark.req("R25")
def test_a_batch_stops_when_who_opened_it_may_assign_no_more(
    services: Services, desk: Station, batch: Batch, account: PanelAccount
) -> None:
    running(batch, desk)
    PanelAccount.update(role=Role.AUDITOR).where(PanelAccount.id == account.id).execute()
    assert asks(services, desk) is None
    assert states(batch) == [TurnState.WAITING] * 4
