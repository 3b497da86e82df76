# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A key's whole life: whatever is done in whatever order, what must hold holds."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning import directory, keys
from provisioning.audit import CLI, Event
from provisioning.clock import DAY, HOUR, now_ms
from provisioning.desks import jobs, orders, wipes
from provisioning.desks.jobs import Op, Wipe
from provisioning.errors import InvalidValue, KeywrightError, Unauthenticated, WrongState
from provisioning.issuing import assignment, terms
from provisioning.lifecycle import JobState, KeyKind, KeyState, Reason
from provisioning.mails import notices
from provisioning.models import (
    Activation,
    AuditEvent,
    Credential,
    Job,
    OutboxMail,
    SecurityKey,
    Station,
    User,
)
from provisioning.panel import access
from provisioning.panel.access import SessionKind
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import people


@pytest.fixture
def desk(services: Services) -> Station:
    return people.station(services)


class Life:
    """One person with keys, and the verbs that come to them; a refusal changes nothing."""

    def __init__(self, services: Services, desk: Station) -> None:
        self.services = services
        self.desk = desk
        self.user = people.person(f"u{uuid.uuid4().hex}")

    def newest(self) -> SecurityKey | None:
        mine = SecurityKey.select().where(SecurityKey.user == self.user)
        found: SecurityKey | None = mine.order_by(SecurityKey.id.desc()).first()
        return found

    def do(self, verb: str, which: int) -> None:
        self.user = User.get_by_id(self.user.id)
        mine = list(SecurityKey.select().where(SecurityKey.user == self.user))
        key = mine[which % len(mine)] if mine else None
        try:
            with transaction():
                VERBS[verb](self, key)
        except KeywrightError:
            return

    def assign(self, _key: SecurityKey | None) -> None:
        name = keys.free_name("Card", self.user)
        key = keys.draft(KeyKind.CONTACTLESS_CARD, name, "user", user=self.user, actor=CLI)
        keys.assign(key, self.user, CLI)

    def tap(self, key: SecurityKey | None) -> None:
        assert key is not None
        jobs.cancel_for_key(key, CLI)  # what a reset left queued
        job = people.tapped(self.services, key, self.desk)
        assignment.complete(job, self.services, CLI)

    def replace(self, key: SecurityKey | None) -> None:
        assert key is not None
        self.assign(None)
        new = self.newest()
        assert new is not None
        assignment.replace(new, key)

    def wipe(self, key: SecurityKey | None, purpose: Wipe, *, whole: bool = True) -> None:
        assert key is not None
        job = orders.queue_reset(self.desk, key, self.services, CLI, purpose)
        job.state = JobState.RUNNING
        wipes.begin(job, self.services, CLI)
        if whole:
            jobs.finish(job, CLI)
            wipes.end(job, self.services, CLI)

    def lend(self, key: SecurityKey | None) -> None:
        assert key is not None
        terms.set_end(key, now_ms() + HOUR, CLI)
        SecurityKey.update(ends_at=now_ms() - 1).where(SecurityKey.id == key.id).execute()


def _on_key(verb: Callable[[SecurityKey], object]) -> Callable[[Life, SecurityKey | None], None]:
    def run(_life: Life, key: SecurityKey | None) -> None:
        if key is not None:
            verb(key)

    return run


def _with_key(
    verb: Callable[[Life, SecurityKey | None], None],
) -> Callable[[Life, SecurityKey | None], None]:
    return lambda life, key: verb(life, key) if key is not None else None


VERBS: dict[str, Callable[[Life, SecurityKey | None], None]] = {
    "assign": Life.assign,
    "tap": _with_key(Life.tap),
    "activate": _on_key(lambda key: keys.activate(key, CLI)),
    "suspend": _on_key(lambda key: keys.suspend(key, Reason.ON_HOLD, CLI)),
    "lose": _on_key(lambda key: keys.suspend(key, Reason.LOST, CLI)),
    "resume": _on_key(lambda key: keys.resume(key, CLI)),
    "revoke": _on_key(lambda key: keys.revoke(key, Reason.DAMAGED, CLI)),
    "need reset": _on_key(lambda key: keys.need_reset(key, CLI, "test")),
    "reset again": _with_key(lambda life, key: life.wipe(key, Wipe.AGAIN)),
    "reset breaks off": _with_key(lambda life, key: life.wipe(key, Wipe.AGAIN, whole=False)),
    "return": _with_key(lambda life, key: life.wipe(key, Wipe.STOCK)),
    "replace": _with_key(Life.replace),
    "lend": _with_key(Life.lend),
    "end": lambda life, _key: (terms.end_due(life.services), None)[1],
    "leave": lambda life, _key: directory.deactivate(life.user, Reason.LEFT, CLI),
    "come back": lambda life, _key: directory.reactivate(life.user, CLI),
    "grace is over": lambda _life, _key: (directory.finish_leavers(-1), None)[1],
}


