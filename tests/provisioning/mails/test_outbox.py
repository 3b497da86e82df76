# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from email.policy import SMTP

import pytest

from provisioning.clock import HOUR, MINUTE, SECOND, now_ms
from provisioning.errors import InvalidValue, WrongState
from provisioning.mails import alert_mails, outbox
from provisioning.mails.mail import MailPermanent, MailTemporary, MailUnreachable, Template
from provisioning.mails.outbox import MailState
from provisioning.models import OutboxMail, SecurityKey, User
from provisioning.pages import attention
from provisioning.services import Services
from provisioning.storage.db import database, transaction
from provisioning.vault import SealBroken, Vault
from tests.fakes.queries import counted, plans

PIN = "491730"
CONTEXT: dict[str, str | int | None] = {
    "organisation": "Example Hospital",
    "name": "Ada Lovelace",
    "key_name": "Card of Ada Lovelace",
    "base_url": "https://keys.example.com:8443",
    "contact": "the service desk",
}
AWAY = MailUnreachable("The mail server cannot be reached.")
LATER = MailTemporary("The mail server refused the address: 451 come back later")
NEVER = MailPermanent("The mail server refused the address: 550 no such mailbox")


@pytest.fixture(autouse=True)
def tables(services: Services) -> None:
    """Every test here has a database."""


class Clock:
    """A clock that is only moved by hand."""

    def __init__(self) -> None:
        self.now = now_ms()

    def __call__(self) -> int:
        return self.now

    def move(self, ms: int) -> int:
        self.now += ms
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(outbox, "now_ms", made)
    return made


@pytest.fixture
def queue(vault: Vault) -> Callable[..., OutboxMail]:
    def queue(template: Template = Template.PIN, **options: object) -> OutboxMail:
        given: dict[str, object] = {"secret": PIN if template is Template.PIN else None}
        given |= {"vault": vault, "context": CONTEXT} | options
        recipient = given.pop("recipient", "ada@example.com")
        return outbox.queue(template, recipient, **given)  # type: ignore[arg-type]

    return queue


def person(name: str = "ada") -> User:
    return User.create(
        resource_id=str(uuid.uuid4()), user_name=name, user_name_key=name, document="{}"
    )


def card(user: User) -> SecurityKey:
    return SecurityKey.create(
        resource_id=str(uuid.uuid4()), user=user, kind="contactless_card", name="Card",
        state="active", method="admin", user_handle=b"x" * 64,
    )  # fmt: skip


def reread(mail: OutboxMail) -> OutboxMail:
    return OutboxMail.get_by_id(mail.id)


# --- queue --------------------------------------------------------------------------------------


@pytest.mark.req("R19")
def test_a_secret_lies_sealed_and_opens_only_for_its_own_mail(
    queue: Callable[..., OutboxMail], vault: Vault
) -> None:
    first, second = queue(), queue()
    assert PIN not in "".join(str(row) for row in OutboxMail.select().tuples())
    assert PIN.encode() not in bytes(reread(first).sealed_secret)
    assert outbox.secret_of(reread(first), vault) == PIN
    second.sealed_secret = first.sealed_secret
    with pytest.raises(SealBroken):
        outbox.secret_of(second, vault)


@pytest.mark.req("R28")
def test_a_message_id_is_a_header_of_the_products_own_host_and_never_repeats(
    queue: Callable[..., OutboxMail],
) -> None:
    ids = {queue().message_id for _ in range(3)}
    assert len(ids) == 3
    for message_id in ids:
        assert message_id.endswith("@keys.example.com>")
        header = SMTP.header_factory("Message-ID", message_id)
        assert not header.defects


@pytest.mark.req("R28")
def test_a_mail_dies_with_the_change_that_caused_it(queue: Callable[..., OutboxMail]) -> None:
    with pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 - the point of it
        queue()
        1 / 0  # noqa: B018
    assert OutboxMail.select().count() == 0


