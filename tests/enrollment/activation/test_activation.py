# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from provisioning import directory, keys
from provisioning.audit import CLI, Event
from provisioning.clock import MINUTE, now_ms
from provisioning.desks import orders
from provisioning.issuing import activations, assignment
from provisioning.lifecycle import JobState, KeyKind, KeyState, LinkState, Reason
from provisioning.models import (
    Activation,
    AuditEvent,
    Challenge,
    Credential,
    Job,
    OutboxMail,
    PairingCode,
    PanelAccount,
    SecurityKey,
    Session,
    Station,
    User,
)
from provisioning.services import Services
from provisioning.settings import AttestationRule, PinDelivery
from provisioning.storage.db import database, transaction
from tests.fakes.authenticator import BE, UP, UV, Authenticator
from tests.fakes.browser import Browser
from tests.fakes.desk import KNOWS_ALL, Desk, b64url


@pytest.fixture
def services(services: Services) -> Services:
    """No attestation is asked for: the ceremonies' own tests hold that."""
    changed = services.settings.model_copy(update={"attestation": AttestationRule.NONE})
    return Services(changed, services.vault)


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["WTF_CSRF_ENABLED"] = False  # one test below looks at it
    return app


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def desk(app: Flask, services: Services) -> Desk:
    return Desk.paired(app.test_client(), services)


@pytest.fixture
def ada(services: Services) -> User:
    document = {
        "userName": "ada",
        "displayName": "Ada Lovelace",
        "active": True,
        "emails": [{"value": "ada@example.org", "primary": True}],
    }
    with transaction():
        return directory.create_user(document, connection=None, actor=CLI)


Sent = Callable[..., str]


@pytest.fixture
def sent(services: Services, ada: User) -> Sent:
    """Assign a key to Ada and send the link; gives its token."""

    def send(kind: KeyKind = KeyKind.CONTACTLESS_CARD, name: str = "Card of Ada") -> str:
        with transaction():
            key = keys.draft(kind, name, "user", user=ada, actor=CLI)
            _activation, url = assignment.confirm_by_user(key, ada, services, CLI)
        return url.partition("#")[2]

    return send


def policy(app: Flask, services: Services, **changes: object) -> None:
    app.extensions["keywright"] = Services(
        services.settings.model_copy(update=changes), services.vault
    )


def start(browser: Browser, token: str) -> TestResponse:
    return browser.post("/activate/start", {"token": token})


def events(event: Event) -> int:
    return AuditEvent.select().where(AuditEvent.event == event.value).count()


def everything() -> str:
    """Return all rows of all tables."""
    return "\n".join(
        str(row)
        for table in sorted(database.get_tables())
        for row in sorted(map(str, database.execute_sql(f'SELECT * FROM "{table}"').fetchall()))
    )