def check(life: Life, revoked: set[int]) -> None:
    """What holds at every moment."""
    user = User.get_by_id(life.user.id)
    mine = list(SecurityKey.select().where(SecurityKey.user == user))
    for key in mine:
        credentials = Credential.select().where(Credential.key == key).count()
        if key.state == KeyState.ACTIVE:
            assert credentials == 1, "an active key without a credential"
            assert user.active, "an active key of somebody who left"
            if key.replaces is not None:
                assert key.replaces.state == KeyState.REVOKED, "the old one works beside the new"
        if key.state == KeyState.REVOKED:
            revoked.add(key.id)
        assert key.id not in revoked or key.state == KeyState.REVOKED, "a revoked key came back"
    assert user.status == keys.status_of(user)
    waiting = Activation.select().where(Activation.user == user, Activation.state == "live")
    assert all(link.key.state == KeyState.PENDING for link in waiting), "a link without a key"


@pytest.mark.req("R16")
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(verbs=st.lists(st.tuples(st.sampled_from(sorted(VERBS)), st.integers(0, 3)), max_size=25))
def test_no_order_of_verbs_leaves_a_key_that_works_and_should_not(
    services: Services, desk: Station, verbs: list[tuple[str, int]]
) -> None:
    life = Life(services, desk)
    revoked: set[int] = set()
    # Most lives begin so; the shrinker takes it away where it is not needed.
    for verb, which in [("assign", 0), ("tap", 0), *verbs]:
        life.do(verb, which)
        check(life, revoked)


def test_the_verbs_above_reach_every_state(services: Services, desk: Station) -> None:
    """Or the property would hold for want of anything happening."""
    seen: set[str] = set()
    life = Life(services, desk)
    for verb in ("assign", "tap", "suspend", "resume", "reset breaks off", "revoke"):
        life.do(verb, 0)
        key = life.newest()
        assert key is not None
        seen.add(key.state)
    assert seen == set(KeyState) - {KeyState.DRAFT}


