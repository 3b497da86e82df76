# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from provisioning import directory, keys
from provisioning.audit import CLI, Event
from provisioning.ceremonies.attestation import Policy
from provisioning.ceremonies.ceremony import (
    registration_options,
    take_challenge,
    verify_registration,
)
from provisioning.clock import MINUTE, SECOND, now_ms
from provisioning.desks import stations
from provisioning.lifecycle import JobState, KeyKind, KeyState, Reason
from provisioning.models import AuditEvent, Job, SecurityKey, Session, User
from provisioning.panel import access
from provisioning.panel.sign_in import party
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.authenticator import UP, Authenticator
from tests.fakes.browser import Browser
from tests.fakes.desk import KNOWS_ALL, Desk, b64url
from tests.fakes.panel import text_of


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["WTF_CSRF_ENABLED"] = False
    return app


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def desk(app: Flask, services: Services) -> Desk:
    return Desk.paired(app.test_client(), services)


def signed_in(browser: Browser, key: Authenticator, **forged: Any) -> TestResponse:
    options = browser.send("/me/sign-in/options", {}).text
    return browser.send("/me/sign-in/finish", {"credential": key.get(options, **forged)})


def person(user_name: str, name: str) -> User:
    with transaction():
        document = {"userName": user_name, "displayName": name, "active": True}
        return directory.create_user(document, connection=None, actor=CLI)


def active_key(services: Services, user: User, name: str = "Card of Ada") -> Authenticator:
    """Give a user a key that works, registered by the product's own ceremony."""
    made = Authenticator(services.settings.origin, services.settings.rp_id)
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, name, "user", user=user, actor=CLI)
        keys.assign(key, user, CLI)
        options = registration_options(
            party(services), purpose="test", binding="test", user_handle=bytes(key.user_handle),
            user_name=user.user_name, display_name=user.display_name, exclude=[],
        )  # fmt: skip
        verified = verify_registration(
            made.create(options), take_challenge("test", "test"),
            policy=Policy(required=False), party=party(services),
        )  # fmt: skip
        keys.register(key, verified, services.settings.rp_id, CLI)
        keys.activate(key, CLI)
    return made


@pytest.fixture
def ada(services: Services) -> User:
    return person("ada", "Ada Lovelace")


@pytest.fixture
def card(services: Services, ada: User) -> Authenticator:
    return active_key(services, ada)


def refusals() -> list[str]:
    rows = AuditEvent.select().where(AuditEvent.event == Event.SIGN_IN_REFUSED.value)
    return [json.loads(row.detail)["reason"] for row in rows]


