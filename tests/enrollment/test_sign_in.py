# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Into the panel by a key and out of it; the first owner; step-up in the browser and at a desk."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from provisioning import audit
from provisioning.audit import CLI, Event
from provisioning.models import (
    AuditEvent,
    Job,
    OwnerLink,
    PanelAccount,
    PanelCredential,
    Session,
    Station,
)
from provisioning.panel import access, sign_in
from provisioning.panel.access import Role, SessionKind
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.authenticator import Authenticator
from tests.fakes.desk import KNOWS_ALL, Desk
from tests.fakes.panel import Panel, text_of
from tests.fakes.people import person


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    app.config["WTF_CSRF_ENABLED"] = False
    return app.test_client()


@pytest.fixture
def key(services: Services) -> Authenticator:
    return Authenticator(services.settings.origin, services.settings.rp_id)


def owner_link(recover: bool = False) -> str:
    with transaction():
        return access.make_owner_link(CLI, recover=recover)


def become_owner(browser: FlaskClient, key: Authenticator, token: str) -> TestResponse:
    told = {"token": token, "name": "Grace Hopper", "email": "grace@example.org"}
    options = browser.post("/owner/options", json=told)
    assert options.status_code == 200, options.json
    return browser.post("/owner/finish", json={**told, "credential": key.create(options.text)})


def answer(browser: FlaskClient, key: Authenticator, **changes: object) -> TestResponse:
    options = browser.post("/sign-in/options", json={})
    return browser.post("/sign-in/finish", json={"credential": key.get(options.text, **changes)})


def test_the_first_owner_comes_from_the_one_time_link(
    browser: FlaskClient, key: Authenticator
) -> None:
    assert "no owner yet" in text_of(browser.get("/sign-in"))
    done = become_owner(browser, key, owner_link())
    assert done.json == {"location": "/"}
    account = PanelAccount.get()
    assert (account.name, account.role, account.email) == (
        "Grace Hopper",
        Role.OWNER,
        "grace@example.org",
    )
    assert browser.get("/users").status_code == 200
    assert "no owner yet" not in text_of(browser.get("/sign-in"))


def test_an_owner_link_works_once(app: Flask, browser: FlaskClient, key: Authenticator) -> None:
    token = owner_link()
    become_owner(browser, key, token)
    other = app.test_client().post("/owner/options", json={"token": token, "name": "Mallory"})
    assert other.status_code == 410
    assert PanelAccount.select().count() == 1


def test_looking_at_the_owner_page_uses_nothing_up(browser: FlaskClient) -> None:
    owner_link()
    for _ in range(3):
        assert browser.get("/owner").status_code == 200
    assert OwnerLink.get().used_at is None


def test_a_refused_key_leaves_the_link_good(browser: FlaskClient, key: Authenticator) -> None:
    token = owner_link()
    told = {"token": token, "name": "Grace Hopper", "email": ""}
    options = browser.post("/owner/options", json=told)
    forged = key.create(options.text, client={"origin": "https://evil.example"})
    refused = browser.post("/owner/finish", json={**told, "credential": forged})
    assert refused.status_code == 400
    assert not PanelAccount.select().exists()
    assert become_owner(browser, key, token).status_code == 200


def test_an_owner_needs_a_name(browser: FlaskClient) -> None:
    refused = browser.post("/owner/options", json={"token": owner_link(), "name": " "})
    assert refused.status_code == 400
    assert refused.json == {"error": "Type your name first."}


def test_the_demos_link_opens_a_session_without_a_key(browser: FlaskClient) -> None:
    with transaction():
        account = access.create_account("Demo owner", Role.OWNER, CLI)
        token = "demo-token"
        OwnerLink.create(
            token_hash=access.hash_secret(token),
            role=Role.OWNER,
            account=account,
            expires_at=access.now_ms() + 60_000,
        )
    assert browser.post("/owner/demo", data={"token": token}).status_code == 302
    assert browser.get("/users").status_code == 200
    assert browser.post("/owner/demo", data={"token": token}).status_code == 410


def test_a_real_owner_link_opens_no_session_in_a_demo(browser: FlaskClient) -> None:
    assert browser.post("/owner/demo", data={"token": owner_link()}).status_code == 403
    assert browser.get("/users").status_code == 302


