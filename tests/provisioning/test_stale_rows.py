# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A row that was read before the turn to write came: what others did meanwhile stands.

A page looks a person, a key or a job up, then waits behind whoever writes just now, and that may
be the directory saying that the person has left.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provisioning import directory, keys
from provisioning.audit import CLI, Actor
from provisioning.clock import DAY, now_ms
from provisioning.desks import jobs, orders, stations
from provisioning.errors import KeywrightError, LinkDead, Unauthenticated, WrongState
from provisioning.issuing import activations, approvals, assignment, spare_keys, terms
from provisioning.lifecycle import JobState, KeyKind, KeyState, LinkState, Reason
from provisioning.models import (
    Activation,
    Job,
    OutboxMail,
    OwnerLink,
    PanelAccount,
    SecurityKey,
    Session,
    Station,
    User,
)
from provisioning.panel import access, accounts, owners
from provisioning.panel.access import Role, SessionKind
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import people

pytestmark = pytest.mark.req("R16")


@pytest.fixture
def desk(services: Services) -> Station:
    return people.station(services)


def leaves(user: User) -> None:
    """What another process does meanwhile: on a row of its own."""
    with transaction():
        directory.suspend(User.get_by_id(user.id), CLI)


def nothing_is_left(user: User) -> None:
    states = {key.state for key in SecurityKey.select().where(SecurityKey.user == user)}
    assert states <= {KeyState.SUSPENDED, KeyState.REVOKED, KeyState.NEEDS_RESET}
    assert not Session.select().where(Session.user == user, Session.ended_at.is_null()).exists()
    assert not Job.select().where(Job.user == user, Job.state.in_(jobs.OPEN)).exists()
    live = Activation.select().where(Activation.user == user, Activation.state == LinkState.LIVE)
    assert not live.exists()
    waiting = OutboxMail.select().where(OutboxMail.user == user, OutboxMail.state == "queued")
    assert not waiting.exists()


def at_home(services: Services, code: str) -> Station | None:
    return stations.pair(
        services.vault,
        code,
        name="At home",
        signing_key=b"s" * 32,
        sealing_key=b"x" * 32,
        version="0",
    )


def _rename(key: SecurityKey, _services: Services, _desk: Station) -> object:
    return keys.rename(key, "Another name", CLI)


def _lend(key: SecurityKey, _services: Services, _desk: Station) -> object:
    return terms.set_end(key, now_ms() + DAY, CLI)


def _change_pin(key: SecurityKey, _services: Services, desk: Station) -> object:
    return orders.queue_pin_change(desk, key, CLI)


def _force_change(key: SecurityKey, _services: Services, desk: Station) -> object:
    return orders.queue_forced_change(desk, key, CLI)


def _reset(key: SecurityKey, services: Services, desk: Station) -> object:
    return orders.queue_reset(desk, key, services, CLI)


def _sign_in(key: SecurityKey, _services: Services, _desk: Station) -> object:
    return access.open_session(SessionKind.USER, user=key.user, key=key)


def _add_spare(key: SecurityKey, services: Services, _desk: Station) -> object:
    assert key.user is not None
    return spare_keys.add(key.user, KeyKind.USB_KEY, "Spare", CLI, services)


def _assign(key: SecurityKey, services: Services, _desk: Station) -> object:
    assert key.user is not None
    another = keys.draft(KeyKind.USB_KEY, "Another", "user", user=key.user, actor=CLI)
    return assignment.confirm_by_user(another, key.user, services, CLI)


@pytest.mark.parametrize(
    "verb",
    [_rename, _lend, _change_pin, _force_change, _reset, _sign_in, _add_spare, _assign],
)
def test_a_page_that_read_a_working_key_before_its_holder_left_changes_nothing_about_that(
    services: Services,
    desk: Station,
    verb: Callable[[SecurityKey, Services, Station], object],
) -> None:
    user = people.person()
    key = people.active_key(user)
    read = keys.get_key(key.resource_id)
    assert read.user is not None, "its holder was looked at as well"
    leaves(user)
    try:
        with transaction():
            verb(read, services, desk)
    except KeywrightError:
        pass
    nothing_is_left(user)


