# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What others do to the same person while a wizard is open: said, so that nobody's work is lost."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext as _

from provisioning.audit import Event
from provisioning.clock import MINUTE, now_ms
from provisioning.models import AuditEvent, PanelAccount, User, WizardDraft

from .. import timeline

_RECENT = 30 * MINUTE  # who has not touched a wizard for longer is not at it any more
_SHOWN = 5
# What would make an admin look again; jobs, links and mails of one's own wizard are no news.
_NEWS = (
    Event.USER_CHANGED,
    Event.USER_DEACTIVATED,
    Event.USER_REACTIVATED,
    Event.USER_DELETED,
    Event.KEY_ASSIGNED,
    Event.KEY_ACTIVATED,
    Event.KEY_SUSPENDED,
    Event.KEY_REVOKED,
)


@dataclass(frozen=True)
class Notice:
    """Something to say on every step: events or facts (label, value) below it, and words after."""

    tone: str
    title: str
    lines: tuple[timeline.Moment, ...] = ()
    text: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    after: str = ""


def notices(row: WizardDraft, account: PanelAccount) -> list[Notice]:
    """Return what an admin at this wizard should know about the person."""
    if row.user is None:
        return []
    gone = why_gone(row.user)
    found = []
    if gone:
        found.append(Notice("bad", gone, text=_("Nothing can be assigned. Cancel this wizard.")))
    news = since(row, account)
    if news:
        title = _("While this wizard is open, others changed this person:")
        found.append(Notice("warn", title, tuple(timeline.moment(event) for event in news)))
    found += [
        Notice(
            "info",
            _("%(who)s is assigning a key to this person, too.", who=other.account.name),
            text=_("Talk to each other: the person would end up with two keys."),
        )
        for other in _others(row, account)
    ]
    return found


def why_gone(user: User) -> str:
    """Return why nothing can be assigned to a person any more, or nothing."""
    source = user.connection.name if user.connection is not None else None
    if user.deleted_at is not None:
        if source:
            return str(_("%(source)s deleted %(name)s.", source=source, name=user.display_name))
        return str(_("%(name)s was deleted.", name=user.display_name))
    if not user.active:
        return str(_("%(name)s is suspended.", name=user.display_name))
    return ""


def latest(row: WizardDraft, account: PanelAccount) -> int:
    """Return the newest line of the log that this page shows, for Confirm to compare with."""
    news = since(row, account)
    return news[0].id if news else 0


def since(row: WizardDraft, account: PanelAccount, known: int = 0) -> list[AuditEvent]:
    """Return what others did to the person since the wizard began, past line `known`."""
    if row.user is None:
        return []
    mine = (AuditEvent.actor_kind == "account") & (AuditEvent.actor_id == str(account.id))
    rows = (
        AuditEvent.select()
        .where(
            AuditEvent.user == row.user,
            AuditEvent.id > known,
            AuditEvent.at >= row.created_at,
            AuditEvent.event.in_([event.value for event in _NEWS]),
            ~mine,
        )
        .order_by(AuditEvent.id.desc())
        .limit(_SHOWN)
    )
    return list(rows)


def _others(row: WizardDraft, account: PanelAccount) -> list[WizardDraft]:
    rows = (
        WizardDraft.select(WizardDraft, PanelAccount)
        .join(PanelAccount)
        .where(
            WizardDraft.user == row.user,
            WizardDraft.account != account,
            WizardDraft.state == "open",
            WizardDraft.updated_at > now_ms() - _RECENT,
        )
        .order_by(WizardDraft.id)
        .limit(_SHOWN)
    )
    return list(rows)
