# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The outbox: a mail's row commits with the change that causes it; a worker sends it later (R28).

A row is claimed under a lease in one transaction, sent outside any, and marked in another. A
worker that dies after the server's 250 and before the mark lets the lease run out: the mail goes
out twice, with one and the same Message-ID, because never would be worse than twice.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterable
from enum import StrEnum, unique
from urllib.parse import urlsplit

from peewee import Expression, fn

from .. import audit
from ..audit import Actor, Event
from ..clock import HOUR, MINUTE, SECOND, now_ms
from ..errors import WrongState
from ..models import UNSENT, OutboxMail, SecurityKey, User
from ..sealing import columns
from ..storage.db import database
from ..storage.statements import Changed, Statements, parameter
from ..vault import Vault
from .addresses import check_address
from .mail import (
    NOTICES,
    WITH_SECRET,
    Context,
    MailPermanent,
    MailUnreachable,
    Template,
    check_context,
)

LEASE = 5 * MINUTE  # longer than every step of a conversation that runs into its time-out
FIRST_WAIT, LONGEST_WAIT = 30 * SECOND, HOUR
OUTAGE_WAIT = 10 * MINUTE
MAX_ATTEMPTS = 10
MAX_AGE = 72 * HOUR  # also how long a secret may lie here (R19)


@unique
class MailState(StrEnum):
    """Where a mail is. A `held` one waits for `release`; a `dead` one can be tried by hand."""

    HELD = "held"
    QUEUED = "queued"
    SENT = "sent"
    DEAD = "dead"
    CANCELLED = "cancelled"


_WAITING = (MailState.QUEUED, MailState.HELD)


def queue(
    template: Template,
    recipient: str,
    *,
    vault: Vault,
    context: Context,
    secret: str | None,
    user: User | None = None,
    key: SecurityKey | None = None,
    locale: str = "en",
    held: bool = False,
) -> OutboxMail:
    """Write a mail in the caller's transaction; see `mail.check_context` for `context`.

    `secret` is the link or the PIN and is sealed, bound to this row's Message-ID. Raises
    InvalidValue(field="emails") for an address that is not safe to send to.
    """
    check_context(template, context, secret)
    now = now_ms()
    # A Message-ID of its own that every try repeats, so that a twin can be told as one.
    message_id = f"<{uuid.uuid4()}@{urlsplit(str(context['base_url'])).hostname}>"
    sealed = (
        vault.seal(secret.encode(), bound_to=columns.MAIL.binding(message_id))
        if secret is not None
        else None
    )
    return OutboxMail.create(
        message_id=message_id,
        template=template,
        recipient=check_address(recipient),
        locale=locale,
        context=json.dumps(dict(context), ensure_ascii=False),
        sealed_secret=sealed,
        user=user,
        key=key,
        state=MailState.HELD if held else MailState.QUEUED,
        created_at=now,
        due_at=now,
    )


def release(key: SecurityKey) -> int:
    """Let a key's held mails go out (R20); return how many."""
    return int(
        OutboxMail.update(state=MailState.QUEUED, due_at=now_ms())
        .where(OutboxMail.key == key, OutboxMail.state == MailState.HELD)
        .execute()
    )


def cancel(
    *,
    user: User | int | None = None,
    key: SecurityKey | int | None = None,
    templates: Iterable[Template] | None = None,
) -> int:
    """Cancel waiting mails of a user or key and erase their secrets; return how many.

    Either is a row or its id. One that is with the mail server at this moment may still arrive;
    it is then shown as sent.
    """
    if user is None and key is None:
        raise ValueError("whose mails?")
    given = [owner for owner in (user, key) if owner is not None]
    owners = [owner if isinstance(owner, int) else owner.id for owner in given]
    kinds = tuple(templates) if templates is not None else None
    return _CANCEL.change((user is not None, key is not None, kinds), owners)


def end_for_leaver(user: User) -> Changed:
    """The same as part of the cascade, for all mails but notices."""
    return _CANCEL.say((True, False, _ENDING), (user.id,))


_ENDING = tuple(each for each in Template if each not in NOTICES)


def withdraw_pin(key: SecurityKey, actor: Actor) -> None:
    """Cancel the mail that carries a key's PIN, if it still waits, and say so in the log."""
    if cancel(key=key, templates=(Template.PIN,)):
        audit.record(actor, Event.PIN_CANCELLED, user=key.user, key=key)


def end_secrets(user: User, actor: Actor) -> None:
    """End what waits for a person at an address that is theirs no longer, and say so in the log.

    A link or a PIN never goes to the address before (T12): not by itself, nor when somebody tries
    a dead mail again.
    """
    _FORGET_DEAD.change((), (user.id,))
    if cancel(user=user, templates=(Template.PIN,)):
        audit.record(actor, Event.PIN_CANCELLED, user=user)
    cancel(user=user, templates=(Template.ACTIVATION_LINK,))


_FORGET_DEAD = Statements(
    lambda: OutboxMail.update(sealed_secret=None).where(
        OutboxMail.user == parameter(0),
        OutboxMail.state == MailState.DEAD,
        OutboxMail.sealed_secret.is_null(False),
    )
)