def test_a_key_signs_in_and_the_session_is_new(browser: FlaskClient, key: Authenticator) -> None:
    become_owner(browser, key, owner_link())
    before = browser.get_cookie("__Host-kw_panel")
    assert answer(browser, key).json == {"location": "/"}
    after = browser.get_cookie("__Host-kw_panel")
    assert before is not None
    assert after is not None
    assert after.value != before.value
    living = Session.select().where(Session.ended_at.is_null(), Session.kind == SessionKind.PANEL)
    assert living.count() == 1  # the one before is dead
    cookie = next(
        line
        for line in answer(browser, key).headers.getlist("Set-Cookie")
        if line.startswith("__Host-kw_panel")
    )
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie


def test_sign_in_leads_back_to_the_page_that_was_asked_for(
    browser: FlaskClient, key: Authenticator
) -> None:
    become_owner(browser, key, owner_link())
    browser.post("/sign-out")
    asked = browser.get("/users?status=new")
    assert asked.location == "/sign-in?next=/users?status%3Dnew"
    page = browser.get(asked.location).get_data(as_text=True)
    finish = re.search(r'data-finish-url="([^"]+)"', page)
    assert finish
    options = browser.post("/sign-in/options", json={})
    done = browser.post(finish[1], json={"credential": key.get(options.text)})
    assert done.json == {"location": "/users?status=new"}


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "//["],
)
def test_sign_in_leads_to_no_foreign_page(
    browser: FlaskClient, key: Authenticator, target: str
) -> None:
    become_owner(browser, key, owner_link())
    options = browser.post("/sign-in/options", json={})
    done = browser.post(
        "/sign-in/finish",
        query_string={"next": target},
        json={"credential": key.get(options.text)},
    )
    assert done.json == {"location": "/"}


@pytest.mark.req("R13")
def test_a_challenge_is_dead_after_one_try(browser: FlaskClient, key: Authenticator) -> None:
    become_owner(browser, key, owner_link())
    browser.post("/sign-out")
    options = browser.post("/sign-in/options", json={}).text
    wrong = key.get(options, flags=1)  # touched, but no PIN
    assert browser.post("/sign-in/finish", json={"credential": wrong}).status_code == 400
    right = key.get(options)
    again = browser.post("/sign-in/finish", json={"credential": right})
    assert again.status_code == 400
    assert browser.get("/users").status_code == 302
    reasons = [json.loads(row.detail)["reason"] for row in refused_rows()]
    assert reasons == ["user_not_verified", "no_challenge"]


@pytest.mark.req("R13")
def test_a_challenge_belongs_to_one_browser(
    app: Flask, browser: FlaskClient, key: Authenticator
) -> None:
    become_owner(browser, key, owner_link())
    options = browser.post("/sign-in/options", json={}).text
    thief = app.test_client()
    assert thief.post("/sign-in/finish", json={"credential": key.get(options)}).status_code == 400


@pytest.mark.req("R15")
def test_a_counter_that_goes_back_locks_the_key(browser: FlaskClient, key: Authenticator) -> None:
    become_owner(browser, key, owner_link())
    assert answer(browser, key, count=9).status_code == 200
    assert answer(browser, key, count=5).status_code == 400
    assert PanelCredential.get().locked_at is not None
    assert AuditEvent.select().where(AuditEvent.event == Event.KEY_SUSPENDED).count() == 1
    assert answer(browser, key, count=20).status_code == 400
    # The copy may have signed in before the original did.
    assert browser.get("/users").location.startswith("/sign-in")


def test_a_suspended_account_cannot_sign_in(browser: FlaskClient, key: Authenticator) -> None:
    become_owner(browser, key, owner_link())
    PanelAccount.update(state="suspended").execute()
    assert browser.get("/users").status_code == 302
    refused = answer(browser, key)
    assert refused.status_code == 400
    assert refused.json == {"error": "This key does not sign in here."}


def test_sign_out_ends_the_session_on_the_server(panel: Panel) -> None:
    secret = panel.client.get_cookie("__Host-kw_panel")
    assert secret is not None
    out = panel.post("/sign-out")
    assert out.headers["Clear-Site-Data"] == '"cache", "storage"'
    panel.client.set_cookie("__Host-kw_panel", secret.value)  # a copy of the cookie is worthless
    assert panel.get("/users").status_code == 302


def test_a_post_without_its_token_is_refused(app: Flask) -> None:
    panel = Panel(app)
    refused = panel.post("/sign-out")
    assert refused.status_code == 400
    assert "open for too long or came from elsewhere" in text_of(refused)
    assert panel.get("/users").status_code == 200


def signed_in(browser: FlaskClient, key: Authenticator) -> Session:
    """An account that signed in the usual way, which is no step-up."""
    become_owner(browser, key, owner_link())
    browser.post("/sign-out")
    answer(browser, key)
    session = Session.select().order_by(Session.id.desc()).get()
    assert session.stepped_up_at is None
    return session