class TestInTheBrowser:
    def test_a_key_signs_in_and_the_page_says_that_it_works(
        self, browser: Browser, card: Authenticator
    ) -> None:
        assert "Use my key in this browser" in browser.get("/me/sign-in").text
        answer = signed_in(browser, card)
        assert answer.json == {"location": "/me?tried=1"}
        page = browser.get("/me?tried=1").text
        assert "It works." in page
        assert "Ada Lovelace" in page
        assert "Card of Ada" in page
        assert SecurityKey.get().confirmed_at is not None

    @pytest.mark.req("R13")
    def test_an_answer_counts_once(self, browser: Browser, card: Authenticator) -> None:
        options = browser.send("/me/sign-in/options", {}).text
        answer = card.get(options)
        assert browser.send("/me/sign-in/finish", {"credential": answer}).status_code == 200
        again = browser.send("/me/sign-in/finish", {"credential": answer})
        assert again.status_code == 401
        assert refusals() == ["no_challenge"]

    @pytest.mark.req("R13")
    def test_another_browsers_question_cannot_be_answered_here(
        self, app: Flask, browser: Browser, card: Authenticator
    ) -> None:
        options = browser.send("/me/sign-in/options", {}).text
        other = Browser(app)
        other.send("/me/sign-in/options", {})
        answer = other.send("/me/sign-in/finish", {"credential": card.get(options)})
        assert answer.status_code == 401
        assert Session.select().count() == 0

    @pytest.mark.req("R15")
    @pytest.mark.parametrize(
        ("forged", "reason"),
        [
            ({"user_handle": b"x" * 64}, "foreign_user_handle"),
            ({"user_handle": None}, "no_user_handle"),
            ({"flags": UP}, "user_not_verified"),
            ({"client": {"origin": "https://evil.example"}}, "wrong_origin"),
            ({"client": {"crossOrigin": True}}, "cross_origin"),
            ({"rp_id": "evil.example"}, "wrong_rp_id"),
        ],
    )
    def test_a_forged_answer_is_refused_with_one_sentence_and_a_line_in_the_log(
        self, browser: Browser, card: Authenticator, forged: dict[str, Any], reason: str
    ) -> None:
        answer = signed_in(browser, card, **forged)
        assert answer.status_code == 401
        assert answer.json["error"].count(".") == 1
        assert refusals() == [reason]
        assert Session.select().count() == 0

    @pytest.mark.req("R15")
    def test_a_counter_that_stands_still_locks_the_key(
        self, browser: Browser, card: Authenticator
    ) -> None:
        signed_in(browser, card, count=5)
        assert signed_in(browser, card, count=5).status_code == 401
        key = SecurityKey.get()
        assert (key.state, key.reason) == (KeyState.SUSPENDED, Reason.COUNTER_REGRESSED)

    @pytest.mark.parametrize("body", [[], {}, {"credential": 1}, {"credential": {"id": "x"}}])
    def test_garbage_is_refused_in_words(self, browser: Browser, body: object) -> None:
        browser.send("/me/sign-in/options", {})
        answer = browser.send("/me/sign-in/finish", body)
        assert answer.status_code in (400, 401)
        assert answer.json["error"]

    def test_a_suspended_key_does_not_sign_in(self, browser: Browser, card: Authenticator) -> None:
        with transaction():
            keys.suspend(SecurityKey.get(), Reason.LOST, CLI)
        answer = signed_in(browser, card)
        assert (answer.status_code, answer.json["error"]) == (
            401, "This key does not sign in here.",
        )  # fmt: skip
        assert refusals() == ["key_suspended"]


