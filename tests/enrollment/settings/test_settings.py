# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Settings in the panel: what may be changed, by whom, and what happens to what was typed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask import Flask

from enrollment import web
from provisioning import live_settings
from provisioning.audit import CLI, Event
from provisioning.models import AuditEvent, LiveSetting, Session
from provisioning.panel import access
from provisioning.panel.access import Role, SessionKind
from provisioning.services import EXTENSION, Services
from provisioning.settings import PinDelivery
from provisioning.storage.db import transaction
from tests.fakes.panel import Panel, text_of

PIN = {"pin_delivery": "mail", "pin_length": "8"}
MAIL = {
    "mail_server": "smtp.example.org", "mail_port": "587", "mail_tls": "starttls",
    "mail_username": "", "mail_password": "", "mail_sender": "keys@example.org", "language": "en",
}  # fmt: skip
BRANDING = {"organisation": "Example Hospital", "contact": "the desk", "accent_colour": ""}
PAGES = {
    "/settings/pin": PIN,
    "/settings/links": {"amount": "2", "unit": "hours", "second_code": "panel"},
    "/settings/leavers": {"leaver_grace_hours": "48"},
    "/settings/models": {"attestation": "none"},
    "/settings/mail": MAIL,
    "/settings/branding": {**BRANDING, "contact": "another desk"},
}
HOSTILE = [
    "<script>alert(1)</script>",
    "\u202egnihtemos",
    "x" * 10_000,
    "keys@example.org\r\nBcc: everybody@example.org",
    "\x00",
    "👩‍⚕️",
]


def version_on(page: str) -> str:
    found = re.search(r'name="version"[^>]*value="(\d+)"', page)
    assert found
    return found[1]


def save(panel: Panel, url: str, **fields: str) -> str:
    """Post the page as it stands, with these fields; what the browser sees then."""
    version = version_on(panel.get(url).text)
    answer = panel.post(url, {**PAGES.get(url, {}), "version": version, **fields})
    if answer.status_code == 303:
        answer = panel.get(answer.location)
    return text_of(answer)


def settings_of(app: Flask) -> object:
    return live_settings.refresh(app, now=True).settings


def test_the_list_says_what_holds_now(panel: Panel) -> None:
    page = panel.see("/settings")
    for words in ("6 digits, mailed", "Work for 24 hours", "revoked after 24 hours", "1 account"):
        assert words in page
    assert 'aria-current="page">' in panel.get("/settings/pin").text


def test_pins_get_longer_at_once(panel: Panel, app: Flask) -> None:
    assert "Saved." in save(panel, "/settings/pin", pin_length="9", pin_delivery="user_sets")
    settings = settings_of(app)
    assert settings.pin_length == 9  # type: ignore[attr-defined]
    assert settings.pin_delivery is PinDelivery.USER_SETS  # type: ignore[attr-defined]
    assert "People choose their own" in panel.see("/settings")


def test_saving_what_stands_there_changes_nothing(panel: Panel) -> None:
    assert "Nothing was changed." in save(panel, "/settings/pin", pin_length="6")
    assert not LiveSetting.select().exists()


def test_a_mailed_pin_is_called_a_deviation(panel: Panel) -> None:
    assert "A deviation from NIST SP 800-63B-4" in panel.see("/settings/pin")
    save(panel, "/settings/pin", pin_delivery="user_sets")
    assert "A deviation" not in panel.see("/settings/pin")


@pytest.mark.req("R11")
def test_a_link_that_lives_longer_than_a_day_is_shown_as_a_deviation(
    panel: Panel, app: Flask
) -> None:
    assert "deviation" not in panel.see("/settings/links")
    save(panel, "/settings/links", amount="3", unit="days")
    assert settings_of(app).link_lifetime_minutes == 3 * 24 * 60  # type: ignore[attr-defined]
    assert "Longer than 24 hours is a deviation." in panel.see("/settings/links")
    assert "Longer than 24 hours" in panel.see("/settings")


@pytest.mark.req("R11")
@pytest.mark.parametrize(("amount", "unit"), [("4", "minutes"), ("8", "days"), ("169", "hours")])
def test_a_link_lives_from_five_minutes_to_seven_days(panel: Panel, amount: str, unit: str) -> None:
    page = save(panel, "/settings/links", amount=amount, unit=unit)
    assert "five minutes at least and seven days at most" in page
    assert not LiveSetting.select().exists()


@pytest.mark.parametrize("url", PAGES)
def test_everybody_may_look_and_only_an_owner_saves(app: Flask, panel: Panel, url: str) -> None:
    for role in (Role.AUDITOR, Role.OPERATOR, Role.OFFICER):
        other = Panel(app, role, name=f"A {role}")
        assert "Only an owner changes this." in other.see(url)
        assert "<fieldset" in other.get(url).text
        assert other.post(url, PAGES[url]).status_code == 403
    assert not LiveSetting.select().exists()


@pytest.mark.parametrize("url", sorted(PAGES.keys() - {"/settings/models"}))
def test_a_change_is_in_the_log(panel: Panel, url: str) -> None:
    assert "Saved." in save(panel, url)
    [row] = AuditEvent.select().where(AuditEvent.event == Event.SETTINGS_CHANGED)
    assert row.actor_name == "Grace Hopper"
    assert "Settings changed:" in panel.see("/activity")