def test_step_up_asks_for_the_key_again_and_renews_the_session(
    browser: FlaskClient, key: Authenticator
) -> None:
    signed_in(browser, key)
    before = browser.get_cookie("__Host-kw_panel")
    assert before is not None
    options = browser.post("/step-up/options", json={})
    assert json.loads(options.text)["allowCredentials"]
    done = browser.post(
        "/step-up/finish",
        query_string={"next": "/directories"},
        json={"credential": key.get(options.text)},
    )
    assert done.json == {"location": "/directories"}
    after = browser.get_cookie("__Host-kw_panel")
    assert after is not None
    assert after.value != before.value
    session = Session.select().order_by(Session.id.desc()).get()
    access.require_step_up(session)


def test_somebody_elses_key_is_no_step_up(
    app: Flask, browser: FlaskClient, key: Authenticator, services: Services
) -> None:
    become_owner(browser, key, owner_link())
    other = app.test_client()
    foreign = Authenticator(services.settings.origin, services.settings.rp_id)
    become_owner(other, foreign, owner_link(recover=True))
    Session.update(stepped_up_at=None).execute()
    options = browser.post("/step-up/options", json={})
    refused = browser.post("/step-up/finish", json={"credential": foreign.get(options.text)})
    assert refused.status_code == 400
    assert not Session.select().where(Session.stepped_up_at.is_null(False)).exists()


def at_the_desk(browser: FlaskClient, desk: Desk, key: Authenticator) -> Callable[[], str]:
    """Step-up asked for at the desk; returns what sends the card's answer there."""
    begun = browser.post("/step-up/reader?next=/directories", data={"station": desk.id})
    assert begun.status_code == 302
    page = begun.location
    code = Job.get().code
    assert code in text_of(browser.get(page))

    def tap() -> str:
        ticket = desk.ticket()
        assert ticket["code"] == code
        desk.tell(ticket, "waiting")
        desk.tell(ticket, "card", **KNOWS_ALL)
        sent = desk.tell(ticket, "assertion", response=key.get(json.dumps(ticket["options"])))
        assert sent.json == {"go": True}
        return page

    return tap


def test_step_up_works_at_a_reader(browser: FlaskClient, key: Authenticator, desk: Desk) -> None:
    session = signed_in(browser, key)
    page = at_the_desk(browser, desk, key)()
    before = browser.get_cookie("__Host-kw_panel")
    moved = browser.get(page.replace("?", "/state?"))
    assert moved.headers["HX-Redirect"] == "/directories"
    access.require_step_up(Session.get_by_id(session.id))
    after = browser.get_cookie("__Host-kw_panel")
    assert before is not None
    assert after is not None
    assert before.value != after.value


def test_step_up_works_at_the_admins_own_reader(
    browser: FlaskClient, key: Authenticator, desk: Desk
) -> None:
    session = signed_in(browser, key)
    me, other = person(), person(user_name="other")
    PanelAccount.update(user=me).execute()
    Station.update(user=me).execute()
    page = at_the_desk(browser, desk, key)()
    assert browser.get(page).location == "/directories"
    access.require_step_up(Session.get_by_id(session.id))
    Station.update(user=other).execute()
    browser.post("/step-up/reader", data={"station": desk.id})
    ticket = desk.ticket()
    desk.tell(ticket, "card", **KNOWS_ALL)
    refused = desk.tell(ticket, "assertion", response=key.get(json.dumps(ticket["options"])))
    assert refused.json["message"] == "This reader is somebody's own."


def test_a_desks_answer_counts_for_its_own_session_only(
    app: Flask, browser: FlaskClient, key: Authenticator, desk: Desk
) -> None:
    signed_in(browser, key)
    tap = at_the_desk(browser, desk, key)
    other = Panel(app, stepped_up=False, name="Other")
    page = tap()
    assert other.get(page).status_code == 404
    assert Session.get_by_id(other.session.id).stepped_up_at is None


def test_a_desks_answer_counts_once(browser: FlaskClient, key: Authenticator, desk: Desk) -> None:
    session = signed_in(browser, key)
    page = at_the_desk(browser, desk, key)()
    assert browser.get(page).location == "/directories"
    Session.update(stepped_up_at=None).where(Session.id == session.id).execute()
    assert browser.get(page).status_code == 200
    assert Session.get_by_id(session.id).stepped_up_at is None


