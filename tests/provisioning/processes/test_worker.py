# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
import structlog
from flask import Flask
from flask_babel import Babel
from peewee import OperationalError

from provisioning import audit
from provisioning.app import TEMPLATES
from provisioning.clock import HOUR, now_ms
from provisioning.lifecycle import LinkState
from provisioning.mails import outbox
from provisioning.mails.mail import Template
from provisioning.mails.outbox import MailState
from provisioning.models import Activation, AuditEvent, Challenge, OutboxMail, SecurityKey, User
from provisioning.processes import worker
from provisioning.processes.worker import Hook, Worker
from provisioning.services import Services
from provisioning.settings import MailTls
from provisioning.storage.db import database, transaction
from tests.fakes.smtp import Fault, Sink

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

PIN = "491730"
LINK = "http://localhost:5005/activate#Jx0u3q9bX1lH4mYt5N2vZ8pQ7rS6wE0aKcDfGhIjLkM"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def mailing(services: Services, sink: Sink) -> Services:
    settings = services.settings.model_copy(
        update={"mail_server": sink.host, "mail_port": sink.port, "mail_tls": MailTls.NONE}
    )
    return dataclasses.replace(services, settings=settings)


@pytest.fixture
def mail_app() -> Flask:
    made = Flask(__name__, template_folder=str(TEMPLATES))
    Babel(made)
    return made


@pytest.fixture
def ada(services: Services) -> User:
    return User.create(
        resource_id=str(uuid.uuid4()), user_name="ada", user_name_key="ada", document="{}"
    )


@pytest.fixture
def queue(mailing: Services, ada: User) -> Callable[..., OutboxMail]:
    def queue(template: Template = Template.PIN, **changes: str | int | None) -> OutboxMail:
        context: dict[str, str | int | None] = {
            "organisation": "Example Hospital",
            "name": "Ada Lovelace",
            "key_name": "Card of Ada Lovelace",
            "base_url": "http://localhost:5005",
            "contact": "the service desk",
            "expires": now_ms() + HOUR,
        } | changes
        if template is Template.ALERT:
            context |= {"alert": "mail_dead", "subject": "3", "path": "/mails"}
        secret = {Template.PIN: PIN, Template.ACTIVATION_LINK: LINK}.get(template)
        with transaction():
            return outbox.queue(
                template,
                "ada@example.com",
                vault=mailing.vault,
                context=context,
                secret=secret,
                user=ada,
            )

    return queue


@pytest.fixture
def made(mail_app: Flask, mailing: Services) -> Worker:
    return Worker(mail_app, mailing, interval=0.01)


def reread(mail: OutboxMail) -> OutboxMail:
    return OutboxMail.get_by_id(mail.id)


def make_due() -> None:
    """Let the waits and leases of all mails be over."""
    OutboxMail.update(due_at=0, leased_until=None).execute()


def events() -> list[str]:
    return [row.event for row in AuditEvent.select().order_by(AuditEvent.id)]


# --- mails --------------------------------------------------------------------------------------


@pytest.mark.req("R28")
def test_a_queued_mail_arrives_and_is_marked_and_audited(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink, ada: User
) -> None:
    mail = queue()
    assert made.run_once() == 1
    [got] = sink.received
    assert PIN in got.text
    assert PIN in got.html
    assert got.envelope_to == ("ada@example.com",)
    assert got.message["Message-ID"] == mail.message_id
    assert reread(mail).state == MailState.SENT
    [row] = AuditEvent.select()
    assert (row.event, row.user, row.actor_kind) == (audit.Event.MAIL_SENT, ada, "system")
    assert made.run_once() == 0
    assert len(sink.received) == 1


@pytest.mark.req("R19")
def test_after_a_send_the_pin_is_in_no_table_and_was_in_no_log(
    made: Worker, queue: Callable[..., OutboxMail]
) -> None:
    queue()
    with structlog.testing.capture_logs() as logs:
        made.run_once()
    assert PIN not in repr(logs)
    for model in (OutboxMail, AuditEvent):
        assert PIN not in repr(list(model.select().tuples()))
    assert OutboxMail.get().sealed_secret is None


@pytest.mark.parametrize("template", Template)
def test_every_kind_of_mail_goes_out(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink, template: Template
) -> None:
    queue(template)
    assert made.run_once() == 1
    assert len(sink.accepted) == 1