class TestLink:
    @pytest.mark.req("R12")
    def test_the_page_is_the_same_for_everybody_and_changes_nothing(
        self, browser: Browser, sent: Sent
    ) -> None:
        def plain(answer: TestResponse) -> str:
            return re.sub(r'nonce="[^"]*"|name="csrf_token" value="[^"]*"', "", answer.text)

        first = plain(browser.get("/activate"))
        sent()
        before = everything()
        for _ in range(100):
            assert plain(browser.get("/activate")) == first
            assert browser.head("/activate").status_code == 200
        assert everything() == before

    @pytest.mark.req("R12")
    def test_a_scanner_that_runs_scripts_and_presses_start_takes_nothing(
        self, app: Flask, browser: Browser, sent: Sent
    ) -> None:
        token = sent()
        scanner = Browser(app)
        for _ in range(50):
            assert scanner.get("/activate").status_code == 200
        for _ in range(3):
            assert start(scanner, token).status_code == 303
        assert scanner.get("/activate/key").status_code == 200
        assert Activation.get().opened_at is not None
        assert start(browser, token).status_code == 303
        assert "Card of Ada" in browser.get("/activate/key").text
        assert events(Event.LINK_OPENED) == 1
        line = AuditEvent.get(AuditEvent.event == Event.LINK_OPENED)
        assert (line.actor_kind, line.actor_name) == ("user", "whoever holds the link")

    def test_start_takes_the_whole_link_too(self, browser: Browser, sent: Sent) -> None:
        assert start(browser, f" http://localhost:5005/activate#{sent()} ").status_code == 303

    def test_the_cookie_is_the_browsers_alone(self, browser: Browser, sent: Sent) -> None:
        cookie = next(
            value for value in start(browser, sent()).headers.getlist("Set-Cookie")
            if value.startswith("__Host-kw_link=")
        )  # fmt: skip
        for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            assert word in cookie

    @pytest.mark.req("R11")
    @pytest.mark.parametrize("state", [s for s in LinkState if s is not LinkState.LIVE])
    def test_every_dead_link_has_the_one_page(
        self, browser: Browser, sent: Sent, state: LinkState
    ) -> None:
        token = sent()
        Activation.update(state=state).execute()
        dead = start(browser, token)
        forged = start(browser, "x" * len(token))
        assert (dead.status_code, forged.status_code) == (410, 410)

        def plain(answer: TestResponse, token: str) -> str:
            return re.sub(
                r'nonce="[^"]*"|name="csrf_token" value="[^"]*"', "", answer.text
            ).replace(token, "TOKEN")

        assert plain(dead, token) == plain(forged, "x" * len(token))
        assert "Set-Cookie" not in dead.headers or "kw_link" not in dead.headers["Set-Cookie"]

    @pytest.mark.req("R11")
    def test_time_ends_a_link_without_a_cleaner(self, browser: Browser, sent: Sent) -> None:
        token = sent()
        Activation.update(expires_at=now_ms() - 1).execute()
        assert start(browser, token).status_code == 410

    @pytest.mark.req("R11")
    def test_a_newer_link_ends_the_older_and_who_is_inside_by_it(
        self, browser: Browser, services: Services, sent: Sent
    ) -> None:
        token = sent()
        start(browser, token)
        with transaction():
            _newer, url = activations.issue(SecurityKey.get(), services, CLI)
        assert start(browser, token).status_code == 410
        away = browser.get("/activate/key")
        assert away.status_code == 303
        assert away.location == "/activate"
        assert start(browser, url.partition("#")[2]).status_code == 303

    @pytest.mark.req("R16")
    def test_a_leaver_is_out_at_once(self, browser: Browser, sent: Sent, ada: User) -> None:
        token = sent()
        start(browser, token)
        with transaction():
            directory.deactivate(ada, Reason.LEFT, CLI)
        assert browser.get("/activate/key").status_code == 303
        assert browser.send("/activate/browser/options", {}).status_code == 401
        assert start(browser, token).status_code == 410

    def test_a_suspended_key_ends_its_link(self, browser: Browser, sent: Sent) -> None:
        token = sent()
        start(browser, token)
        with transaction():
            keys.suspend(SecurityKey.get(), Reason.LOST, CLI)
        assert browser.get("/activate/key").status_code == 410
        assert browser.send("/activate/browser/options", {}).status_code == 410
        assert browser.post("/activate/station", {"station": "x"}).status_code == 410

    def test_pages_without_start_lead_to_it(self, browser: Browser) -> None:
        for path in ("key", "station", "browser", "done", "change-pin", "driver"):
            answer = browser.get(f"/activate/{path}")
            assert (answer.status_code, answer.location) == (303, "/activate"), path

    def test_a_live_part_leads_there_as_well(self, browser: Browser) -> None:
        answer = browser.get("/activate/driver/1", headers={"HX-Request": "true"})
        assert answer.headers["HX-Redirect"] == "/activate"

    def test_a_form_without_its_token_against_forgery_is_refused(
        self, app: Flask, browser: Browser, sent: Sent
    ) -> None:
        app.config["WTF_CSRF_ENABLED"] = True
        assert start(browser, sent()).status_code == 400
        assert Session.select().count() == 0

    def test_guessing_is_slowed_down(self, browser: Browser) -> None:
        codes = {start(browser, "guess").status_code for _ in range(40)}
        assert codes == {410, 429}


