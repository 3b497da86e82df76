# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape

import pytest
from flask import Flask

from provisioning import live_settings
from provisioning.audit import Event
from provisioning.mails.mail import Template
from provisioning.models import AuditEvent, LiveSetting
from tests.enrollment.settings.test_settings import MAIL, save
from tests.fakes.panel import Panel
from tests.fakes.smtp import Fault, Sink

ANYWHERE = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])
PASSWORD = "canary-4711"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def ready(panel: Panel, sink: Sink) -> Panel:
    """An owner's browser, and a mail server that is set up."""
    save(panel, "/settings/mail", mail_server=sink.host, mail_port=str(sink.port), mail_tls="none")
    return panel


def send(panel: Panel, address: str = "grace@example.org") -> str:
    answer = panel.post("/settings/mail/test", {"address": address})
    assert answer.location == "/settings/mail"
    return panel.see("/settings/mail")


@ANYWHERE
def test_a_test_mail_shows_what_the_mail_server_says(ready: Panel, sink: Sink) -> None:
    assert "took the test mail to grace@example.org: 250 OK" in send(ready)
    [got] = sink.wait_for(1)
    assert got.envelope_to == ("grace@example.org",)
    assert got.message["Subject"] == "A test mail from Example Hospital"
    assert got.message.get_content_type() == "multipart/alternative"
    [row] = AuditEvent.select().where(AuditEvent.event == Event.MAIL_TESTED)
    assert json.loads(row.detail) == {"address": "grace@example.org", "result": "250 OK"}


@ANYWHERE
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault.ADDRESS_5XX, "did not leave: The mail server refused the address: 550 5.1.1 No"),
        (Fault.SENDER_5XX, "refused our sender address: 550 5.7.1 We do not relay"),
        (Fault.MAIL_4XX, "refused the mail: 451 4.3.0"),
        (Fault.REFUSE, "closed the connection"),
    ],
)
def test_a_test_mail_that_fails_says_why_in_plain_words(
    ready: Panel, sink: Sink, fault: Fault, said: str
) -> None:
    sink.fail(fault)
    page = send(ready)
    assert said in page
    assert "Traceback" not in page


@ANYWHERE
def test_no_mail_server_is_a_sentence_too(ready: Panel, sink: Sink) -> None:
    sink.stop()
    assert "The mail server cannot be reached" in send(ready)


@pytest.mark.parametrize(
    "address", ["", "nobody", "a@b.example, c@d.example", "a@b.example\r\nBcc: x@y.example"]
)
def test_a_test_mail_goes_to_one_good_address_or_nowhere(panel: Panel, address: str) -> None:
    answer = panel.post("/settings/mail/test", {"address": address})
    assert answer.status_code == 200
    assert 'id="address-error"' in answer.text


def test_only_an_owner_who_used_the_key_again_sends_one(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    panel = Panel(app, stepped_up=False)
    answer = panel.post("/settings/mail/test", {"address": "grace@example.org"})
    assert answer.location == "/step-up?next=/settings/mail"


def test_an_empty_password_field_keeps_the_password(panel: Panel, app: Flask) -> None:
    save(panel, "/settings/mail", mail_username="keys", mail_password=PASSWORD)
    assert "Leave this empty to keep it." in panel.see("/settings/mail")
    assert PASSWORD not in panel.get("/settings/mail").text
    save(panel, "/settings/mail", mail_username="keys", mail_port="25")
    settings = live_settings.refresh(app, now=True).settings
    assert (settings.mail_password, settings.mail_port) == (PASSWORD, 25)
    save(panel, "/settings/mail", mail_username="")
    assert live_settings.refresh(app, now=True).settings.mail_password == ""


def test_no_page_and_no_log_shows_the_password(panel: Panel) -> None:
    save(panel, "/settings/mail", mail_username="keys", mail_password=PASSWORD)
    assert PASSWORD not in panel.get("/settings/mail").text + panel.get("/activity").text
    for row in AuditEvent.select():
        assert PASSWORD not in row.detail
    refused = panel.post("/settings/mail", {**MAIL, "mail_port": "0", "mail_password": PASSWORD})
    assert refused.status_code == 200
    assert PASSWORD not in refused.text
    assert LiveSetting.get(LiveSetting.name == "mail_password").value is None


@pytest.mark.parametrize("template", Template)
@pytest.mark.parametrize("language", ["en", "de", "tlh"])
def test_every_mail_can_be_looked_at_in_both_halves(
    panel: Panel, template: Template, language: str
) -> None:
    answer = panel.get(f"/settings/mail/templates/{template}?language={language}")
    assert answer.status_code == 200
    assert "frame-src 'self'" in answer.headers["Content-Security-Policy"]
    frame = re.search(r'<iframe[^>]* src="([^"]+)" sandbox', answer.text)
    assert frame
    half = panel.get(unescape(frame[1]))
    assert "Example Hospital" in half.text
    assert "Example Hospital" in answer.text


def test_a_preview_keeps_the_looks_without_inline_styles(panel: Panel) -> None:
    half = panel.get("/settings/mail/templates/pin/html")
    policy = half.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "sandbox" in policy
    assert " style=" not in half.text
    assert re.search(r'\[data-style="\d+"\] \{ [^}]*letter-spacing:0\.3em', half.text)
    nonce = re.search(r"style-src 'nonce-([^']+)'", policy)
    assert nonce
    assert f'<style nonce="{nonce[1]}">' in half.text


def test_nothing_else_may_be_framed(panel: Panel) -> None:
    for url in ("/settings/mail", "/settings/mail/templates", "/settings/mail/templates/pin"):
        assert "frame-ancestors 'none'" in panel.get(url).headers["Content-Security-Policy"]


def test_there_is_no_other_template(panel: Panel) -> None:
    for name in ("layout", "../base", "parts", "x"):
        assert panel.get(f"/settings/mail/templates/{name}").status_code == 404
        assert panel.get(f"/settings/mail/templates/{name}/html").status_code == 404


def test_the_button_of_a_mail_has_the_organisations_colour(panel: Panel) -> None:
    save(panel, "/settings/branding", accent_colour="#0a5c36")
    half = panel.get("/settings/mail/templates/activation_link/html").text
    assert "background-color:#0a5c36" in half
    assert "#3d50d0" not in half


def test_pages_and_errors_speak_the_language_that_an_admin_has_chosen(
    app: Flask, panel: Panel
) -> None:
    assert (
        "Am Panel anmelden"
        in app.test_client()
        .get("/sign-in", headers={"Accept-Language": "de-CH,de;q=0.9,en;q=0.5"})
        .text
    )
    panel.post("/account/language", {"language": "de"})
    page = panel.get("/settings").text
    assert 'lang="de"' in page
    assert "PIN-Richtlinie" in page
    wrong = {"name": "Ada", "email": "", "role": "auditor", "user_name": "nobody"}
    assert "Es gibt keinen Benutzer nobody." in panel.post("/settings/accounts", wrong).text
    assert "Ihre PIN" in panel.get("/settings/mail/templates/pin/html").text
    panel.post("/account/language", {"language": "en"})
    assert "PIN policy" in panel.get("/settings", headers={"Accept-Language": "de"}).text
