# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A browser that is signed in to the panel, and the card that is tapped for its wizard."""

from __future__ import annotations

import html
import json
import re
import secrets

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from enrollment import web
from provisioning.audit import CLI
from provisioning.models import PanelAccount, Session, User, WizardDraft
from provisioning.panel import access
from provisioning.panel.access import Role, SessionKind
from provisioning.storage.db import transaction
from tests.fakes.authenticator import Authenticator
from tests.fakes.desk import KNOWS_ALL, Desk

ADA = {
    "given_name": "Ada",
    "family_name": "Lovelace",
    "user_name": "ada",
    "email": "ada@example.org",
    "display_name": "",
    "phone": "+44 20 1",
    "title": "Engineer",
    "department": "Analysis",
    "employee_number": "1815",
}
CARD = {
    "assign_key": "y",
    "kind": "contactless_card",
    "key_name": "Card of Ada Lovelace",
    "method": "admin",
}


class Panel:
    """One admin's browser."""

    def __init__(
        self,
        app: Flask,
        role: Role = Role.OWNER,
        *,
        stepped_up: bool = True,
        user: User | None = None,
        name: str = "Grace Hopper",
    ) -> None:
        self.client: FlaskClient = app.test_client()
        with transaction():
            self.account: PanelAccount = access.create_account(name, role, CLI)
            if user is not None:
                self.account.user = user
                self.account.save()
            self.session, secret = access.open_session(SessionKind.PANEL, account=self.account)
            if stepped_up:
                access.stepped_up(self.session)
        self.client.set_cookie(web.COOKIE[SessionKind.PANEL], secret)

    def get(self, url: str, **request: object) -> TestResponse:
        return self.client.get(url, **request)

    def post(self, url: str, data: object = None, **request: object) -> TestResponse:
        return self.client.post(url, data=data, **request)

    def see(self, url: str) -> str:
        """The page at an address, after redirects, as text that people read."""
        answer = self.client.get(url, follow_redirects=True)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return text_of(answer)

    def step_up(self) -> None:
        with transaction():
            access.stepped_up(Session.get_by_id(self.session.id))

    def new_user(self) -> str:
        """Begin the wizard; the draft's address."""
        answer = self.get("/users/new")
        assert answer.status_code == 302
        return answer.location.rsplit("/", 1)[0]

    def step(self, draft: str, step: str, go: str = "next", **fields: object) -> TestResponse:
        return self.post(f"{draft}/{step}", {"go": go, **fields})

    def draft(self, draft: str) -> WizardDraft:
        return WizardDraft.get(WizardDraft.resource_id == draft.rsplit("/", 1)[1])

    def to_key_step(self, **changes: str) -> str:
        """The wizard with Ada typed in, at step 3."""
        draft = self.new_user()
        assert self.step(draft, "user-information", **{**ADA, **changes}).status_code == 302
        assert self.step(draft, "groups").location.endswith("/security-key")
        return draft


def tap(desk: Desk, services: object) -> tuple[str, Authenticator]:
    """A good card at the desk, from ticket to done; its PIN and the card."""
    settings = services.settings  # type: ignore[attr-defined]
    card = Authenticator(settings.origin, settings.rp_id)
    ticket = desk.ticket()
    pin = desk.pin_of(ticket)
    for event, body in (
        ("waiting", {}),
        ("card", {**KNOWS_ALL, "uid": secrets.token_hex(7)}),
        ("pin_setting", {}),
        ("pin_set", {}),
    ):
        assert desk.tell(ticket, event, **body).json == {"go": True}
    response = card.create(json.dumps(ticket["options"]))
    assert desk.tell(ticket, "credential", response=response).json == {"go": True}
    assert desk.tell(ticket, "change_forced", forced=True).json == {"go": True}
    assert desk.tell(ticket, "done").json == {"go": True}
    return pin, card


def text_of(answer: TestResponse) -> str:
    """A page's words, tags left out, spaces collapsed."""
    page = re.sub(r"(?s)<(script|style).*?</\1>|<!--.*?-->", " ", answer.get_data(as_text=True))
    page = re.sub(r"<[^>]+>", " ", page.replace("<wbr>", ""))
    return " ".join(html.unescape(page).split())