class TestAtAReader:
    def ask(self, browser: Browser, desk: Desk) -> Job:
        answer = browser.post("/me/sign-in/reader", {"station": desk.id})
        assert (answer.status_code, answer.location) == (303, "/me/sign-in")
        return Job.select().order_by(Job.id.desc()).get()

    def answer(self, desk: Desk, card: Authenticator) -> dict[str, Any]:
        ticket = desk.ticket()
        desk.tell(ticket, "waiting")
        desk.tell(ticket, "card", **KNOWS_ALL)
        response = card.get(json.dumps(ticket["options"]))
        assert desk.tell(ticket, "assertion", response=response).json == {"go": True}
        return ticket

    def test_both_screens_show_the_code_and_the_page_collects_once(
        self, browser: Browser, desk: Desk, card: Authenticator
    ) -> None:
        job = self.ask(browser, desk)
        page = browser.get("/me/sign-in").text
        assert job.code in page
        ticket = self.answer(desk, card)
        assert ticket["code"] == job.code
        live = browser.get(f"/desk/{job.resource_id}").text
        assert 'hx-post="/me/sign-in/collect"' in live
        assert "Go on" in live
        assert Session.select().count() == 0  # nothing opens by looking
        collected = browser.post("/me/sign-in/collect", headers={"HX-Request": "true"})
        assert collected.headers["HX-Redirect"] == "/me?tried=1"
        assert browser.get("/me").status_code == 200
        again = browser.post("/me/sign-in/collect")
        assert again.location == "/me/sign-in?choose=1"
        assert Session.select().where(Session.kind == "user").count() == 1

    def test_a_kept_cookie_collects_nothing_more(
        self, browser: Browser, desk: Desk, card: Authenticator
    ) -> None:
        self.ask(browser, desk)
        kept = browser.client.get_cookie("__Host-kw_wait", "localhost")
        assert kept is not None
        self.answer(desk, card)
        assert browser.post("/me/sign-in/collect").location == "/me?tried=1"
        browser.client.set_cookie("__Host-kw_wait", kept.value, domain="localhost", secure=True)
        assert browser.post("/me/sign-in/collect").location == "/me/sign-in?choose=1"
        assert Session.select().count() == 1

    def test_it_works_without_scripts(
        self, browser: Browser, desk: Desk, card: Authenticator
    ) -> None:
        self.ask(browser, desk)
        self.answer(desk, card)
        assert 'action="/me/sign-in/collect"' in browser.get("/me/sign-in").text
        assert browser.post("/me/sign-in/collect").location == "/me?tried=1"
        assert browser.get("/me").status_code == 200

    @pytest.mark.req("R13")
    def test_another_browser_collects_nothing(
        self, app: Flask, browser: Browser, desk: Desk, card: Authenticator
    ) -> None:
        job = self.ask(browser, desk)
        self.answer(desk, card)
        thief = Browser(app)
        self.ask(thief, desk)  # has a cookie of its own, for another job
        assert thief.get(f"/desk/{job.resource_id}").status_code == 404
        assert thief.post("/me/sign-in/collect").location == "/me/sign-in?choose=1"
        assert Session.select().count() == 0
        assert refusals() == ["not_collectable"]

    def test_after_two_minutes_it_is_too_late(
        self, browser: Browser, desk: Desk, card: Authenticator
    ) -> None:
        self.ask(browser, desk)
        self.answer(desk, card)
        Job.update(finished_at=now_ms() - 2 * MINUTE - SECOND).execute()
        assert browser.post("/me/sign-in/collect").location == "/me/sign-in?choose=1"
        assert Session.select().count() == 0
        assert "took too long" in browser.get("/me/sign-in?choose=1").text

    @pytest.mark.req("R16")
    def test_who_left_meanwhile_is_not_let_in(
        self, browser: Browser, desk: Desk, card: Authenticator, ada: User
    ) -> None:
        self.ask(browser, desk)
        self.answer(desk, card)
        with transaction():
            directory.deactivate(ada, Reason.LEFT, CLI)
        assert browser.post("/me/sign-in/collect").location == "/me/sign-in?choose=1"
        assert Session.select().where(Session.ended_at.is_null()).count() == 0

    def test_each_try_has_a_cookie_of_its_own(self, browser: Browser, desk: Desk) -> None:
        first = self.ask(browser, desk)
        second = self.ask(browser, desk)
        assert first.binding != second.binding
        assert browser.get(f"/desk/{first.resource_id}").status_code == 404

    def test_a_fault_can_be_tried_again_or_left(
        self, browser: Browser, desk: Desk, card: Authenticator
    ) -> None:
        job = self.ask(browser, desk)
        ticket = desk.ticket()
        desk.tell(ticket, "waiting")
        desk.tell(ticket, "fault", fault="change_pending", step="tapped")
        page = browser.get("/me/sign-in").text
        assert "must be changed before" in page
        assert 'href="/me/change-pin"' in page
        assert browser.post(f"/desk/{job.resource_id}/retry").location == "/me/sign-in"
        desk.tell(desk.ticket(), "waiting")
        assert browser.post(f"/desk/{job.resource_id}/cancel").location == "/me/sign-in?choose=1"
        assert Job.get().state == JobState.CANCELLED
        assert "Use my key in this browser" in browser.get("/me/sign-in").text

    def test_a_line_at_a_reader_ends_somewhere(
        self, app: Flask, desk: Desk, services: Services
    ) -> None:
        for _ in range(5):
            Browser(app).post("/me/sign-in/reader", {"station": desk.id})
        late = Browser(app)
        answer = late.post("/me/sign-in/reader", {"station": desk.id})
        assert answer.location == "/me/sign-in?choose=1"
        assert "Others are waiting" in late.get(answer.location).text

    def test_a_persons_own_reader_signs_in_nobody_else(
        self, app: Flask, browser: Browser, card: Authenticator, services: Services
    ) -> None:
        eve = person("eve", "Eve")
        with transaction():
            _row, code = stations.make_code(services.vault, CLI, eve)
        hers = Desk(app.test_client(), services.settings.base_url)
        hers.pair(code)
        assert hers.id not in browser.get("/me/sign-in").text
        self.ask(browser, hers)
        ticket = hers.ticket()
        response = card.get(json.dumps(ticket["options"]))
        assert hers.tell(ticket, "assertion", response=response).json["go"] is False
        assert SecurityKey.get().confirmed_at is None


