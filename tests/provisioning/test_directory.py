# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning import audit, directory, keys
from provisioning.audit import CLI
from provisioning.clock import HOUR
from provisioning.desks import orders
from provisioning.errors import InvalidValue, NotFound, Taken, Unauthenticated, WrongState
from provisioning.issuing import activations, assignment
from provisioning.lifecycle import JobState, KeyState, LinkState, Reason, UserStatus
from provisioning.mails import outbox
from provisioning.models import (
    Activation,
    AuditEvent,
    Challenge,
    Connection,
    Job,
    OutboxMail,
    SecurityKey,
    Session,
    User,
    UserValue,
)
from provisioning.panel import access
from provisioning.panel.access import SessionKind
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import tokens
from tests.fakes import people


@pytest.mark.req("R16")
def test_the_cascade_ends_everything_that_lets_a_person_in(services: Services) -> None:
    user = people.person()
    key = people.active_key(user)
    waiting = people.pending_key(user, "Spare card")
    mailed = people.pending_key(user, "Third card")
    desk = people.station(services)
    with transaction():
        _session, secret = access.open_session(SessionKind.USER, user=user, key=key)
        activations.issue(waiting, services, CLI)
        Challenge.create(
            binding="session:1", purpose="user.sign_in", user=user, challenge=b"c", expires_at=2**60
        )
    people.tapped(services, mailed, desk)
    with transaction():
        assignment.complete(Job.get(Job.key == mailed), services, CLI)
    people.pending_key(user, "Fourth card")
    fourth = SecurityKey.get(SecurityKey.name == "Fourth card")
    with transaction():
        orders.queue_enrolment(desk, fourth, services, CLI)

    with transaction():
        directory.replace_user(user, {**people.document(), "active": False}, actor=CLI)

    with pytest.raises(Unauthenticated):
        access.find_session(secret, SessionKind.USER)
    assert Session.select().where(Session.ended_at.is_null()).count() == 0
    assert {row.state for row in Activation.select()} == {LinkState.CANCELLED}
    assert Challenge.select().count() == 0
    mails = {(row.template, row.state) for row in OutboxMail.select()}
    assert mails == {("activation_link", "cancelled"), ("pin", "cancelled")}
    assert all(row.sealed_secret is None for row in OutboxMail.select())
    assert {row.state for row in SecurityKey.select()} == {KeyState.SUSPENDED}
    assert Job.get(Job.key == fourth).state == JobState.CANCELLED
    assert Job.get(Job.key == fourth).sealed_pin is None
    assert people.again(user).status == UserStatus.SUSPENDED
    line = AuditEvent.get(AuditEvent.event == "user.deactivated")
    assert '"keys":4' in line.detail
    assert '"sessions":1' in line.detail


@pytest.mark.req("R16")
def test_keys_of_a_leaver_are_revoked_after_the_grace_time_and_not_before(
    services: Services,
) -> None:
    user = people.person()
    key = people.active_key(user)
    with transaction():
        directory.deactivate(user, Reason.LEFT, CLI)
        assert directory.finish_leavers(24 * HOUR) == 0
    assert people.again(key).state == KeyState.SUSPENDED
    with transaction():
        User.update(left_at=1).where(User.id == user.id).execute()
        assert directory.finish_leavers(24 * HOUR) == 1
    assert people.again(key).state == KeyState.REVOKED
    assert people.again(key).reason == Reason.LEFT


@pytest.mark.req("R16")
def test_reactivation_alone_resumes_no_key(services: Services) -> None:
    user = people.person()
    key = people.active_key(user)
    with transaction():
        directory.replace_user(user, {**people.document(), "active": False}, actor=CLI)
        directory.replace_user(user, people.document(), actor=CLI)
    assert people.again(key).state == KeyState.SUSPENDED
    assert people.again(user).active
    with transaction():
        keys.resume(people.again(key), CLI)
    assert people.again(key).state == KeyState.ACTIVE
    assert people.again(user).status == UserStatus.ACTIVE