@pytest.mark.req("R28")
def test_a_worker_that_dies_after_the_250_sends_again_under_the_same_message_id(
    made: Worker,
    queue: Callable[..., OutboxMail],
    sink: Sink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mail = queue()
    with monkeypatch.context() as patch:
        patch.setattr(worker.outbox, "sent", _power_cut)
        with structlog.testing.capture_logs():
            made.run_once()
    assert reread(mail).state == MailState.QUEUED
    assert made.run_once() == 0  # its lease still runs
    make_due()
    assert made.run_once() == 1
    first, second = sink.accepted
    assert first.message["Message-ID"] == second.message["Message-ID"] == mail.message_id
    assert reread(mail).state == MailState.SENT


def _power_cut(*_: object) -> None:
    raise OperationalError("disk I/O error")


@pytest.mark.parametrize("fault", [Fault.ADDRESS_4XX, Fault.MAIL_4XX, Fault.DROP_AFTER_DATA])
def test_a_mail_that_fails_for_now_waits_and_does_not_hold_up_the_next(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink, fault: Fault
) -> None:
    first, second = queue(), queue()
    sink.fail(fault)
    assert made.run_once() == 2
    assert reread(first).state == MailState.QUEUED
    assert reread(first).due_at > now_ms()
    assert reread(second).state == MailState.SENT
    assert events() == ["mail.failed", "mail.sent"]
    make_due()
    made.run_once()
    assert reread(first).state == MailState.SENT


@pytest.mark.req("R28")
def test_a_mail_that_is_refused_for_good_is_dead_and_audited(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink
) -> None:
    mail = queue()
    sink.fail(Fault.MAIL_5XX)
    with structlog.testing.capture_logs() as logs:
        made.run_once()
    row = reread(mail)
    assert (row.state, row.last_error) == (
        MailState.DEAD,
        "The mail server refused the mail: 554 5.6.0",
    )
    assert events() == ["mail.dead"]
    assert PIN not in repr(logs) + AuditEvent.get().detail


def test_a_server_that_is_away_is_tried_with_one_mail_a_pass_and_audited_once(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink
) -> None:
    mails = [queue() for _ in range(3)]
    sink.stop()
    for tried in (1, 2, 3):
        assert made.run_once() == 0
        assert sum(reread(mail).last_error != "" for mail in mails) == tried
    make_due()
    for _ in range(3):
        assert made.run_once() == 0
    assert {reread(mail).attempts for mail in mails} == {0}
    assert events() == ["mail.failed"] * 3
    make_due()
    sink.start()
    assert made.run_once() == 3
    assert len(sink.accepted) == 3


def test_a_server_that_hangs_up_after_its_250_gets_the_mail_once(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink
) -> None:
    mail = queue()
    sink.fail(Fault.DROP_AFTER_250)
    made.run_once()
    make_due()
    made.run_once()
    assert reread(mail).state == MailState.SENT
    assert len(sink.received) == 1


def test_no_conversation_runs_inside_a_transaction(
    made: Worker, queue: Callable[..., OutboxMail], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue()
    inside: list[bool] = []
    monkeypatch.setattr(worker.mail, "send", lambda *_: inside.append(database.in_transaction()))
    made.run_once()
    assert inside == [False]


def test_a_link_that_expired_in_the_queue_is_not_mailed(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink
) -> None:
    mail = queue(Template.ACTIVATION_LINK, expires=now_ms() - 1)
    made.run_once()
    assert reread(mail).state == MailState.DEAD
    assert sink.received == []


def test_a_secret_that_does_not_open_makes_a_dead_mail_not_a_dead_worker(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink
) -> None:
    altered, whole = queue(), queue()
    OutboxMail.update(sealed_secret=b"\0" * 40).where(OutboxMail.id == altered.id).execute()
    assert made.run_once() == 2
    assert reread(altered).state == MailState.DEAD
    assert reread(whole).state == MailState.SENT
    assert len(sink.received) == 1


def test_a_mail_that_we_cannot_write_fails_alone_and_its_words_stay_out_of_the_log(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    render, bad = worker.mail.render, queue()

    def choke(
        template: Template, context: object, secret: str | None, locale: str, accent: str
    ) -> object:
        if locale == "xx":
            raise KeyError(f"cannot say {secret}")
        return render(template, context, secret, locale, accent)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.mail, "render", choke)
    OutboxMail.update(locale="xx").where(OutboxMail.id == bad.id).execute()
    good = queue()
    with structlog.testing.capture_logs() as logs:
        assert made.run_once() == 2
    assert reread(good).state == MailState.SENT
    row = reread(bad)
    assert (row.state, row.attempts) == (MailState.QUEUED, 1)
    assert row.last_error == "A fault in this program: KeyError."
    assert PIN not in repr(logs) + repr(list(AuditEvent.select().tuples()))
    assert any(entry.get("fault") == "KeyError" for entry in logs)


@pytest.mark.req("R26")
def test_a_sent_mail_that_cannot_be_audited_is_not_marked(
    made: Worker, queue: Callable[..., OutboxMail], monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = queue()
    monkeypatch.setattr(worker.audit, "record", _power_cut)
    with structlog.testing.capture_logs():
        made.run_once()
    assert reread(mail).state == MailState.QUEUED


# --- hooks and housekeeping ---------------------------------------------------------------------


def test_a_hook_runs_at_once_in_a_transaction_and_then_when_its_time_has_come(
    mail_app: Flask, mailing: Services
) -> None:
    ran: list[bool] = []
    hooks = [
        Hook("often", 300, lambda: ran.append(database.in_transaction())),
        Hook("seldom", HOUR, lambda: ran.append(database.in_transaction())),
    ]
    made = Worker(mail_app, mailing, hooks)
    made.run_once()
    made.run_once()
    assert ran == [True, True]
    time.sleep(0.35)
    made.run_once()
    assert ran == [True, True, True]


def test_a_hook_that_fails_undoes_its_work_and_stops_nothing_else(
    mail_app: Flask, mailing: Services, queue: Callable[..., OutboxMail], ada: User
) -> None:
    def half() -> None:
        User.update(display_name="half done").execute()
        raise OperationalError(f"cannot store {PIN}")

    ran: list[str] = []
    mail = queue()
    hooks = [Hook("half", HOUR, half), Hook("next", HOUR, lambda: ran.append("next"))]
    with structlog.testing.capture_logs() as logs:
        assert Worker(mail_app, mailing, hooks).run_once() == 1
    assert ran == ["next"]
    assert User.get_by_id(ada.id).display_name == ""
    assert reread(mail).state == MailState.SENT
    [fault] = [entry for entry in logs if entry["event"] == "worker.fault"]
    assert (fault["task"], fault["fault"]) == ("half", "OperationalError")
    assert PIN not in repr(logs)


def test_old_mails_die_in_the_log_as_well(made: Worker, queue: Callable[..., OutboxMail]) -> None:
    mail = queue()
    OutboxMail.update(created_at=now_ms() - 72 * HOUR, state=MailState.HELD).execute()
    made.run_once()
    assert reread(mail).state == MailState.DEAD
    assert events() == ["mail.dead"]


def test_the_sweep_takes_what_is_long_past_its_time_and_nothing_else(ada: User) -> None:
    now = now_ms()
    for expires_at in (now - 2 * HOUR, now + HOUR):
        Challenge.create(binding="b", purpose="p", challenge=b"c", expires_at=expires_at)
    key = SecurityKey.create(
        resource_id="k", user=ada, kind="contactless_card", name="Card", state="pending",
        method="user", user_handle=b"x" * 64,
    )  # fmt: skip
    for name, state, expires_at in (
        ("old", LinkState.LIVE, now - 2 * HOUR),
        ("used", LinkState.USED, now - 2 * HOUR),
        ("new", LinkState.LIVE, now + HOUR),
    ):
        Activation.create(
            resource_id=name, key=key, user=ada, token_hash=name.encode(), state=state,
            address="ada@example.com", expires_at=expires_at,
        )  # fmt: skip
    with transaction():
        assert worker.sweep() == 2
    assert [row.expires_at for row in Challenge.select()] == [now + HOUR]
    states = {row.resource_id: row.state for row in Activation.select()}
    assert states == {"old": LinkState.EXPIRED, "used": LinkState.USED, "new": LinkState.LIVE}


# --- the loop -----------------------------------------------------------------------------------


def test_the_loop_sends_what_comes_and_stops_when_told(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink
) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        for count in (1, 2):
            queue()
            sink.wait_for(count)
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive()
    assert OutboxMail.select().where(OutboxMail.state == MailState.SENT).count() == 2


def test_a_told_worker_begins_no_further_mail(
    made: Worker, queue: Callable[..., OutboxMail], sink: Sink
) -> None:
    queue()
    stop = threading.Event()
    stop.set()
    assert made.run_once(stop) == 0
    made.run(stop)
    assert sink.received == []


def test_the_loop_rests_longer_while_the_database_is_away_and_then_goes_on(
    mail_app: Flask,
    mailing: Services,
    queue: Callable[..., OutboxMail],
    sink: Sink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rests.append(timeout or 0)
            if len(rests) == 8:
                monkeypatch.setattr(worker.outbox, "claim", claim)
            if len(rests) == 10:
                self.set()
            return self.is_set()

    mail, claim = queue(), worker.outbox.claim
    monkeypatch.setattr(worker.outbox, "claim", _power_cut)
    with structlog.testing.capture_logs() as logs:
        Worker(mail_app, mailing, interval=1.0).run(Stop())
    assert rests == [2, 4, 8, 16, 32, 60, 60, 60, 1, 1]
    assert len(logs) == 9  # eight faults and the mail that went out at last
    assert reread(mail).state == MailState.SENT