def test_a_key_on_hold_is_resumed_for_nobody_who_left_meanwhile(services: Services) -> None:
    user = people.person()
    key = people.active_key(user)
    with transaction():
        keys.suspend(key, Reason.ON_HOLD, CLI)
    read = keys.get_key(key.resource_id)
    assert read.user is not None
    leaves(user)
    with pytest.raises(WrongState, match="reactivate first"), transaction():
        keys.resume(read, CLI)
    nothing_is_left(user)


def _queue(key: SecurityKey, services: Services, desk: Station) -> object:
    return orders.queue_enrolment(desk, key, services, CLI)


def _send_link(key: SecurityKey, services: Services, _desk: Station) -> object:
    return activations.issue(key, services, CLI)


def _activate(key: SecurityKey, _services: Services, _desk: Station) -> object:
    return keys.activate(key, CLI)


@pytest.mark.parametrize("verb", [_queue, _send_link, _activate])
def test_the_same_of_a_key_that_waited(
    services: Services,
    desk: Station,
    verb: Callable[[SecurityKey, Services, Station], object],
) -> None:
    user = people.person()
    key = people.pending_key(user)
    with transaction():
        keys.register(key, people.registration(), "localhost", CLI)
    read = keys.get_key(key.resource_id)
    assert read.user is not None
    leaves(user)
    with pytest.raises(WrongState), transaction():
        verb(read, services, desk)
    nothing_is_left(user)


def test_a_wizard_that_is_confirmed_a_moment_too_late_makes_no_key_work(
    services: Services, desk: Station
) -> None:
    user = people.person()
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "admin", user=None, actor=CLI)
    people.tapped(services, key, desk)
    read = User.get_by_id(user.id)
    leaves(user)
    with pytest.raises(WrongState, match="suspended or gone"), transaction():
        assignment.confirm_tapped(key, read, services, CLI)
    nothing_is_left(user)


def test_an_officer_who_agrees_a_moment_too_late_lets_no_key_work(
    services: Services, desk: Station
) -> None:
    user = people.person()
    key = people.pending_key(user)
    people.tapped(services, key, desk)
    with transaction():
        officer = access.create_account("Grace", Role.OFFICER, CLI)
        approval = approvals.ask(key, user, Actor("account", None, "Somebody"))
    read = approvals.get(approval.resource_id)
    assert (read.key.state, read.user.active) == (KeyState.PENDING, True)
    leaves(user)
    with pytest.raises(WrongState), transaction():
        assignment.approve(read, officer, services)
    nothing_is_left(user)


def test_a_job_that_was_cancelled_meanwhile_is_not_queued_again_with_its_pin(
    services: Services, desk: Station
) -> None:
    user = people.person()
    key = people.pending_key(user)
    with transaction():
        job = orders.queue_enrolment(desk, key, services, CLI)
        jobs.interrupt(job, "card_removed", CLI)
    read = jobs.get(job.resource_id)
    assert read.sealed_pin is not None
    leaves(user)
    with pytest.raises(WrongState), transaction():
        jobs.requeue(read, CLI)
    now = jobs.get(job.resource_id)
    assert (now.state, now.sealed_pin) == (JobState.CANCELLED, None)


def test_settling_a_job_that_was_cancelled_meanwhile_leaves_it(
    services: Services, desk: Station
) -> None:
    user = people.person()
    with transaction():
        job = orders.queue_enrolment(desk, people.pending_key(user), services, CLI)
    Job.update(updated_at=1).where(Job.id == job.id).execute()
    read = jobs.get(job.resource_id)
    leaves(user)
    with transaction():
        assert jobs.settle(read).state == JobState.CANCELLED


@pytest.mark.req("R11")
def test_pressing_start_does_not_revive_a_link_that_died_meanwhile(services: Services) -> None:
    user = people.person()
    key = people.pending_key(user)
    with transaction():
        _made, url = activations.issue(key, services, CLI)
    read = activations.find(url.partition("#")[2])
    with transaction():  # the address was another's: its links die (T12)
        changed = User.get_by_id(user.id)
        other = people.document(emails=[{"value": "new@example.org"}])
        directory.replace_user(changed, other, actor=CLI)
    with pytest.raises(LinkDead), transaction():
        activations.opened(read)
    assert people.again(read).state == LinkState.CANCELLED