@pytest.mark.parametrize("url", ["/settings/mail", "/settings/models"])
def test_the_mail_server_and_the_models_ask_for_the_key_again_and_keep_what_was_typed(
    app: Flask, url: str
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    panel = Panel(app, stepped_up=False)
    version = version_on(panel.get(url).text)
    fields = {**PAGES[url], "mail_server": "typed.example.org", "attestation": "none"}
    answer = panel.post(url, {**fields, "mail_password": "canary", "version": version})
    assert answer.location == f"/step-up?next={url}"
    assert not LiveSetting.select().exists()
    panel.step_up()
    page = panel.get(url).text
    assert "What you typed is still here." in page
    assert "canary" not in page
    if url == "/settings/mail":
        assert 'value="typed.example.org"' in page


@pytest.mark.parametrize("url", PAGES)
def test_a_session_that_ends_in_mid_form_loses_nothing(panel: Panel, url: str) -> None:
    version = version_on(panel.get(url).text)
    Session.update(last_seen_at=1).execute()
    answer = panel.post(url, {**PAGES[url], "version": version, "csrf_token": "secret-token"})
    assert answer.location == f"/sign-in?next={url}"
    Session.update(last_seen_at=panel.session.last_seen_at).execute()
    page = panel.get(url).text
    assert "What you typed is still here." in page
    for value in PAGES[url].values():
        assert value in page
    assert "still here" not in panel.get(url).text


def test_what_was_typed_on_one_page_does_not_turn_up_on_another(panel: Panel) -> None:
    Session.update(last_seen_at=1).execute()
    panel.post("/settings/branding", {**BRANDING, "contact": "canary desk"})
    Session.update(last_seen_at=panel.session.last_seen_at).execute()
    assert "still here" not in panel.see("/settings/pin")
    assert "canary desk" in panel.get("/settings/branding").text


def test_what_one_admin_typed_is_not_shown_to_the_next_at_the_same_browser(
    app: Flask, panel: Panel
) -> None:
    Session.update(last_seen_at=1).execute()
    panel.post("/settings/branding", {**BRANDING, "contact": "canary desk"})
    with transaction():
        other = access.create_account("Next admin", Role.OWNER, CLI)
        _session, secret = access.open_session(SessionKind.PANEL, account=other)
    panel.client.set_cookie(web.COOKIE[SessionKind.PANEL], secret)
    page = panel.get("/settings/branding").text
    assert "Next admin" in page
    assert "canary desk" not in page


def test_of_two_owners_the_second_sees_both_values_and_loses_neither(
    app: Flask, panel: Panel
) -> None:
    other = Panel(app, name="Other owner")
    version = version_on(other.get("/settings/pin").text)
    save(panel, "/settings/pin", pin_length="8")
    answer = other.post("/settings/pin", {**PIN, "pin_length": "12", "version": version})
    page = answer.text
    assert answer.status_code == 200
    assert "Somebody else has saved “8” here in the meantime." in page
    assert 'value="12"' in page
    assert settings_of(app).pin_length == 8  # type: ignore[attr-defined]
    again = other.post("/settings/pin", {**PIN, "pin_length": "12", "version": version_on(page)})
    assert again.status_code == 303
    assert settings_of(app).pin_length == 12  # type: ignore[attr-defined]


def test_what_the_environment_sets_is_shown_as_fixed_and_stays(
    app: Flask, panel: Panel, services: Services
) -> None:
    app.extensions[EXTENSION] = replace(services, fixed=frozenset({"pin_length", "mail_server"}))
    page = panel.see("/settings/pin")
    assert "Fixed by the server’s configuration" in page
    assert "KEYWRIGHT_PIN_LENGTH" in page
    assert 'name="pin_length"' not in panel.get("/settings/pin").text
    assert "Saved." in save(panel, "/settings/pin", pin_length="12", pin_delivery="user_sets")
    assert settings_of(app).pin_length == 6  # type: ignore[attr-defined]
    assert "Saved." in save(panel, "/settings/mail", mail_server="evil.example.net")
    assert settings_of(app).mail_server == "localhost"  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", PAGES)
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_are_refused_or_kept_as_words(
    app: Flask, panel: Panel, url: str, hostile: str
) -> None:
    for field in PAGES[url]:
        version = version_on(panel.get(url).text)
        answer = panel.post(url, {**PAGES[url], "version": version, field: hostile})
        # A NUL is refused for all pages at once, before any form.
        assert answer.status_code in ((400,) if hostile == "\x00" else (200, 303))
        assert "<script>alert" not in answer.text
        if answer.status_code == 200:
            assert 'class="field-error"' in answer.text
    for value in settings_of(app).model_dump().values():  # type: ignore[attr-defined]
        if isinstance(value, str):
            assert "\n" not in value
            assert len(value) <= 320


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("/settings/pin", "pin_length"),
        ("/settings/links", "amount"),
        ("/settings/leavers", "leaver_grace_hours"),
        ("/settings/mail", "mail_server"),
        ("/settings/mail", "mail_sender"),
        ("/settings/branding", "organisation"),
        ("/settings/branding", "contact"),
    ],
)
def test_a_field_that_is_needed_says_so(panel: Panel, url: str, field: str) -> None:
    answer = panel.post(url, {**PAGES[url], field: ""})
    assert answer.status_code == 200
    assert f'id="{field}-error"' in answer.text


@pytest.mark.parametrize("url", PAGES)
def test_a_form_without_its_token_changes_nothing(app: Flask, url: str) -> None:
    panel = Panel(app)
    app.config["WTF_CSRF_ENABLED"] = True
    assert panel.post(url, PAGES[url]).status_code == 400
    assert not LiveSetting.select().exists()


@pytest.mark.parametrize("version", ["", "-1", "x", "9" * 30, "١"])
def test_a_version_that_is_none_is_taken_for_the_oldest(
    app: Flask, panel: Panel, version: str
) -> None:
    save(panel, "/settings/pin", pin_length="8")
    answer = panel.post("/settings/pin", {**PIN, "pin_length": "10", "version": version})
    assert answer.status_code == 200
    assert settings_of(app).pin_length == 8  # type: ignore[attr-defined]
