# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Alerts: what officers and owners hear of once, on the Overview and by mail.

A row is noted where it happens, or found by the worker (`alert_mails`). It tells of a moment and
not of a state: whether a hand is still needed, `attention` says.
"""

from __future__ import annotations

from enum import StrEnum, unique

from ..clock import DAY, now_ms
from ..models import Alert, PanelAccount, PanelCredential

SHOWN = 7 * DAY


@unique
class Kind(StrEnum):
    """What an alert is about; `templates/mail/_alert_words.txt` has its words."""

    DEPARTURES_HELD = "departures_held"
    MAIL_DEAD = "mail_dead"
    TOKEN_EXPIRING = "token_expiring"  # noqa: S105 - a kind's name
    KEY_LOCKED = "key_locked"
    ACCOUNT_HELD = "account_held"  # the last owner's
    ACCOUNT_DOUBTED = "account_doubted"  # the second one within an hour
    PANEL_KEY = "panel_key"  # one more for an account that works already


def note(kind: Kind, about: str, subject: str, path: str) -> None:
    """Note it, once for each thing that it is `about`, in the caller's transaction."""
    Alert.insert(
        kind=kind, about=about, subject=subject, path=path, created_at=now_ms()
    ).on_conflict_ignore().execute()


def note_panel_key(account: PanelAccount, credential: PanelCredential) -> None:
    """Note that a link has put one more key to an account: its holder hears of it, and officers.

    Whoever made the link could have used it, and be two people from then on (R25).
    """
    about = f"{account.id}:{credential.id}"
    note(Kind.PANEL_KEY, about, account.name, "/settings/accounts")


def holder_of(alert: Alert) -> int:
    """Return the row id of the account whose own affair an alert is, or 0."""
    return int(alert.about.partition(":")[0]) if alert.kind == Kind.PANEL_KEY else 0


def untold() -> list[Alert]:
    """Return those whose mails are still to be queued, the oldest first."""
    return list(Alert.select().where(Alert.told_at.is_null()).order_by(Alert.id).limit(50))


def recent(kind: Kind, most: int) -> list[Alert]:
    """Return those of the last seven days, the newest first."""
    since = now_ms() - SHOWN
    of_kind = Alert.select().where(Alert.created_at >= since, Alert.kind == kind)
    return list(of_kind.order_by(Alert.created_at.desc()).limit(most))


def forget_old(before: int) -> int:
    """Delete what is older, so that a thing may be told of again; return how many."""
    return int(Alert.delete().where(Alert.created_at < before).execute())
