# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who leaves is out of the panel: the cascade's part of it, and whom it spares (R18)."""

from __future__ import annotations

from peewee import fn

from .. import audit
from ..audit import Actor, Event
from ..clock import HOUR, now_ms
from ..mails import alerts
from ..models import PanelAccount, Session, User
from ..storage.statements import Changed, Statements, parameter
from . import access
from .access import Role


def shut_out(user: User, actor: Actor, *, account: bool) -> Changed:
    """End every session of a leaver, as part of the cascade; return what tells how many.

    `account`: this one has an account for the panel: whose sessions end, too, and which is
    suspended.
    """
    now = now_ms()
    ended = _END_OF_USER.say((), (now, user.id))
    if not account:
        return ended
    of_accounts = 0
    if not _only_owner_left(user):
        accounts = PanelAccount.select(PanelAccount.id).where(PanelAccount.user == user)
        theirs = Session.account.in_(accounts), Session.ended_at.is_null()
        of_accounts = Session.update(ended_at=now).where(*theirs).execute()
    hold_account_of(user, actor)
    return lambda: ended() + of_accounts


def hold_account_of(user: User, actor: Actor) -> None:
    """Suspend the panel account of a leaver, except the last active owner (R18).

    Of a directory's word only one in an hour is taken at once: a second one may be a stolen token
    that locks everybody out. That account is kept, and owners are alerted.
    """
    for account in PanelAccount.select().where(
        PanelAccount.user == user, PanelAccount.state != "suspended"
    ):
        if _only_owner_left(user):
            audit.record(actor, Event.ACCOUNT_HELD, user=user, account=account.name)
            alerts.note(
                alerts.Kind.ACCOUNT_HELD, str(account.id), account.name, "/settings/accounts"
            )
            continue
        if actor.kind == "connection" and _another_was_suspended():
            audit.record(actor, Event.ACCOUNT_HELD, user=user, account=account.name)
            about = f"second:{account.id}:{now_ms()}"
            alerts.note(alerts.Kind.ACCOUNT_DOUBTED, about, account.name, "/settings/accounts")
            continue
        account.state = "suspended"
        account.gone_at = now_ms() if actor.kind == "connection" else None
        account.save()
        access.end_links(account)
        audit.record(actor, Event.ACCOUNT_SUSPENDED, user=user, account=account.name)


def _another_was_suspended() -> bool:
    """Say whether a directory has suspended a panel account within the hour."""
    return bool(PanelAccount.select().where(PanelAccount.gone_at >= now_ms() - HOUR).exists())


def _only_owner_left(user: User) -> bool:
    others = (
        PanelAccount.select(fn.COUNT(PanelAccount.id))
        .where(
            PanelAccount.role == Role.OWNER,
            PanelAccount.state == "active",
            PanelAccount.user.is_null() | (PanelAccount.user != user),
        )
        .scalar()
    )
    return not others


_END_OF_USER = Statements(
    lambda: Session.update(ended_at=parameter(0)).where(
        Session.user == parameter(1), Session.ended_at.is_null()
    )
)