class TestReplacement:
    def test_the_old_key_works_until_the_new_one_does(
        self, services: Services, desk: Station
    ) -> None:
        user = people.person()
        old = people.active_key(user, "Old")
        new = people.pending_key(user, "New")
        with transaction():
            assignment.replace(new, old)
        assert people.again(old).state == KeyState.ACTIVE
        job = people.tapped(services, new, desk)
        with transaction():
            assignment.complete(job, services, CLI)
        assert people.again(new).state == KeyState.ACTIVE
        over = people.again(old)
        assert (over.state, over.reason) == (KeyState.REVOKED, Reason.SUPERSEDED)

    def test_a_new_key_that_never_works_takes_nothing_away(
        self, services: Services, desk: Station
    ) -> None:
        user = people.person()
        old = people.active_key(user, "Old")
        new = people.pending_key(user, "New")
        with transaction():
            assignment.replace(new, old)
            keys.revoke(new, Reason.CANCELLED, CLI)
        assert people.again(old).state == KeyState.ACTIVE

    def test_both_or_neither(
        self, services: Services, desk: Station, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = people.person()
        old = people.active_key(user, "Old")
        new = people.pending_key(user, "New")
        with transaction():
            assignment.replace(new, old)
        job = people.tapped(services, new, desk)

        def fail(*_: object) -> None:
            raise WrongState("the disk is full, say")

        monkeypatch.setattr(keys, "revoke", fail)
        with pytest.raises(WrongState), transaction():
            assignment.complete(job, services, CLI)
        assert people.again(old).state == KeyState.ACTIVE
        assert people.again(new).state == KeyState.PENDING

    def test_somebody_elses_key_is_not_replaced(self, services: Services) -> None:
        old = people.active_key(people.person("bob"), "Card of Bob")
        new = people.pending_key(people.person())
        with pytest.raises(WrongState):
            assignment.replace(new, old)


@pytest.mark.req("R19")
class TestPinMails:
    """A PIN that waits for the mail server goes with its key, whoever ends that."""

    @pytest.fixture
    def key(self, services: Services, desk: Station) -> SecurityKey:
        key = people.pending_key(people.person())
        job = people.tapped(services, key, desk)
        with transaction():
            assignment.complete(job, services, CLI)
        assert self.waiting(key) == [("queued", True)]
        return key

    def waiting(self, key: SecurityKey) -> list[tuple[str, bool]]:
        mails = OutboxMail.select().where(OutboxMail.key == key, OutboxMail.template == "pin")
        return [(mail.state, mail.sealed_secret is not None) for mail in mails]

    def test_a_revoked_key(self, services: Services, key: SecurityKey) -> None:
        with transaction():
            keys.revoke(key, Reason.STOLEN, CLI)
            notices.key_revoked(key, CLI, services)
        assert self.waiting(key) == [("cancelled", False)]
        told = OutboxMail.get(OutboxMail.template == "key_revoked")
        assert told.state == "queued", "its holder is told all the same"
        (row,) = AuditEvent.select().where(AuditEvent.event == Event.PIN_CANCELLED)
        assert (row.key_id, row.user_id, row.actor_kind) == (key.id, key.user_id, "cli")

    def test_a_pin_that_was_sent_is_not_told_as_cancelled(self, key: SecurityKey) -> None:
        OutboxMail.update(state="sent", sealed_secret=None).execute()
        with transaction():
            keys.revoke(key, Reason.STOLEN, CLI)
        assert self.waiting(key) == [("sent", False)]
        assert not AuditEvent.select().where(AuditEvent.event == Event.PIN_CANCELLED).exists()

    def test_a_key_whose_time_is_over(self, services: Services, key: SecurityKey) -> None:
        SecurityKey.update(ends_at=now_ms() - 1).execute()
        with transaction():
            assert terms.end_due(services) == 1
        assert self.waiting(key) == [("cancelled", False)]

    def test_a_key_that_is_replaced(
        self, services: Services, desk: Station, key: SecurityKey
    ) -> None:
        new = people.pending_key(keys.owner_of(key), "New")
        with transaction():
            assignment.replace(new, key)
        job = people.tapped(services, new, desk)
        with transaction():
            assignment.complete(job, services, CLI)
        assert self.waiting(key) == [("cancelled", False)]
        assert self.waiting(new) == [("queued", True)]


class TestTerms:
    def test_a_temporary_key_ends_by_itself(self, services: Services) -> None:
        key = people.active_key(people.person())
        with transaction():
            terms.set_end(key, now_ms() + HOUR, CLI)
            assert terms.end_due(services) == 0
        SecurityKey.update(ends_at=now_ms() - 1).execute()
        with transaction():
            assert terms.end_due(services) == 1
            assert terms.end_due(services) == 0
        over = people.again(key)
        assert (over.state, over.reason) == (KeyState.REVOKED, Reason.ENDED)
        assert [mail.template for mail in OutboxMail.select()] == ["key_revoked"]

    def test_a_key_past_its_end_opens_nothing_whether_the_worker_ran_or_not(
        self, services: Services
    ) -> None:
        key = people.active_key(people.person())
        with transaction():
            _row, secret = access.open_session(SessionKind.USER, user=key.user, key=key)
        access.find_session(secret, SessionKind.USER)
        SecurityKey.update(ends_at=now_ms() - 1).execute()
        with pytest.raises(Unauthenticated):
            access.find_session(secret, SessionKind.USER)

    def test_the_end_moves_both_ways_and_goes_away(self, services: Services) -> None:
        key = people.active_key(people.person())
        first = now_ms() + HOUR
        with transaction():
            terms.set_end(key, first, CLI)
            terms.set_end(key, first + DAY, CLI)
            terms.set_end(key, None, CLI)
        assert people.again(key).ends_at is None
        told = AuditEvent.select().where(AuditEvent.event == Event.KEY_TERM_SET)
        assert told.count() == 3

    @pytest.mark.parametrize(
        ("before", "after", "taken"),
        [(None, 5, True), (5, 4, True), (5, 5, False), (5, 6, False), (5, None, False)],
    )
    def test_time_is_taken_away_by_an_earlier_end_and_by_a_first_one(
        self, services: Services, before: int | None, after: int | None, taken: bool
    ) -> None:
        key = people.active_key(people.person())
        key.ends_at = before
        assert terms.takes_away(key, after) is taken
        waiting = people.pending_key(people.person("bob"))
        waiting.ends_at = before
        assert not terms.takes_away(waiting, after)

    def test_the_past_and_the_far_future_are_refused(self, services: Services) -> None:
        key = people.active_key(people.person())
        for ends_at in (now_ms() - 1, now_ms() + 367 * DAY):
            with pytest.raises(InvalidValue):
                terms.set_end(key, ends_at, CLI)
        assert people.again(key).ends_at is None

    def test_a_key_that_is_over_is_not_revived_by_a_new_day(self, services: Services) -> None:
        key = people.active_key(people.person())
        SecurityKey.update(ends_at=now_ms() - 1).execute()
        with pytest.raises(WrongState):
            terms.set_end(people.again(key), now_ms() + DAY, CLI)

    def test_a_day_ends_with_its_last_millisecond(self) -> None:
        end = terms.end_of(date(2026, 11, 27))
        assert datetime.fromtimestamp(end / 1000, UTC).date() == date(2026, 11, 27)
        assert datetime.fromtimestamp((end + 1) / 1000, UTC).date() == date(2026, 11, 28)

    def test_an_ending_key_takes_its_job_along(self, services: Services, desk: Station) -> None:
        key = people.pending_key(people.person())
        with transaction():
            orders.queue_enrolment(desk, key, services, CLI)
        SecurityKey.update(ends_at=now_ms() - 1).execute()
        with transaction():
            terms.end_due(services)
        assert Job.get(Job.op == Op.ENROL).state == JobState.CANCELLED


@pytest.mark.parametrize("again", [1, 2])
def test_a_suggested_name_is_numbered_while_the_other_key_lives(
    services: Services, again: int
) -> None:
    user = people.person()
    for number in range(again):
        people.active_key(user, "Card" if number == 0 else f"Card {number + 1}")
    assert keys.free_name("card", user) == f"card {again + 1}"
    assert keys.free_name("card", None) == "card"
