# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Mails that did not arrive: what the mail server said, and another try."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import audit
from provisioning.audit import Event
from provisioning.errors import NotFound, WrongState
from provisioning.mails import outbox
from provisioning.mails.mail import WITH_SECRET, Template
from provisioning.mails.outbox import MailState
from provisioning.models import UNSENT, OutboxMail, User
from provisioning.panel.access import Role
from provisioning.storage.db import transaction

from . import web
from .settings import mail as settings_mail
from .web import panel_page

SHOWN = 100

blueprint = Blueprint("mails", __name__, url_prefix="/mails")


@blueprint.get("")
@panel_page()
def page() -> ResponseReturnValue:
    """Show those that are dead and those that wait for the mail server, the newest first."""
    names = settings_mail.described()
    return render_template(
        "panel/mails.html",
        rows=[_row(mail, names) for mail in _failing()],
        shown=SHOWN,
        overview_url=url_for("overview.overview"),
        settings_url=url_for("settings_mail.page"),
    )


@blueprint.post("/<int:mail_id>/retry")
@panel_page(Role.OPERATOR)
def retry(mail_id: int) -> ResponseReturnValue:
    """Queue a dead mail once more."""
    with transaction():
        mail = OutboxMail.get_or_none(OutboxMail.id == mail_id)
        if mail is None:
            raise NotFound(_("There is no such mail."))
        try:
            outbox.retry(mail)
        except WrongState:
            flash(
                _("This mail cannot be sent again: its secret is erased. Make a new link or card."),
                "error",
            )
            return redirect(url_for(".page"), 303)
        audit.record(
            web.actor(),
            Event.MAIL_RETRIED,
            user=mail.user,
            key=mail.key,
            template=mail.template,
            message_id=mail.message_id,
        )
    flash(_("Queued once more. It is tried within seconds."), "success")
    return redirect(url_for(".page"), 303)


def _failing() -> list[OutboxMail]:
    """Dead ones first, then those that were tried in vain; each from the index on state."""
    mails = OutboxMail.select(OutboxMail, User).left_outer_join(User)
    dead = mails.where(UNSENT, OutboxMail.state == MailState.DEAD)
    rows = list(dead.order_by(OutboxMail.due_at.desc()).limit(SHOWN))
    queued = mails.where(UNSENT, OutboxMail.state == MailState.QUEUED)
    waiting = queued.where(OutboxMail.last_error != "")
    return [*rows, *waiting.order_by(OutboxMail.due_at).limit(SHOWN - len(rows))]


def _row(mail: OutboxMail, names: dict[Template, tuple[str, str]]) -> dict[str, object]:
    dead = mail.state == MailState.DEAD
    erased = mail.template in WITH_SECRET and mail.sealed_secret is None
    user = mail.user
    return {
        "name": names[Template(mail.template)][0],
        "recipient": mail.recipient,
        "user": user.display_name if user is not None else None,
        "user_url": url_for("users.user", user_id=user.resource_id)
        if user is not None and user.deleted_at is None
        else None,
        "error": mail.last_error,
        "at": mail.created_at,
        "next_at": None if dead else mail.due_at,
        "dead": dead,
        "erased": dead and erased,
        "retry_url": url_for(".retry", mail_id=mail.id)
        if dead and not erased and web.may(Role.OPERATOR)
        else None,
    }