@pytest.mark.req("R11")
def test_a_link_is_sent_for_no_key_that_waits_for_nothing(services: Services) -> None:
    key = people.active_key(people.person())
    with pytest.raises(WrongState), transaction():
        activations.issue(key, services, CLI)


def test_stepping_up_does_not_revive_a_session_that_was_ended_meanwhile(
    services: Services,
) -> None:
    with transaction():
        account = access.create_account("Grace", Role.OFFICER, CLI)
        _session, secret = access.open_session(SessionKind.PANEL, account=account)
    session = access.find_session(secret, SessionKind.PANEL)
    Session.update(ended_at=now_ms()).where(Session.id == session.id).execute()
    with transaction():
        access.stepped_up(session)
        fresh = access.renew(session)
    for cookie in (secret, fresh):
        with pytest.raises(Unauthenticated):
            access.find_session(cookie, SessionKind.PANEL)


@pytest.mark.req("R18")
def test_an_invitation_that_is_used_a_moment_too_late_opens_no_suspended_account(
    services: Services,
) -> None:
    user = people.person()
    with transaction():
        access.create_account("Owner", Role.OWNER, CLI)
        account, _token = accounts.invite("Ada", "", Role.OPERATOR, user.user_name, CLI)
    read = PanelAccount.get_by_id(account.id)
    leaves(user)
    with pytest.raises(LinkDead), transaction():
        owners._let_in(read)
    assert people.again(account).state == "suspended"


@pytest.mark.req("R18")
def test_a_leavers_invitation_is_dead_also_when_an_owner_resumes_the_account(
    services: Services,
) -> None:
    user = people.person()
    with transaction():
        owner = access.create_account("Owner", Role.OWNER, CLI)
        account, token = accounts.invite("Ada", "", Role.OPERATOR, user.user_name, CLI)
    leaves(user)
    assert OwnerLink.get(OwnerLink.account == account).used_at is not None
    with transaction():
        accounts.resume(PanelAccount.get_by_id(account.id), owner, CLI)
    with pytest.raises(LinkDead):
        access.find_owner_link(token)


@pytest.mark.req("R19")
def test_a_pin_is_shown_to_one_of_two_who_ask_at_once(services: Services, desk: Station) -> None:
    key = people.pending_key(people.person())
    job = people.tapped(services, key, desk)
    with transaction():
        keys.activate(key, CLI)
    first, second = jobs.get(job.resource_id), jobs.get(job.resource_id)
    with transaction():
        assert assignment.reveal_pin(first, services, CLI).isdigit()
    with pytest.raises(WrongState, match="shown already"), transaction():
        assignment.reveal_pin(second, services, CLI)


def test_cancelling_a_wizard_that_was_confirmed_meanwhile_takes_no_key_away(
    services: Services, desk: Station
) -> None:
    user = people.person()
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "admin", user=None, actor=CLI)
    people.tapped(services, key, desk)
    read = keys.get_key(key.resource_id)
    with transaction():
        assert assignment.confirm_tapped(key, user, services, CLI)
    with transaction():
        assignment.release_card(read, CLI)
    assert people.again(key).state == KeyState.ACTIVE


def test_renaming_a_key_writes_its_name_alone(services: Services) -> None:
    key = people.active_key(people.person())
    read = keys.get_key(key.resource_id)
    with transaction():
        keys.revoke(key, Reason.STOLEN, CLI)
    with transaction():
        keys.rename(read, "Found again", CLI)
    now = people.again(key)
    assert isinstance(now, SecurityKey)
    assert (now.state, now.reason, now.name) == (KeyState.REVOKED, Reason.STOLEN, "Found again")


def test_a_leavers_own_station_ends_with_the_grace_time_and_pairs_no_other(
    services: Services,
) -> None:
    user = people.person()
    with transaction():
        codes = [stations.make_code(services.vault, CLI, user)[1] for _ in range(2)]
        mine = at_home(services, codes[0])
    assert mine is not None
    leaves(user)
    with transaction():
        assert at_home(services, codes[1]) is None
    with transaction():
        assert directory.finish_leavers(-1) == 1
    assert people.again(mine).revoked_at is not None