def _cancel(of_user: bool, of_key: bool, kinds: tuple[Template, ...] | None) -> object:
    which = OutboxMail.state << _WAITING
    if of_user:
        which &= OutboxMail.user == parameter(0)
    if of_key:
        which &= OutboxMail.key == parameter(1 if of_user else 0)
    if kinds is not None:
        which &= OutboxMail.template << list(kinds)
    return OutboxMail.update(
        state=MailState.CANCELLED, sealed_secret=None, leased_until=None
    ).where(which)


_CANCEL = Statements(_cancel)


def claim(now: int) -> OutboxMail | None:
    """Lease the mail that has been due longest, or return None. The try counts from here.

    So that a mail which kills its worker is dead one day, too.
    """
    oldest = OutboxMail.select(OutboxMail.id).where(_is_due(now)).order_by(OutboxMail.due_at)
    oldest = oldest.limit(1)
    if database.for_update:  # PostgreSQL: without SKIP LOCKED a second worker sees "none"
        oldest = oldest.for_update(True, skip_locked=True)
    claimed = (
        OutboxMail.update(leased_until=now + LEASE, attempts=OutboxMail.attempts + 1)
        .where(OutboxMail.id == oldest, _is_due(now))
        .returning(OutboxMail)
        .execute()
    )
    return next(iter(claimed), None)


def _is_due(now: int) -> Expression:
    return (
        UNSENT
        & (OutboxMail.state == MailState.QUEUED)
        & (OutboxMail.due_at <= now)
        & (OutboxMail.leased_until.is_null() | (OutboxMail.leased_until < now))
    )


def secret_of(mail: OutboxMail, vault: Vault) -> str | None:
    """Return the link or the PIN. Raises vault.SealBroken."""
    if mail.sealed_secret is None:
        return None
    return vault.unseal(
        bytes(mail.sealed_secret), bound_to=columns.MAIL.binding(mail.message_id)
    ).decode()


def sent(mail: OutboxMail) -> None:
    """The mail server has it: stamp the time, erase the secret.

    Whatever the row says by now (another worker's lease, a cancellation): it is the truth.
    """
    OutboxMail.update(
        state=MailState.SENT, sent_at=now_ms(), sealed_secret=None, leased_until=None, last_error=""
    ).where(OutboxMail.id == mail.id).execute()


def failed(mail: OutboxMail, error: Exception) -> MailState | None:
    """Put a claimed mail back for another try, or among the dead; return its state.

    None if the mail is no longer this claim's: cancelled, or leased again. The tenth try is the
    last, a permanent refusal the only one. While the mail server is away no try is counted: an
    outage ends no mail before its 72 hours.
    """
    now = now_ms()
    attempts, dead = mail.attempts, False
    if isinstance(error, MailUnreachable):
        attempts -= 1
        wait = min(max(now - mail.created_at, FIRST_WAIT), OUTAGE_WAIT)  # as long as it has been
    else:
        wait = min(FIRST_WAIT << (attempts - 1), LONGEST_WAIT)
        dead = isinstance(error, MailPermanent) or attempts >= MAX_ATTEMPTS
    state = MailState.DEAD if dead or now - mail.created_at >= MAX_AGE else MailState.QUEUED
    changed = (
        OutboxMail.update(
            state=state,
            attempts=attempts,
            due_at=now + wait + secrets.randbelow(wait // 4),  # jitter: no herd at the server
            leased_until=None,
            last_error=str(error),
        )
        .where(
            OutboxMail.id == mail.id,
            OutboxMail.state == MailState.QUEUED,
            OutboxMail.leased_until == mail.leased_until,
        )
        .execute()
    )
    return state if changed else None


def retry(mail: OutboxMail) -> None:
    """Queue a dead mail again, with ten new tries. Raises WrongState if its secret is gone.

    Its 72 hours still count from the day it was made.
    """
    which = (OutboxMail.id == mail.id) & (OutboxMail.state == MailState.DEAD)
    if mail.template in WITH_SECRET:
        which &= OutboxMail.sealed_secret.is_null(False)
    again = {"state": MailState.QUEUED, "attempts": 0, "due_at": now_ms(), "last_error": ""}
    queued = OutboxMail.update(again).where(which)
    if not queued.execute():
        raise WrongState("This mail cannot be sent again: make a new one.")


def expire(now: int) -> list[OutboxMail]:
    """End what is 72 hours old: waiting mails die, secrets are erased. Return the newly dead."""
    old = OutboxMail.created_at <= now - MAX_AGE
    died = (
        OutboxMail.update(
            state=MailState.DEAD,
            leased_until=None,
            last_error=fn.COALESCE(fn.NULLIF(OutboxMail.last_error, ""), "Not sent in 72 hours."),
        )
        .where(old, UNSENT, OutboxMail.state << _WAITING)
        .returning(OutboxMail)
        .execute()
    )
    newly_dead = list(died)
    OutboxMail.update(sealed_secret=None).where(
        old, UNSENT, OutboxMail.state == MailState.DEAD, OutboxMail.sealed_secret.is_null(False)
    ).execute()
    return newly_dead