class TestChangePinFirst:
    def test_the_tap_tells_whose_key_it_is(
        self, browser: Browser, desk: Desk, card: Authenticator
    ) -> None:
        SecurityKey.update(pin_change_forced=True).execute()
        assert "/me/change-pin" in browser.get("/me/sign-in").text
        # by the words that the mail with the PIN names
        assert "First use of a new card? Change PIN" in text_of(browser.get("/me/sign-in"))
        browser.get("/me/change-pin")
        answer = browser.post("/me/change-pin", {"station": desk.id})
        assert answer.location == "/me/change-pin"
        ticket = desk.ticket()
        assert (ticket["op"], ticket["user"]) == ("change_pin", "")
        desk.tell(ticket, "waiting")
        assert "Tap the card on Desk NFC" in browser.get("/me/change-pin").text
        known = {**KNOWS_ALL, "known": [b64url(card.credential_id)]}
        assert desk.tell(ticket, "card", **known).json == {"go": True}
        page = browser.get(f"/desk/{ticket['job']}").text
        assert "Ada" not in page
        assert desk.tell(ticket, "done").json == {"go": True}
        assert SecurityKey.get().pin_change_forced is False
        end = browser.get(f"/desk/{ticket['job']}")
        assert end.headers["HX-Redirect"] == "/me/sign-in"

    def test_a_card_that_is_no_key_here_is_sent_away(self, browser: Browser, desk: Desk) -> None:
        browser.post("/me/change-pin", {"station": desk.id})
        answer = desk.tell(desk.ticket(), "card", **KNOWS_ALL)
        assert answer.json["reason"] == "no_credential"


