# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The worker's part of alerts: finds what needs a hand and mails it to those who may give one."""

from __future__ import annotations

from peewee import fn

from ..clock import DAY, now_ms
from ..models import UNSENT, Alert, Connection, OutboxMail, PanelAccount, Token
from ..panel.access import Role
from ..services import Services
from ..storage.db import tuples
from ..upstream import guard
from . import alerts, languages, outbox
from .alerts import Kind
from .mail import Template
from .outbox import MailState

TOKEN_SOON = 14 * DAY
_AGAIN_AFTER = 30 * DAY
# Who hears of it: those who can do something about it, and owners of everything.
_FOR = {
    Kind.TOKEN_EXPIRING: (Role.OWNER,),
    Kind.ACCOUNT_HELD: (Role.OWNER,),
    Kind.ACCOUNT_DOUBTED: (Role.OWNER,),
}
_USUALLY = (Role.OFFICER, Role.OWNER)


def tell(services: Services) -> int:
    """Note what is new and queue its mails, in the caller's transaction; return how many mails."""
    alerts.forget_old(now_ms() - _AGAIN_AFTER)
    _find()
    queued = 0
    for alert in alerts.untold():
        alert.told_at = now_ms()
        alert.save()
        queued += _queue(alert, services)
    return queued


def expiring_tokens() -> list[tuple[str, int, int]]:
    """Return (directory, its id, end in ms) of those whose last live token ends soon."""
    now = now_ms()
    last = fn.MAX(Token.expires_at)
    rows = (
        Token.select(Connection.name, Connection.id, last)
        .join(Connection)
        .where(Token.revoked_at.is_null(), Connection.retired_at.is_null())
        .group_by(Connection.id, Connection.name)
        .having(last < now + TOKEN_SOON)
        .order_by(last)
        .limit(50)
    )
    return [(name, number, ends) for name, number, ends in tuples(rows)]


def _find() -> None:
    for held in guard.undecided():
        about, path = str(held.id), f"/departures/{held.id}"
        alerts.note(Kind.DEPARTURES_HELD, about, held.connection.name, path)
    for name, number, ends in expiring_tokens():
        alerts.note(Kind.TOKEN_EXPIRING, f"{number}:{ends}", name, f"/directories/{number}")
    dead = _new_dead_mails()
    if dead:  # one mail a day, however many died: an outage is one thing to hear of
        alerts.note(Kind.MAIL_DEAD, str(now_ms() // DAY), str(dead), "/mails")


def _new_dead_mails() -> int:
    """Count the dead of the last day; an alert that died itself is no reason for another."""
    return int(
        OutboxMail.select(fn.COUNT(OutboxMail.id))
        .where(
            UNSENT,
            OutboxMail.state == MailState.DEAD,
            OutboxMail.due_at >= now_ms() - DAY,
            OutboxMail.template != Template.ALERT,
        )
        .scalar()
    )


def _queue(alert: Alert, services: Services) -> int:
    settings = services.settings
    roles = _FOR.get(Kind(alert.kind), _USUALLY)
    people = PanelAccount.select().where(
        PanelAccount.state == "active",
        (PanelAccount.role << list(roles)) | (PanelAccount.id == alerts.holder_of(alert)),
        PanelAccount.email.is_null(False),
    )
    queued = 0
    for account in people:
        outbox.queue(
            Template.ALERT,
            str(account.email),
            vault=services.vault,
            secret=None,
            locale=languages.of_account(account, settings),
            context={
                "organisation": settings.organisation,
                "name": account.name,
                "base_url": settings.base_url,
                "contact": settings.contact,
                "alert": alert.kind,
                "subject": alert.subject,
                "path": alert.path,
            },
        )
        queued += 1
    return queued