class TestAskAgain:
    @pytest.fixture(autouse=True)
    def admin(self, services: Services) -> None:
        with transaction():
            PanelAccount.create(
                name="Grace", email="grace@example.org", role="officer", user_handle=b"g" * 64
            )

    def asked(self) -> int:
        return OutboxMail.select().where(OutboxMail.template == "link_requested").count()

    def test_the_admin_is_told_and_the_answer_is_the_same_for_a_forged_link(
        self, browser: Browser, sent: Sent
    ) -> None:
        token = sent()
        Activation.update(expires_at=now_ms() - 1).execute()
        real = browser.post("/activate/ask", {"token": token})
        assert self.asked() == 1
        line = AuditEvent.get(AuditEvent.event == Event.LINK_REQUESTED)
        assert (line.actor_kind, line.actor_name) == ("user", "whoever holds the link")
        forged = browser.post("/activate/ask", {"token": "x" * 43})
        assert self.asked() == 1
        assert real.status_code == forged.status_code == 200

        def plain(answer: TestResponse) -> str:
            return re.sub(r'nonce="[^"]*"|value="[^"]*"', "", answer.text)

        assert plain(real) == plain(forged)

    def test_twice_in_an_hour_is_once(self, browser: Browser, sent: Sent) -> None:
        token = sent()
        Activation.update(state="superseded").execute()
        for _ in range(3):
            browser.post("/activate/ask", {"token": token})
        assert self.asked() == 1

    def test_a_link_that_works_asks_for_nothing(self, browser: Browser, sent: Sent) -> None:
        assert browser.post("/activate/ask", {"token": sent()}).status_code == 200
        assert self.asked() == 0

    def test_the_dead_page_of_a_session_asks_for_its_own_link(
        self, browser: Browser, sent: Sent
    ) -> None:
        start(browser, sent())
        Activation.update(expires_at=now_ms() - 1).execute()
        assert browser.get("/activate/key").status_code == 410
        browser.post("/activate/ask", {"token": ""})
        assert self.asked() == 1


class TestChoice:
    def test_it_names_the_organisation_the_key_and_three_needs(
        self, browser: Browser, sent: Sent, desk: Desk
    ) -> None:
        start(browser, sent())
        page = browser.get("/activate/key").text
        for words in ("Example Hospital", "Card of Ada", "Hello Ada Lovelace"):
            assert words in page
        needs = page.partition("What you need")[2].partition("</ul>")[0]
        assert needs.count("<li>") == 3
        assert "/activate/station" in page
        assert "/activate/browser" in page

    @pytest.mark.parametrize("kind", [KeyKind.USB_KEY, KeyKind.PASSKEY])
    def test_what_no_reader_holds_is_activated_in_the_browser(
        self, browser: Browser, sent: Sent, desk: Desk, kind: KeyKind
    ) -> None:
        start(browser, sent(kind))
        page = browser.get("/activate/key").text
        assert "/activate/browser" in page
        assert "/activate/station" not in page

    def test_a_phone_is_offered_its_own_reader_first(
        self, browser: Browser, sent: Sent, desk: Desk
    ) -> None:
        start(browser, sent())
        agent = {"User-Agent": "Mozilla/5.0 (Linux; Android 16) Mobile"}
        phone = browser.get("/activate/key", headers=agent).text
        assert phone.index("way-browser") < phone.index("way-reader")
        desktop = browser.get("/activate/key", headers={"User-Agent": "X11; Linux"}).text
        assert desktop.index("way-reader") < desktop.index("way-browser")

    @pytest.mark.parametrize(
        ("delivery", "choice"),
        [
            (PinDelivery.MAIL, True),
            (PinDelivery.REVEAL_ONCE, False),
            (PinDelivery.USER_SETS, False),
        ],
    )
    def test_who_makes_the_pin_is_chosen_where_the_policy_lets(
        self,
        app: Flask,
        services: Services,
        browser: Browser,
        sent: Sent,
        desk: Desk,
        delivery: PinDelivery,
        choice: bool,
    ) -> None:
        policy(app, services, pin_delivery=delivery)
        start(browser, sent())
        assert ('name="pin"' in browser.get("/activate/station").text) is choice
        browser.post("/activate/station", {"station": desk.id, "pin": "server"})
        assert Job.get().pin_mode == ("server" if choice else "own")