@pytest.mark.req("R26")
def test_nothing_happens_when_the_audit_row_cannot_be_written(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = people.person()
    key = people.active_key(user)

    def broken(*_args: object, **_more: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(audit, "_mac", broken)
    with pytest.raises(OSError, match="disk full"), transaction():
        directory.deactivate(user, Reason.LEFT, CLI)
    assert people.again(user).active
    assert people.again(key).state == KeyState.ACTIVE


@pytest.mark.req("R7")
@pytest.mark.parametrize(
    "twin",
    [
        "ÉMILIE",
        "ｅ́milie".replace("ｅ", "e"),
        unicodedata.normalize("NFD", "émilie"),
        " émilie ",
        "ｅmilie".replace("ｅ", "é"),
    ],
)
def test_a_user_name_that_people_cannot_tell_apart_is_taken(services: Services, twin: str) -> None:
    people.person("émilie")
    with pytest.raises(Taken) as refused, transaction():
        directory.create_user({"userName": twin, "active": True}, connection=None, actor=CLI)
    assert refused.value.field == "userName"


@pytest.mark.req("R7")
def test_full_width_and_sharp_s_twins_are_taken(services: Services) -> None:
    people.person("strasse")
    for twin in ("ｓｔｒａｓｓｅ", "straße", "STRAẞE"):
        with pytest.raises(Taken), transaction():
            directory.create_user({"userName": twin}, connection=None, actor=CLI)
    assert User.select().count() == 1


def test_the_index_says_what_is_taken_the_name_or_the_directorys_own_id(
    services: Services,
) -> None:
    with transaction():
        connection = tokens.create_connection("Entra ID", CLI)
        directory.create_user(
            {"userName": "external_id", "externalId": "7"}, connection=connection, actor=CLI
        )
    for document, field in (
        ({"userName": "EXTERNAL_ID"}, "userName"),
        ({"userName": "ada", "externalId": "7"}, "externalId"),
    ):
        with pytest.raises(Taken) as caught, transaction():
            directory.create_user(document, connection=connection, actor=CLI)
        assert caught.value.field == field


def test_a_deleted_users_name_is_free_and_the_tombstone_stays(services: Services) -> None:
    user = people.person()
    key = people.active_key(user)
    with transaction():
        directory.delete_user(user, CLI)
    with pytest.raises(NotFound):
        directory.get_user(user.resource_id)
    successor = people.person()
    assert successor.resource_id != user.resource_id
    assert people.again(key).user_id == user.id
    assert people.again(key).state == KeyState.SUSPENDED


def test_an_unchanged_document_touches_nothing(services: Services) -> None:
    user = people.person()
    lines = AuditEvent.select().count()
    with transaction():
        assert directory.replace_user(user, people.document(), actor=CLI) is False
    assert people.again(user).version == 1
    assert AuditEvent.select().count() == lines


@pytest.mark.req("R11")
def test_a_new_mail_address_kills_open_links(services: Services) -> None:
    user = people.person()
    key = people.pending_key(user)
    with transaction():
        activation, _url = activations.issue(key, services, CLI)
        moved = people.document(emails=[{"value": "ada@new.example", "primary": True}])
        directory.replace_user(user, moved, actor=CLI)
    assert people.again(activation).state == LinkState.CANCELLED
    assert people.again(user).email == "ada@new.example"
    assert [v.value for v in UserValue.select()] == ["ada@new.example"]


@pytest.mark.req("T12")
@pytest.mark.parametrize("state", ["queued", "held", "dead", "sent"])
def test_no_pin_goes_to_the_address_before(services: Services, state: str) -> None:
    user = people.person()
    key = people.pending_key(user)
    job = people.tapped(services, key, people.station(services))
    with transaction():
        assignment.complete(job, services, CLI)
    sent_at = 1 if state == "sent" else None
    OutboxMail.update(state=state, sent_at=sent_at).execute()
    with transaction():
        moved = people.document(emails=[{"value": "ada@new.example", "primary": True}])
        directory.replace_user(people.again(user), moved, actor=CLI)
    mail = OutboxMail.get(OutboxMail.template == "pin")
    assert mail.state == (state if state in ("dead", "sent") else "cancelled")
    assert state == "sent" or mail.sealed_secret is None
    if state == "dead":
        with pytest.raises(WrongState):
            outbox.retry(mail)


def test_a_pin_mail_stays_while_the_address_does(services: Services) -> None:
    user = people.person()
    key = people.pending_key(user)
    job = people.tapped(services, key, people.station(services))
    with transaction():
        assignment.complete(job, services, CLI)
        other = people.document(title="Boss", emails=[{"value": "ADA@example.org"}])
        directory.replace_user(people.again(user), other, actor=CLI)
    assert OutboxMail.get(OutboxMail.template == "pin").state == "queued"


@pytest.mark.parametrize(
    ("emails", "chosen"),
    [
        ([{"value": "a@x.org"}, {"value": "b@x.org", "primary": True}], "b@x.org"),
        ([{"value": "a@x.org", "type": "home"}, {"value": "b@x.org", "type": "work"}], "b@x.org"),
        ([{"value": "a@x.org"}, {"value": "b@x.org"}], "a@x.org"),
        ([{"value": "<evil@e.e> a@b.c"}], None),
        ([], None),
    ],
)
def test_mail_goes_to_primary_else_work_else_first(
    emails: list[dict[str, object]], chosen: str | None
) -> None:
    assert directory.mail_address({"emails": emails}) == chosen


def test_a_connection_sees_only_what_it_made(services: Services) -> None:
    mine = Connection.create(name="Entra")
    other = Connection.create(name="Okta")
    with transaction():
        user = directory.create_user(people.document(), connection=mine, actor=CLI)
    assert directory.get_user(user.resource_id, mine) == user
    for connection in (other,):
        with pytest.raises(NotFound):
            directory.get_user(user.resource_id, connection)


def test_a_user_without_a_name_is_refused(services: Services) -> None:
    for bad in ({}, {"userName": "  "}, {"userName": "x" * 257}):
        with pytest.raises(InvalidValue) as refused, transaction():
            directory.create_user(bad, connection=None, actor=CLI)
        assert refused.value.field == "userName"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(active=st.lists(st.booleans(), max_size=8))
def test_status_and_keys_follow_active_whatever_the_order(
    services: Services, active: list[bool]
) -> None:
    with transaction():
        user = directory.create_user(
            people.document(f"u{User.select().count()}"), connection=None, actor=CLI
        )
    key = people.active_key(user, "Card")
    for value in active:
        with transaction():
            directory.replace_user(
                user, {**directory.document_of(user), "active": value}, actor=CLI
            )
    ever_left = False in active
    assert people.again(key).state == (KeyState.SUSPENDED if ever_left else KeyState.ACTIVE)
    stored = people.again(user)
    assert stored.active == (active[-1] if active else True)
    assert stored.status == (UserStatus.SUSPENDED if ever_left else UserStatus.ACTIVE)


def _noise(length: int) -> str:
    """Text that no database can compress, four bytes each."""
    chance = random.Random(7)
    return "".join(chr(chance.randrange(0x20000, 0x2A6D0)) for _ in range(length))


def test_texts_of_the_greatest_length_fit_every_index(services: Services) -> None:
    with transaction():
        connection = Connection.create(name="Directory")
        user = directory.create_user(
            {
                **people.document(_noise(256)),
                "externalId": _noise(512),
                "displayName": _noise(512),
                "ims": [{"value": _noise(512), "type": _noise(300)}],
                "photos": [{"value": _noise(9_000)}],
            },
            connection=connection,
            actor=CLI,
        )
        orders.queue_pin_change_by_holder(
            people.station(services), audit.Actor("user", "1", user.display_name), binding="b"
        )
    assert User.get(User.display_name_key == _noise(512)) == user


@pytest.mark.parametrize(
    "change",
    [
        {"userName": "x" * 257},
        {"externalId": "x" * 513},
        {"displayName": "x" * 513},
        {"displayName": "\ufdfa" * 100},  # one letter, eighteen when folded
        {"ims": [{"value": "1" * 513}]},
    ],
)
def test_a_text_that_no_index_takes_is_refused_by_name(
    services: Services, change: dict[str, object]
) -> None:
    (field,) = change
    with pytest.raises(InvalidValue, match=field) as refused:
        people.person("ada", **change)
    assert str(refused.value.field).startswith(field)
    assert User.select().count() == 0


@pytest.mark.req("R16")
def test_suspending_somebody_keeps_what_a_directory_wrote_a_moment_before(
    services: Services,
) -> None:
    user = people.person()
    read = User.get_by_id(user.id)
    with transaction():
        directory.replace_user(user, {**people.document(), "title": "Nurse"}, actor=CLI)
    with transaction():
        directory.suspend(read, CLI)
    now = User.get_by_id(user.id)
    assert (directory.document_of(now)["title"], now.version) == ("Nurse", 3)
    with transaction():
        directory.resume(read, CLI)
    assert directory.document_of(User.get_by_id(user.id))["active"] is True
    assert User.get_by_id(user.id).active


def test_values_that_fold_to_one_key_are_kept_apart(services: Services) -> None:
    def values() -> set[str]:
        return {row.value for row in UserValue.select()}

    def emails(*given: str) -> dict[str, object]:
        return {**people.document("ada"), "emails": [{"value": each} for each in given]}

    with transaction():
        ada = directory.create_user(
            emails("Ada@x.example", "ada@X.example", "Ada@x.example"), connection=None, actor=CLI
        )
    assert values() == {"Ada@x.example", "ada@X.example"}
    with transaction():
        directory.replace_user(ada, emails("ada@X.example", "b@x.example"), actor=CLI)
    assert values() == {"ada@X.example", "b@x.example"}
    with transaction():
        directory.replace_user(ada, emails(), actor=CLI)
    assert values() == set()
