# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who gets in where, for every address of the app: one that is new is asked for, too.

What is open to strangers, and what an auditor may send, is listed here; all else is refused.
"""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from enrollment import web
from provisioning.panel.access import Role, SessionKind
from provisioning.services import Services
from tests.fakes.panel import Panel
from tests.fakes.people import active_key, person
from tests.pages import filling

# Who has no session yet, or none of ours: signing in, links, stations, what pages are made of.
STRANGERS = {
    "activation.ask",
    "activation.page",
    "activation.start",
    "desk_job.cancel",
    "desk_job.live",
    "desk_job.readers",
    "desk_job.retry",
    "driver.download",
    "driver.page",
    "health.healthz",
    "home",  # leads to a page that asks
    "me_pin.page",
    "me_pin.start",
    "me_sign_in.at_reader",
    "me_sign_in.collect",
    "me_sign_in.finish",
    "me_sign_in.options",
    "me_sign_in.page",
    "settings_branding.accent",
    "settings_branding.logo",
    "sign_in.join",
    "sign_in.owner",
    "sign_in.owner_demo",
    "sign_in.owner_finish",
    "sign_in.owner_options",
    "sign_in.page",
    "sign_in.sign_in_finish",
    "sign_in.sign_in_options",
    "sign_in.sign_out",
    "static",
    "station_api.events",
    "station_api.pair",
    "station_api.poll",
}
# An auditor's own affairs.
OWN = {
    "account.finish",
    "account.language",
    "account.options",
    "account.remove",
    "at_reader.again",
    "at_reader.ask",
    "at_reader.cancel",
    "sign_in.step_up_finish",
    "sign_in.step_up_options",
}


def rules(app: Flask, method: str) -> list[Rule]:
    """The app's addresses that take this method, those for strangers and for machines left out."""
    return [
        rule
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ()) and rule.endpoint not in STRANGERS
    ]


def path_of(app: Flask, rule: Rule, method: str) -> str:
    """An address by the rule, with something in each place."""
    known = {
        name: getattr(converter, "items", None) for name, converter in rule._converters.items()
    }
    values = {name: min(items) if items else 1 for name, items in known.items()}
    return app.url_map.bind("localhost").build(rule.endpoint, values, method=method)


def is_refused(answer: TestResponse) -> bool:
    """Whether somebody was led to a way in, or told that they have to sign in."""
    ways = ("/sign-in", "/me/sign-in", "/activate")
    led = (answer.location or answer.headers.get("HX-Redirect", "")).partition("?")[0]
    return answer.status_code == 401 or led in ways


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_strangers_see_and_do_nothing(app: Flask, client: FlaskClient, method: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    for limiter in app.extensions["limiter"]:
        limiter.reset()
    wrong = {}
    for rule in rules(app, method):
        answer = client.open(path_of(app, rule, method), method=method)
        if not is_refused(answer):
            wrong[rule.endpoint] = answer.status
    # Saving while signed out says so on the page that is open; nothing was saved.
    assert {name: one for name, one in wrong.items() if not name.startswith("wizard_live.")} == {}


def test_an_auditor_changes_nothing(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    auditor = Panel(app, Role.AUDITOR)
    panels = [
        rule
        for rule in rules(app, "POST")
        if rule.endpoint not in OWN and not rule.rule.startswith(("/me", "/activate"))
    ]
    answers = {rule.endpoint: auditor.post(path_of(app, rule, "POST")) for rule in panels}
    assert {name: one.status for name, one in answers.items() if one.status_code != 403} == {}
    assert len(answers) > 80


@pytest.mark.parametrize("kind", [SessionKind.USER, SessionKind.ACTIVATION])
def test_one_kind_of_session_opens_no_other_door(
    app: Flask, services: Services, kind: SessionKind
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    panel = Panel(app)
    filling.fill(services, panel.account)
    filling.link_of(services)
    secret = filling.session_of(kind)
    client = app.test_client()
    mine = ("/me",) if kind is SessionKind.USER else ("/activate",)
    for other in SessionKind:
        client.set_cookie(web.COOKIE[other], secret)
    others = [
        rule
        for rule in rules(app, "GET")
        if not rule.rule.startswith(mine) and not rule.endpoint.startswith("wizard_live.")
    ]
    for rule in others:
        answer = client.get(path_of(app, rule, "GET"))
        assert is_refused(answer), (rule.rule, answer.status)


def test_one_persons_page_knows_nothing_of_anothers_keys(app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    panel = Panel(app)
    filling.fill(services, panel.account)
    foreign = active_key(person("other"))
    client = app.test_client()
    client.set_cookie(web.COOKIE[SessionKind.USER], filling.session_of(SessionKind.USER))
    about_keys = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("me.") and "key_id" in rule.arguments
    ]
    assert len(about_keys) > 2
    for rule in about_keys:
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        path = app.url_map.bind("localhost").build(
            rule.endpoint, {"key_id": foreign.resource_id}, method=method
        )
        assert client.open(path, method=method).status_code == 404


def test_the_lists_above_name_what_is_there(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} >= STRANGERS | OWN