def test_a_stale_answer_from_a_desk_is_no_step_up(
    browser: FlaskClient, key: Authenticator, desk: Desk
) -> None:
    session = signed_in(browser, key)
    page = at_the_desk(browser, desk, key)()
    Job.update(finished_at=Job.finished_at - 6 * 60_000).execute()
    assert browser.get(page).status_code == 200
    assert Session.get_by_id(session.id).stepped_up_at is None


@pytest.mark.parametrize(
    ("shown", "back"),
    [
        ("http://localhost/stations?x=1", "/stations?x%3D1"),
        ("http://localhost:5005/stations?x=1", "/stations?x%3D1"),  # as behind a proxy
        ("https://evil.example/stations", "/stations/state"),
        ("http://[", "/stations/state"),
    ],
)
def test_a_part_of_a_page_takes_the_whole_page_to_the_sign_in(
    panel: Panel, shown: str, back: str
) -> None:
    Session.update(ended_at=1).execute()
    headers = {"HX-Request": "true", "HX-Current-URL": shown}
    answer = panel.get("/stations/state", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == f"/sign-in?next={back}"
    odd = panel.post("/users/new/x/save?step=groups", {}, headers=headers)
    assert odd.status_code == 200
    assert "evil" not in odd.text


def refused_rows() -> list[AuditEvent]:
    rows = AuditEvent.select().where(AuditEvent.event == Event.SIGN_IN_REFUSED)
    return list(rows.order_by(AuditEvent.id))


def test_the_audit_log_stays_whole(browser: FlaskClient, key: Authenticator) -> None:
    signed_in(browser, key)
    assert audit.verify().whole
    assert sign_in.panel_keys(PanelAccount.get()) == [key.credential_id]


def add_key(browser: FlaskClient, key: Authenticator, name: str = "Spare") -> TestResponse:
    options = browser.post("/account/options", json={})
    assert options.status_code == 200, options.json
    told = {"name": name, "credential": key.create(options.text)}
    return browser.post("/account/finish", json=told)


def test_an_owner_is_told_to_register_a_second_key(
    browser: FlaskClient, key: Authenticator, services: Services
) -> None:
    become_owner(browser, key, owner_link())
    spare = Authenticator(services.settings.origin, services.settings.rp_id)
    assert "You have one key only." in text_of(browser.get("/account"))
    assert add_key(browser, spare).json == {"location": "/account"}
    page = text_of(browser.get("/account"))
    assert "Spare" in page
    assert "one key only" not in page
    browser.post("/sign-out")
    assert answer(browser, spare).status_code == 200


def test_the_last_key_stays(browser: FlaskClient, key: Authenticator, services: Services) -> None:
    become_owner(browser, key, owner_link())
    (first,) = PanelCredential.select()
    assert browser.post(f"/account/keys/{first.id}/remove").status_code == 409
    spare = Authenticator(services.settings.origin, services.settings.rp_id)
    add_key(browser, spare)
    PanelCredential.update(locked_at=1).where(PanelCredential.label == "Spare").execute()
    assert browser.post(f"/account/keys/{first.id}/remove").status_code == 409
    PanelCredential.update(locked_at=None).execute()
    elsewhere = browser.application.test_client()
    assert answer(elsewhere, key).status_code == 200
    assert browser.post(f"/account/keys/{first.id}/remove").status_code == 302
    assert elsewhere.get("/users").status_code == 302  # who had the key is out
    assert browser.get("/users").status_code == 200
    browser.post("/sign-out")
    assert answer(browser, key).status_code == 400
    assert answer(browser, spare).status_code == 200


def test_nobody_touches_another_admins_keys(
    app: Flask, browser: FlaskClient, key: Authenticator
) -> None:
    become_owner(browser, key, owner_link())
    other = Panel(app, name="Other")
    (first,) = PanelCredential.select()
    assert other.post(f"/account/keys/{first.id}/remove").status_code == 404


def test_a_second_key_asks_for_the_first_one(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    panel = Panel(app, stepped_up=False)
    assert panel.get("/account").location == "/step-up?next=/account"
    refused = panel.client.post("/account/options", json={})
    assert refused.status_code == 403
    assert "security key again" in refused.json["error"]


def test_a_key_of_the_panel_has_a_name(
    browser: FlaskClient, key: Authenticator, services: Services
) -> None:
    become_owner(browser, key, owner_link())
    spare = Authenticator(services.settings.origin, services.settings.rp_id)
    assert add_key(browser, spare, " ").status_code == 400
    assert PanelCredential.select().count() == 1