class TestMyPage:
    @pytest.fixture(autouse=True)
    def inside(self, browser: Browser, card: Authenticator) -> None:
        assert signed_in(browser, card).status_code == 200

    def test_nobody_else_sees_it(self, app: Flask) -> None:
        answer = Browser(app).get("/me")
        assert (answer.status_code, answer.location) == (303, "/me/sign-in")

    def test_a_key_gets_another_name(self, browser: Browser) -> None:
        key_id = SecurityKey.get().resource_id
        assert browser.post(f"/me/keys/{key_id}/rename", {"name": "Blue card"}).location == "/me"
        assert "Blue card" in browser.get("/me").text

    @pytest.mark.parametrize("name", ["", "x" * 65])
    def test_a_bad_name_is_said(self, browser: Browser, name: str) -> None:
        key_id = SecurityKey.get().resource_id
        browser.post(f"/me/keys/{key_id}/rename", {"name": name})
        assert SecurityKey.get().name == "Card of Ada"
        assert "name" in browser.get("/me").text

    def test_a_lost_key_is_suspended_and_its_session_ends_with_it(
        self, browser: Browser, card: Authenticator
    ) -> None:
        key_id = SecurityKey.get().resource_id
        assert browser.post(f"/me/keys/{key_id}/lost").location == "/me"
        assert (SecurityKey.get().state, SecurityKey.get().reason) == ("suspended", "lost")
        assert browser.get("/me").location == "/me/sign-in"
        assert "is suspended" in browser.get("/me/sign-in").text
        assert signed_in(browser, card).status_code == 401

    def test_another_key_that_is_lost_leaves_me_signed_in(
        self, browser: Browser, services: Services, ada: User
    ) -> None:
        active_key(services, ada, "Spare")
        spare = SecurityKey.get(SecurityKey.name == "Spare")
        browser.post(f"/me/keys/{spare.resource_id}/lost")
        assert browser.get("/me").status_code == 200
        assert SecurityKey.get_by_id(spare.id).state == KeyState.SUSPENDED

    @pytest.mark.parametrize("action", ["rename", "lost", "pin"])
    def test_a_key_of_somebody_else_is_not_found(
        self, browser: Browser, services: Services, action: str
    ) -> None:
        active_key(services, person("eve", "Eve"), "Hers")
        hers = SecurityKey.get(SecurityKey.name == "Hers")
        path = f"/me/keys/{hers.resource_id}/{action}"
        assert browser.post(path, {"name": "Mine"}).status_code == 404
        fresh = SecurityKey.get_by_id(hers.id)
        assert (fresh.name, fresh.state) == ("Hers", KeyState.ACTIVE)

    def test_a_pin_is_changed_at_a_reader(
        self, browser: Browser, desk: Desk, card: Authenticator
    ) -> None:
        key = SecurityKey.get()
        path = f"/me/keys/{key.resource_id}/pin"
        assert path in browser.get("/me").text
        assert "Desk NFC" in browser.get(path).text
        assert browser.post(path, {"station": desk.id}).location == path
        ticket = desk.ticket()
        assert ticket["user"] == "Ada Lovelace"
        known = {**KNOWS_ALL, "known": [b64url(card.credential_id)]}
        desk.tell(ticket, "waiting")
        desk.tell(ticket, "card", **known)
        assert "Type the present PIN" in browser.get(path).text
        desk.tell(ticket, "done")
        end = browser.get(f"/desk/{ticket['job']}")
        assert end.headers["HX-Redirect"] == "/me"
        assert "PIN of “Card of Ada” changed" in browser.get("/me").text

    @pytest.mark.req("R16")
    def test_a_leavers_next_request_leads_to_the_sign_in_page(
        self, browser: Browser, ada: User
    ) -> None:
        with transaction():
            directory.deactivate(ada, Reason.LEFT, CLI)
        assert browser.get("/me").location == "/me/sign-in"
        key_id = SecurityKey.get().resource_id
        assert browser.post(f"/me/keys/{key_id}/rename", {"name": "x"}).location == "/me/sign-in"

    def test_a_session_left_alone_is_over(self, browser: Browser) -> None:
        Session.update(last_seen_at=now_ms() - access.IDLE - SECOND).execute()
        assert browser.get("/me").location == "/me/sign-in"

    def test_sign_out_ends_it(self, browser: Browser) -> None:
        answer = browser.post("/me/sign-out")
        assert answer.location == "/me/sign-in"
        assert "cache" in answer.headers["Clear-Site-Data"]
        assert Session.get().ended_at is not None
        assert browser.get("/me").location == "/me/sign-in"

    def test_signing_in_again_ends_the_earlier_session(
        self, browser: Browser, card: Authenticator
    ) -> None:
        first = Session.get()
        signed_in(browser, card)
        assert Session.get_by_id(first.id).ended_at is not None

    def test_a_users_session_opens_neither_panel_nor_activation(self, browser: Browser) -> None:
        assert "sign-in" in browser.get("/users").location
        assert browser.get("/activate/key").location == "/activate"
        cookie = browser.client.get_cookie("__Host-kw_user", "localhost")
        assert cookie is not None
        browser.client.set_cookie("__Host-kw_panel", cookie.value, domain="localhost", secure=True)
        assert "sign-in" in browser.get("/users").location

    def test_what_happened_is_told_in_words(self, browser: Browser) -> None:
        text = re.sub(r"\s+", " ", browser.get("/me").text)
        assert "Signed in with “Card of Ada”" in text
        assert "“Card of Ada” activated" in text
