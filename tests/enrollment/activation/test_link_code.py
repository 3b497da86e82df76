# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A link that asks for a code besides, which no mail holds (R11)."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from provisioning.audit import CLI
from provisioning.issuing import activations, approvals, link_codes
from provisioning.issuing.approvals import ApprovalState
from provisioning.lifecycle import LinkState
from provisioning.models import Activation, Approval, AuditEvent, OutboxMail, PanelAccount, User
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.processes.worker import sweep
from provisioning.services import Services
from provisioning.settings import SecondCode
from provisioning.storage.db import transaction
from tests.fakes import people
from tests.fakes.browser import Browser
from tests.fakes.panel import Panel, text_of

pytestmark = pytest.mark.req("R11")


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["WTF_CSRF_ENABLED"] = False
    return app


@pytest.fixture
def ada(services: Services) -> User:
    """Somebody with an account in the panel."""
    user = people.person()
    with transaction():
        access.create_account("Ada Lovelace", Role.OPERATOR, CLI, user=user)
    return user


def send(user: User, services: Services) -> tuple[Activation, str]:
    key = people.pending_key(user)
    with transaction():  # whoever may work in the panel needs a second person's word as well (R25)
        approvals.ask(key, user, CLI)
        Approval.update(state=ApprovalState.APPROVED).where(Approval.key == key).execute()
        link, url = activations.issue(key, services, CLI)
    return link, url.partition("#")[2]


def code_of(link: Activation, services: Services) -> str:
    with transaction():
        return link_codes.show(link, services, CLI)


def start(browser: Browser, token: str, **more: str) -> int:
    return browser.post("/activate/start", {"token": token, **more}).status_code


@pytest.mark.parametrize(
    ("asked", "of_panel", "of_others"),
    [
        (SecondCode.PANEL, True, False),
        (SecondCode.ALL, True, True),
        (SecondCode.NONE, False, False),
    ],
)
def test_the_setting_says_whose_links_ask(
    services: Services, ada: User, asked: SecondCode, of_panel: bool, of_others: bool
) -> None:
    settings = services.settings.model_copy(update={"second_code": asked})
    given = Services(settings, services.vault)
    assert link_codes.is_asked(send(ada, given)[0]) is of_panel
    assert link_codes.is_asked(send(people.person("bob"), given)[0]) is of_others
    assert services.settings.second_code is SecondCode.PANEL, "the default"


def test_the_link_alone_opens_nothing_and_start_changes_nothing(
    app: Flask, services: Services, ada: User
) -> None:
    link, token = send(ada, services)
    browser = Browser(app)
    answer = browser.post("/activate/start", {"token": token})
    assert answer.status_code == 200
    assert "code of eight characters" in answer.text
    assert "kw_link" not in str(answer.headers)
    assert people.again(link).opened_at is None  # type: ignore[attr-defined]
    assert browser.get("/activate/key").status_code != 200


def test_the_code_opens_it_however_it_is_typed(app: Flask, services: Services, ada: User) -> None:
    link, token = send(ada, services)
    code = code_of(link, services)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", code)
    typed = f" {code.lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')} "
    browser = Browser(app)
    assert start(browser, token, code=typed) == 303
    assert "Card of Ada" in browser.get("/activate/key").text


def test_ten_wrong_codes_end_the_link(app: Flask, services: Services, ada: User) -> None:
    link, token = send(ada, services)
    code = code_of(link, services)
    browser = Browser(app)
    for _ in range(9):
        assert start(browser, token, code="WRONG") == 403
    assert start(browser, token, code="WRONG") == 410
    assert start(browser, token, code=code) == 410
    now = Activation.get_by_id(link.id)
    assert (now.state, now.sealed_code) == (LinkState.CANCELLED, None)
    wrong = AuditEvent.select().where(AuditEvent.event == "link.code_wrong")
    assert wrong.count() == 10
    assert {row.actor_name for row in wrong} == {"whoever holds the link"}
    assert all("WRONG" not in row.detail for row in wrong)


def test_no_mail_and_no_log_holds_the_code_and_the_mail_says_that_one_is_asked(
    services: Services, ada: User
) -> None:
    link, _token = send(ada, services)
    code = code_of(link, services).replace("-", "")
    mail = OutboxMail.get(OutboxMail.user == ada)
    assert '"code": true' in mail.context
    told = mail.context + "".join(row.detail for row in AuditEvent.select())
    assert code not in told
    assert code.encode() not in bytes(link.sealed_code)


def test_the_code_is_forgotten_with_its_link(services: Services, ada: User) -> None:
    link, _token = send(ada, services)
    with transaction():
        activations.use(link, CLI)
    assert Activation.get_by_id(link.id).sealed_code is None
    again, _token = send(people.person("bob"), services)
    Activation.update(expires_at=1, sealed_code=b"x").where(Activation.id == again.id).execute()
    with transaction():
        sweep()
    assert Activation.get_by_id(again.id).sealed_code is None


def test_an_admin_reads_the_code_after_a_step_up_and_never_their_own(
    app: Flask, services: Services, ada: User
) -> None:
    link, _token = send(ada, services)
    page = f"/keys/{link.key.resource_id}/link-code"
    panel = Panel(app, stepped_up=False)
    assert "Show the code" in panel.see(f"/users/{ada.resource_id}")
    assert "/step-up" in panel.post(page).location
    panel.step_up()
    shown = panel.post(page)
    assert code_of(link, services) in text_of(shown)
    assert AuditEvent.select().where(AuditEvent.event == "link.code_shown").count() == 2

    herself = Panel(app, Role.OFFICER, name="Ada's second")
    PanelAccount.update(user=ada).where(PanelAccount.id == herself.account.id).execute()
    assert herself.post(page).status_code == 403
    assert Panel(app, Role.AUDITOR, name="Auditor").post(page).status_code == 403