class TestReader:
    def begin(self, browser: Browser, token: str, desk: Desk, **form: str) -> Job:
        start(browser, token)
        answer = browser.post("/activate/station", {"station": desk.id, **form})
        assert (answer.status_code, answer.location) == (303, "/activate/station")
        return Job.get()

    def tap(self, desk: Desk, services: Services, *, own: bool = False) -> None:
        ticket = desk.ticket()
        made = Authenticator(services.settings.origin, services.settings.rp_id)
        response = made.create(json.dumps(ticket["options"]))
        for event, body in (
            ("waiting", {}),
            ("card", KNOWS_ALL),
            ("pin_setting", {}),
            ("pin_set", {}),
            ("credential", {"response": response}),
            ("change_forced", {"forced": not own}),
            ("done", {}),
        ):
            assert desk.tell(ticket, event, **body).json == {"go": True}, event

    def test_the_live_panel_follows_the_card_to_its_end(
        self, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        job = self.begin(browser, sent(), desk)
        live = f"/desk/{job.resource_id}"
        assert "Asking Desk NFC" in browser.get("/activate/station").text
        ticket = desk.ticket()
        desk.tell(ticket, "waiting")
        answer = browser.get(live)
        assert "Tap the card on Desk NFC" in answer.text
        seen = re.search(r"seen=([^\"&]+)", answer.text)
        assert seen is not None
        assert browser.get(f"{live}?seen={seen[1]}").status_code == 204
        desk.tell(ticket, "waiting")
        assert browser.get(f"{live}?seen={seen[1]}").status_code == 204
        desk.tell(ticket, "card", **KNOWS_ALL)
        assert "Card detected" in browser.get(f"{live}?seen={seen[1]}").text
        desk.tell(ticket, "fault", fault="card_removed", step="tapped")
        fault = browser.get(live)
        assert "The card was taken away too early" in fault.text
        assert "Try again" in fault.text
        assert "hx-get" not in fault.text
        assert browser.post(f"{live}/retry").location == "/activate/station"
        self.tap(desk, services)
        end = browser.get(live)
        assert end.headers["HX-Redirect"] == "/activate/done"
        assert browser.get("/activate/station").location == "/activate/done"

    def test_done_says_where_the_pin_went_and_what_comes_next(
        self, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        self.begin(browser, sent(), desk)
        assert browser.get("/activate/done").location == "/activate/key"
        self.tap(desk, services)
        page = browser.get("/activate/done").text
        assert "a…@example.org" in page
        assert "ada@example.org" not in page
        assert "/activate/change-pin" in page
        assert "/me/sign-in" in page
        assert SecurityKey.get().state == KeyState.ACTIVE
        assert Activation.get().state == LinkState.USED
        mail = OutboxMail.get(OutboxMail.template == "pin")
        pin = services.vault.unseal(bytes(mail.sealed_secret), mail.message_id).decode()
        assert pin not in page

    def test_a_link_is_used_once(
        self, app: Flask, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        token = sent()
        self.begin(browser, token, desk)
        self.tap(desk, services)
        assert start(Browser(app), token).status_code == 410
        assert browser.send("/activate/browser/options", {}).status_code == 410
        assert browser.post("/activate/station", {"station": desk.id}).status_code == 410

    def test_an_own_pin_is_neither_mailed_nor_changed(
        self, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        job = self.begin(browser, sent(), desk, pin="own")
        assert job.sealed_pin is None
        self.tap(desk, services, own=True)
        page = browser.get("/activate/done").text
        assert "Change the PIN" not in page
        assert OutboxMail.select().where(OutboxMail.template == "pin").count() == 0
        assert OutboxMail.select().where(OutboxMail.template == "key_added").count() == 1

    def test_change_pin_comes_next_and_is_ticked_off(
        self, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        self.begin(browser, sent(), desk)
        assert browser.get("/activate/change-pin").location == "/activate/key"
        self.tap(desk, services)
        assert "Desk NFC" in browser.get("/activate/change-pin").text
        answer = browser.post("/activate/change-pin", {"station": desk.id})
        assert answer.location == "/activate/change-pin"
        ticket = desk.ticket()
        assert ticket["op"] == "change_pin"
        desk.tell(ticket, "waiting")
        assert "Tap the card on Desk NFC" in browser.get("/activate/change-pin").text
        known = [b64url(bytes(Credential.get().credential_id))]
        desk.tell(ticket, "card", **{**KNOWS_ALL, "known": known})
        desk.tell(ticket, "done")
        live = browser.get(f"/desk/{ticket['job']}")
        assert live.headers["HX-Redirect"] == "/activate/done"
        page = browser.get("/activate/done").text
        assert "Have the PIN from the mail ready" not in page

    def test_the_reader_used_last_is_offered_first(
        self, app: Flask, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        Desk.paired(app.test_client(), services, "Another desk")
        job = self.begin(browser, sent(), desk)
        browser.post(f"/desk/{job.resource_id}/cancel")
        page = browser.get("/activate/station").text
        assert page.index("Desk NFC") < page.index("Another desk")

    def test_cancel_before_the_tap_undoes_and_lets_choose_again(
        self, browser: Browser, sent: Sent, desk: Desk
    ) -> None:
        job = self.begin(browser, sent(), desk)
        answer = browser.post(f"/desk/{job.resource_id}/cancel")
        assert answer.location == "/activate/station?choose=1"
        assert Job.get().state == JobState.CANCELLED
        assert SecurityKey.get().state == KeyState.PENDING
        assert browser.post("/activate/station", {"station": desk.id}).status_code == 303
        assert desk.ticket()["op"] == "enrol"

    @pytest.mark.req("R20")
    def test_cancel_after_the_tap_keeps_the_pin_that_the_card_may_have(
        self, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        job = self.begin(browser, sent(), desk)
        ticket = desk.ticket()
        desk.tell(ticket, "card", **KNOWS_ALL)
        desk.tell(ticket, "pin_setting")
        browser.post(f"/desk/{job.resource_id}/cancel")
        assert Job.get().state == JobState.INTERRUPTED
        assert SecurityKey.get().state == KeyState.PENDING
        assert desk.tell(ticket, "pin_set").status_code == 409
        browser.post("/activate/station", {"station": desk.id, "pin": "own"})
        again = desk.ticket()
        assert desk.pin_of(again) == desk.pin_of(ticket)

    def test_another_browser_with_the_link_takes_over(
        self, app: Flask, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        token = sent()
        self.begin(browser, token, desk)
        other = Browser(app)
        job = self.begin(other, token, desk)
        assert browser.get(f"/desk/{job.resource_id}").status_code == 404
        assert other.get(f"/desk/{job.resource_id}").status_code == 200
        self.tap(desk, services)
        assert other.get("/activate/done").status_code == 200

    def test_a_reader_that_does_not_exist_is_said(self, browser: Browser, sent: Sent) -> None:
        start(browser, sent())
        answer = browser.post("/activate/station", {"station": "nothing"})
        assert answer.location == "/activate/station?choose=1"
        assert "Choose a reader" in browser.get(answer.location).text

    def test_the_readers_states_are_told_while_one_chooses(
        self, browser: Browser, sent: Sent, desk: Desk
    ) -> None:
        start(browser, sent())
        assert 'hx-get="/desk/readers"' in browser.get("/activate/station").text
        desk.poll("no_card")
        assert "Ready, no card" in browser.get("/desk/readers").text
        desk.poll("no_reader")
        states = browser.get("/desk/readers").text
        assert f'id="reader-{desk.id}" hx-swap-oob="innerHTML"' in states
        assert "No reader plugged in" in states

    def test_a_job_is_nobody_elses_to_see(
        self, app: Flask, browser: Browser, sent: Sent, desk: Desk
    ) -> None:
        job = self.begin(browser, sent(), desk)
        stranger = Browser(app)
        for path in ("", "/retry", "/cancel"):
            ask = stranger.post if path else stranger.get
            assert ask(f"/desk/{job.resource_id}{path}").status_code == 404
        assert Job.get().state == JobState.QUEUED


class TestBrowser:
    def options(self, browser: Browser) -> dict[str, Any]:
        answer = browser.send("/activate/browser/options", {})
        assert answer.status_code == 200, answer.json
        options: dict[str, Any] = json.loads(answer.text)
        return options

    def made(self, services: Services) -> Authenticator:
        return Authenticator(services.settings.origin, services.settings.rp_id)

    def test_a_credential_of_the_browser_activates_the_key(
        self, browser: Browser, sent: Sent, services: Services
    ) -> None:
        start(browser, sent())
        assert "/activate/browser/options" in browser.get("/activate/browser").text
        options = self.options(browser)
        assert options["user"]["name"] == "ada"
        assert options["authenticatorSelection"]["userVerification"] == "required"
        made = self.made(services)
        answer = browser.send(
            "/activate/browser/finish", {"credential": made.create(json.dumps(options))}
        )
        assert answer.json == {"location": "/activate/done"}
        key = SecurityKey.get()
        assert key.state == KeyState.ACTIVE
        assert bytes(Credential.get().credential_id) == made.credential_id
        assert Activation.get().state == LinkState.USED
        assert browser.get("/activate/browser").location == "/activate/done"
        page = browser.get("/activate/done").text
        assert "Change the PIN" not in page
        assert "Try it now" in page
        assert OutboxMail.select().where(OutboxMail.template == "pin").count() == 0
        assert OutboxMail.select().where(OutboxMail.template == "key_added").count() == 1

    @pytest.mark.req("R13")
    def test_a_refused_answer_leaves_the_link_good_and_the_challenge_dead(
        self, browser: Browser, sent: Sent, services: Services
    ) -> None:
        start(browser, sent())
        options = json.dumps(self.options(browser))
        made = self.made(services)
        unverified = browser.send(
            "/activate/browser/finish", {"credential": made.create(options, flags=UP)}
        )
        assert unverified.status_code == 400
        assert unverified.json["error"] == "The key did not ask for its PIN."
        again = browser.send("/activate/browser/finish", {"credential": made.create(options)})
        assert again.status_code == 400
        assert events(Event.KEY_REFUSED) == 2
        assert SecurityKey.get().state == KeyState.PENDING
        assert Credential.select().count() == 0
        assert Activation.get().state == LinkState.LIVE
        fresh = json.dumps(self.options(browser))
        last = browser.send("/activate/browser/finish", {"credential": made.create(fresh)})
        assert last.status_code == 200

    @pytest.mark.req("R13")
    def test_another_browser_cannot_answer(
        self, app: Flask, browser: Browser, sent: Sent, services: Services
    ) -> None:
        token = sent()
        start(browser, token)
        options = json.dumps(self.options(browser))
        other = Browser(app)
        start(other, token)
        answer = other.send(
            "/activate/browser/finish", {"credential": self.made(services).create(options)}
        )
        assert answer.status_code == 400
        assert Credential.select().count() == 0

    @pytest.mark.req("R11")
    def test_a_link_that_died_meanwhile_activates_nothing(
        self, browser: Browser, sent: Sent, services: Services
    ) -> None:
        start(browser, sent())
        options = json.dumps(self.options(browser))
        Activation.update(state="superseded").execute()
        answer = browser.send(
            "/activate/browser/finish", {"credential": self.made(services).create(options)}
        )
        assert answer.status_code == 410
        assert answer.json["error"]
        assert Credential.select().count() == 0

    @pytest.mark.parametrize(("kind", "status"), [(KeyKind.PASSKEY, 200), (KeyKind.USB_KEY, 400)])
    def test_what_can_be_copied_is_good_for_a_passkey_only(
        self, browser: Browser, sent: Sent, services: Services, kind: KeyKind, status: int
    ) -> None:
        start(browser, sent(kind))
        options = json.dumps(self.options(browser))
        copied = self.made(services).create(options, flags=UP | UV | BE)
        answer = browser.send("/activate/browser/finish", {"credential": copied})
        assert answer.status_code == status

    @pytest.mark.req("R14")
    def test_attestation_is_asked_for_where_the_policy_asks(
        self, app: Flask, browser: Browser, sent: Sent, services: Services
    ) -> None:
        policy(app, services, attestation=AttestationRule.REQUIRED)
        start(browser, sent())
        options = self.options(browser)
        assert options["attestation"] == "direct"
        answer = browser.send(
            "/activate/browser/finish",
            {"credential": self.made(services).create(json.dumps(options))},
        )
        assert answer.status_code == 400
        assert Credential.select().count() == 0

    def test_what_a_reader_began_is_dropped(
        self, browser: Browser, sent: Sent, desk: Desk, services: Services
    ) -> None:
        start(browser, sent())
        browser.post("/activate/station", {"station": desk.id})
        ticket = desk.ticket()
        desk.tell(ticket, "card", **KNOWS_ALL)
        options = json.dumps(self.options(browser))
        answer = browser.send(
            "/activate/browser/finish", {"credential": self.made(services).create(options)}
        )
        assert answer.status_code == 200
        assert Job.get().state == JobState.CANCELLED
        assert Job.get().sealed_pin is None
        assert desk.tell(ticket, "pin_setting").json["reason"] == "cancelled"
        assert SecurityKey.get().state == KeyState.ACTIVE

    @pytest.mark.parametrize("body", [[], {}, {"credential": "x"}, {"credential": {}}])
    def test_garbage_is_refused_in_words(self, browser: Browser, sent: Sent, body: object) -> None:
        start(browser, sent())
        self.options(browser)
        answer = browser.send("/activate/browser/finish", body)
        assert answer.status_code == 400
        assert answer.json["error"]


class TestOwnReader:
    def code(self, browser: Browser) -> str:
        page = browser.post("/activate/driver").text
        found = re.search(r'<p class="big-code"[^>]*>(\d{4}) (\d{4})<', page)
        assert found is not None, page
        return found[1] + found[2]

    def test_a_user_pairs_a_reader_that_serves_nobody_else(
        self, app: Flask, browser: Browser, sent: Sent, services: Services
    ) -> None:
        start(browser, sent())
        assert browser.get("/activate/driver").status_code == 200
        assert PairingCode.select().count() == 0
        code = self.code(browser)
        where = f"/activate/driver/{PairingCode.get().id}"
        assert browser.get(where).status_code == 204
        home = Desk(app.test_client(), services.settings.base_url)
        assert home.pair(code, "Kitchen table").status_code == 201
        assert "Kitchen table" in browser.get(where).text
        assert "Kitchen table" in browser.get("/activate/station").text

        station = Station.get()
        with transaction():
            eve = directory.create_user(
                {"userName": "eve", "active": True}, connection=None, actor=CLI
            )
            key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "admin", user=eve, actor=CLI)
        with pytest.raises(Exception, match="somebody's own"), transaction():
            orders.queue_enrolment(station, key, services, CLI)
        browser.post("/activate/station", {"station": home.id})
        assert home.ticket()["op"] == "enrol"

    def test_the_code_of_another_is_not_shown(
        self, app: Flask, browser: Browser, sent: Sent, services: Services
    ) -> None:
        start(browser, sent())
        self.code(browser)
        PairingCode.update(user=None).execute()
        assert browser.get(f"/activate/driver/{PairingCode.get().id}").status_code == 404

    def test_a_code_runs_out(self, browser: Browser, sent: Sent) -> None:
        start(browser, sent())
        self.code(browser)
        PairingCode.update(expires_at=now_ms() - MINUTE).execute()
        answer = browser.get(f"/activate/driver/{PairingCode.get().id}")
        assert "The code has run out" in answer.text


def test_nothing_of_the_link_is_in_the_database(
    browser: Browser, sent: Sent, services: Services
) -> None:
    token = sent()
    start(browser, token)
    assert Challenge.select().count() == 0
    assert token not in everything()
