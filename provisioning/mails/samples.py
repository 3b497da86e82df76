# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Mails filled with sample words: what the panel previews and sends as a test."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from ..clock import MINUTE, now_ms
from ..settings import Settings
from . import mail
from .mail import Rendered, Template

_SAMPLE_PIN = "407315"


def render(template: Template, settings: Settings, locale: str) -> Rendered:
    """Return a mail as a person called Ada Lovelace would get it. Needs an app context."""
    context: dict[str, str | int | None] = {
        "organisation": settings.organisation,
        "name": "Ada Lovelace",
        "key_name": "Card of Ada Lovelace",
        "base_url": settings.base_url,
        "contact": settings.contact,
        "admin_name": "Grace Hopper",
        "timezone": "UTC",
    }
    secret = None
    if template is Template.ACTIVATION_LINK:
        context["expires"] = now_ms() + settings.link_lifetime_minutes * MINUTE
        secret = f"{settings.base_url}/activate#SAMPLE-sample-SAMPLE-sample-SAMPLE-sample"
    elif template is Template.PIN:
        secret = _SAMPLE_PIN
    elif template is Template.KEY_REVOKED:
        context["reason"] = "lost"
    elif template is Template.ALERT:
        context |= {"alert": "mail_dead", "subject": "3", "path": "/"}
    return mail.render(template, context, secret, locale, settings.accent_colour)


def message_id(settings: Settings) -> str:
    """Return a Message-ID of our own host."""
    return f"<{uuid.uuid4()}@{urlsplit(settings.base_url).hostname}>"