@pytest.mark.req("R28")
def test_an_unsafe_address_is_refused_before_anything_is_written(
    queue: Callable[..., OutboxMail],
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        queue(recipient="ada@example.com\r\nBcc: thief@example.net")
    assert refusal.value.field == "emails"
    assert OutboxMail.select().count() == 0


def test_a_recipient_is_kept_in_its_envelope_form(queue: Callable[..., OutboxMail]) -> None:
    assert queue(recipient="Ada@BÜCHER.example").recipient == "Ada@xn--bcher-kva.example"


def test_a_context_that_a_template_cannot_use_is_refused_at_once(
    queue: Callable[..., OutboxMail],
) -> None:
    with pytest.raises(ValueError, match="serial"):
        queue(context=CONTEXT | {"serial": "04A2"})
    with pytest.raises(ValueError, match="secret missing"):
        queue(secret=None)


# --- held, released, cancelled ------------------------------------------------------------------


@pytest.mark.req("R20")
def test_a_held_mail_waits_for_its_own_keys_release(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    mine, other = card(person("ada")), card(person("grace"))
    held, not_mine = queue(key=mine, held=True), queue(key=other, held=True)
    assert outbox.claim(clock.move(HOUR)) is None
    assert outbox.release(mine) == 1
    assert outbox.release(mine) == 0
    claimed = outbox.claim(clock.now)
    assert claimed == held
    assert outbox.claim(clock.now) is None
    assert reread(not_mine).state == MailState.HELD


@pytest.mark.req("R16")
@pytest.mark.parametrize("held", [True, False])
def test_cancelling_a_persons_mails_erases_their_secrets_and_spares_everybody_elses(
    queue: Callable[..., OutboxMail], held: bool
) -> None:
    ada, grace = person("ada"), person("grace")
    mine, other = queue(user=ada, held=held), queue(user=grace, held=held)
    assert outbox.cancel(user=ada) == 1
    assert reread(mine).state == MailState.CANCELLED
    assert reread(mine).sealed_secret is None
    assert reread(other).state != MailState.CANCELLED
    assert reread(other).sealed_secret is not None
    assert outbox.cancel(user=ada) == 0


def test_cancelling_can_be_narrowed_to_a_key_and_to_templates(
    queue: Callable[..., OutboxMail],
) -> None:
    ada = person()
    first, second = card(ada), card(ada)
    pin, notice, other = (
        queue(user=ada, key=first),
        queue(Template.KEY_ADDED, user=ada, key=first),
        queue(user=ada, key=second),
    )
    assert outbox.cancel(key=first, templates=[Template.PIN]) == 1
    states = [reread(mail).state for mail in (pin, notice, other)]
    assert states == [MailState.CANCELLED, MailState.QUEUED, MailState.QUEUED]


def test_cancelling_nobodys_mails_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="whose"):
        outbox.cancel()


def test_a_mail_that_has_gone_out_stays_sent(queue: Callable[..., OutboxMail]) -> None:
    ada = person()
    queue(user=ada)
    claimed = outbox.claim(now_ms())
    assert claimed is not None
    outbox.sent(claimed)
    assert outbox.cancel(user=ada) == 0
    assert reread(claimed).state == MailState.SENT


# --- claim --------------------------------------------------------------------------------------


def test_the_mail_that_waited_longest_is_claimed_first_and_only_once(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    first = queue()
    clock.move(1)
    second = queue()
    assert outbox.claim(clock.now) == first
    assert outbox.claim(clock.now) == second
    assert outbox.claim(clock.now) is None


def test_a_lease_outlasts_a_conversation_and_then_the_mail_is_free_again(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    mail = queue()
    assert outbox.claim(clock.now) == mail
    assert outbox.claim(clock.move(outbox.LEASE)) is None
    again = outbox.claim(clock.move(1))
    assert again == mail
    assert again.attempts == 2
    assert again.message_id == mail.message_id


def test_workers_that_race_never_claim_a_mail_twice(queue: Callable[..., OutboxMail]) -> None:
    with transaction():
        for _ in range(60):
            queue()
    claimed: list[int] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        try:
            while True:
                with transaction():
                    mail = outbox.claim(now_ms())
                if mail is None:
                    return
                claimed.append(mail.id)
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 60
    assert len(set(claimed)) == 60


# --- sent, failed -------------------------------------------------------------------------------


@pytest.mark.req("R19")
def test_a_sent_mail_has_its_time_and_no_secret(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    queue()
    mail = outbox.claim(clock.now)
    assert mail is not None
    outbox.sent(mail)
    row = reread(mail)
    assert (row.state, row.sent_at, row.leased_until) == (MailState.SENT, clock.now, None)
    assert row.sealed_secret is None


def test_a_mail_that_was_cancelled_while_it_went_out_is_shown_as_sent(
    queue: Callable[..., OutboxMail],
) -> None:
    ada = person()
    queue(user=ada)
    mail = outbox.claim(now_ms())
    assert mail is not None
    assert outbox.cancel(user=ada) == 1
    outbox.sent(mail)
    assert reread(mail).state == MailState.SENT


def test_a_mail_that_was_cancelled_while_it_failed_stays_cancelled(
    queue: Callable[..., OutboxMail],
) -> None:
    ada = person()
    queue(user=ada)
    mail = outbox.claim(now_ms())
    assert mail is not None
    outbox.cancel(user=ada)
    assert outbox.failed(mail, LATER) is None
    assert reread(mail).state == MailState.CANCELLED


def test_a_worker_that_lost_its_lease_changes_nothing(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    queue()
    slow = outbox.claim(clock.now)
    quick = outbox.claim(clock.move(outbox.LEASE + 1))
    assert slow is not None
    assert slow == quick
    assert outbox.failed(slow, NEVER) is None
    assert reread(slow).leased_until == clock.now + outbox.LEASE


@pytest.mark.req("R28")
def test_each_wait_is_twice_the_last_up_to_an_hour_and_the_tenth_try_is_the_last(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    queue()
    waits = []
    for attempt in range(1, 11):
        mail = outbox.claim(clock.now)
        assert mail is not None
        assert mail.attempts == attempt
        state = outbox.failed(mail, LATER)
        assert state is (MailState.DEAD if attempt == 10 else MailState.QUEUED)
        waits.append(reread(mail).due_at - clock.now)
        assert outbox.claim(clock.move(waits[-1] - 1)) is None
        clock.move(1)
    plain = [30 * SECOND * 2**n for n in range(7)] + [HOUR] * 3
    for wait, least in zip(waits, plain, strict=True):
        assert least <= wait < least * 1.25
    row = OutboxMail.get()
    assert row.last_error == str(LATER)
    assert row.sealed_secret is not None  # so that it can be tried by hand, until 72 hours
    assert outbox.claim(clock.move(24 * HOUR)) is None


def test_waits_are_spread_so_that_no_herd_returns(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    for _ in range(20):
        queue()
        mail = outbox.claim(clock.now)
        assert mail is not None
        outbox.failed(mail, LATER)
    assert len({row.due_at for row in OutboxMail.select()}) > 10


@pytest.mark.req("R28")
def test_a_permanent_refusal_is_the_only_try(queue: Callable[..., OutboxMail]) -> None:
    queue()
    mail = outbox.claim(now_ms())
    assert mail is not None
    assert outbox.failed(mail, NEVER) is MailState.DEAD
    assert reread(mail).state == MailState.DEAD


def test_a_mail_server_that_is_away_for_two_days_loses_no_mail(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    queue()
    end, tries = clock.now + 48 * HOUR, 0
    while clock.now < end:
        mail = outbox.claim(clock.now)
        assert mail is not None
        assert outbox.failed(mail, AWAY) is MailState.QUEUED
        tries += 1
        wait = reread(mail).due_at - clock.now
        assert 30 * SECOND <= wait < 12.5 * MINUTE
        clock.move(wait)
    assert tries > 200
    mail = outbox.claim(clock.now)
    assert mail is not None
    assert mail.attempts == 1
    outbox.sent(mail)
    assert reread(mail).state == MailState.SENT


# --- 72 hours, and by hand ----------------------------------------------------------------------


@pytest.mark.req("R19")
@pytest.mark.parametrize("held", [True, False])
def test_after_72_hours_a_waiting_mail_is_dead_and_its_secret_erased(
    queue: Callable[..., OutboxMail], clock: Clock, held: bool
) -> None:
    mail = queue(held=held)
    assert outbox.expire(clock.move(72 * HOUR - 1)) == []
    assert reread(mail).sealed_secret is not None
    assert outbox.expire(clock.move(1)) == [mail]
    row = reread(mail)
    assert (row.state, row.sealed_secret) == (MailState.DEAD, None)
    assert row.last_error == "Not sent in 72 hours."
    assert outbox.expire(clock.now) == []


@pytest.mark.req("R19")
def test_the_secret_of_a_dead_mail_is_erased_after_72_hours(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    queue()
    mail = outbox.claim(clock.now)
    assert mail is not None
    outbox.failed(mail, NEVER)
    outbox.expire(clock.move(HOUR))
    assert reread(mail).sealed_secret is not None
    assert outbox.expire(clock.move(71 * HOUR)) == []
    row = reread(mail)
    assert (row.sealed_secret, row.last_error) == (None, str(NEVER))


def test_a_try_that_fails_after_72_hours_was_the_last(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    queue()
    mail = outbox.claim(clock.move(72 * HOUR))
    assert mail is not None
    assert outbox.failed(mail, AWAY) is MailState.DEAD


def test_a_dead_mail_can_be_queued_again_while_its_secret_lasts(
    queue: Callable[..., OutboxMail], clock: Clock, vault: Vault
) -> None:
    queue()
    mail = outbox.claim(clock.now)
    assert mail is not None
    with pytest.raises(WrongState):
        outbox.retry(mail)
    outbox.failed(mail, NEVER)
    outbox.retry(mail)
    again = outbox.claim(clock.now)
    assert again == mail
    assert again.attempts == 1
    assert outbox.secret_of(again, vault) == PIN
    outbox.failed(again, NEVER)
    outbox.expire(clock.move(72 * HOUR))
    with pytest.raises(WrongState, match="make a new one"):
        outbox.retry(mail)


def test_a_dead_notice_has_no_secret_to_lose_and_can_be_queued_again(
    queue: Callable[..., OutboxMail], clock: Clock
) -> None:
    queue(Template.KEY_ADDED)
    mail = outbox.claim(clock.now)
    assert mail is not None
    outbox.failed(mail, NEVER)
    outbox.retry(mail)
    assert outbox.claim(clock.now) == mail


@pytest.mark.sqlite
def test_what_waits_or_is_dead_is_found_by_an_index(services: Services) -> None:
    with counted() as statements, transaction():
        outbox.claim(now_ms())
        outbox.expire(now_ms())
        alert_mails.tell(services)
        attention.now()
    asked = [each for each in statements if '"outbox_mail"' in each]
    assert len(asked) == 6
    for plan in plans(asked):
        assert "outbox_mail_unsent_due_at" in plan
