# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A spare key by oneself, and one's own language."""

from __future__ import annotations

import uuid

import pytest
from flask import Flask

from enrollment import web
from provisioning import groups
from provisioning.audit import CLI
from provisioning.errors import PolicyForbids, WrongState
from provisioning.issuing import group_policies, spare_keys
from provisioning.issuing.policy import Method, Policy
from provisioning.lifecycle import KeyKind, KeyState
from provisioning.mails import languages
from provisioning.models import Activation, OutboxMail, Preference, SecurityKey, User
from provisioning.panel import access
from provisioning.panel.access import Role, SessionKind
from provisioning.services import EXTENSION, Services
from provisioning.storage.db import transaction
from tests.fakes import people
from tests.fakes.browser import Browser
from tests.fakes.panel import text_of

ADDED = {"kind": "passkey", "name": "Phone"}


@pytest.fixture
def app(app: Flask, services: Services) -> Flask:
    app.config["WTF_CSRF_ENABLED"] = False
    settings = services.settings.model_copy(update={"spare_keys": True})
    app.extensions[EXTENSION] = Services(settings, services.vault)
    return app


@pytest.fixture
def given(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


@pytest.fixture
def ada(services: Services) -> User:
    ada = people.person()
    people.active_key(ada)
    return ada


@pytest.fixture
def browser(app: Flask, ada: User) -> Browser:
    """Ada, signed in with her card."""
    made = Browser(app)
    with transaction():
        key = SecurityKey.get(SecurityKey.user == ada)
        _session, secret = access.open_session(SessionKind.USER, user=ada, key=key)
    made.client.set_cookie(web.COOKIE[SessionKind.USER], secret)
    return made


def restrict(ada: User, policy: Policy) -> None:
    """Put Ada into a group with a policy."""
    with transaction():
        group = groups.create_group({"displayName": "Nurses"}, connection=None, actor=CLI)
        groups.add_members(group, [ada.resource_id], actor=CLI)
        group_policies.save(group, policy, version=0, actor=CLI)


def test_a_person_adds_a_spare_key_and_goes_straight_to_its_activation(
    browser: Browser, ada: User
) -> None:
    assert "Add a spare key" in text_of(browser.client.get("/me"))
    answer = browser.client.post("/me/keys/add", data=ADDED)
    assert answer.location == "/activate/key"
    key = SecurityKey.get(SecurityKey.name == "Phone")
    assert (key.user, key.state, key.kind) == (ada, KeyState.PENDING, KeyKind.PASSKEY)
    assert "Phone" in text_of(browser.client.get("/activate/key"))
    [mail] = OutboxMail.select()
    assert (mail.template, mail.recipient) == ("activation_link", "ada@example.org")
    assert Activation.get().opened_at is not None


def test_without_the_setting_nobody_adds_anything(
    app: Flask, services: Services, browser: Browser
) -> None:
    app.extensions[EXTENSION] = services
    assert "Add a spare key" not in text_of(browser.client.get("/me"))
    assert browser.client.get("/me/keys/add").status_code == 403
    assert browser.client.post("/me/keys/add", data=ADDED).status_code == 403
    assert SecurityKey.select().count() == 1


@pytest.mark.parametrize(
    "policy",
    [
        Policy(second_approver=True),
        Policy(role=Role.OFFICER),
        Policy(methods=frozenset({Method.ADMIN})),
    ],
)
def test_groups_that_look_at_keys_themselves_let_nobody_add_one(
    browser: Browser, ada: User, given: Services, policy: Policy
) -> None:
    restrict(ada, policy)
    assert spare_keys.kinds_for(ada, given) == []
    assert browser.client.post("/me/keys/add", data=ADDED).status_code == 403


def test_a_group_may_leave_some_kinds_only(browser: Browser, ada: User, given: Services) -> None:
    restrict(ada, Policy(kinds=frozenset({KeyKind.USB_KEY})))
    assert spare_keys.kinds_for(ada, given) == [KeyKind.USB_KEY]
    answer = browser.client.post("/me/keys/add", data=ADDED)
    assert answer.status_code == 200
    assert 'id="kind-error"' in answer.text
    with transaction(), pytest.raises(PolicyForbids):
        spare_keys.add(ada, KeyKind.PASSKEY, "Phone", CLI, given)


def test_five_keys_are_enough(browser: Browser, ada: User, given: Services) -> None:
    for number in range(4):
        people.pending_key(ada, f"Key {number}")
    assert "Add a spare key" not in text_of(browser.client.get("/me"))
    with transaction(), pytest.raises(WrongState, match="5 keys already"):
        spare_keys.add(ada, KeyKind.PASSKEY, "Phone", CLI, given)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "This field is required."),
        ("x" * 65, "longer than 64"),
        ("two\nlines", "on one line"),
        ("Card of Ada", "already has a key named"),
    ],
)
def test_a_bad_name_is_told_beside_the_field(browser: Browser, name: str, said: str) -> None:
    answer = browser.client.post("/me/keys/add", data={**ADDED, "name": name})
    assert answer.status_code == 200
    assert said in text_of(answer)
    assert SecurityKey.select().where(SecurityKey.kind == KeyKind.PASSKEY).count() == 0


def test_whoever_is_signed_out_is_led_to_the_way_in(app: Flask) -> None:
    client = app.test_client()
    for url in ("/me/keys/add", "/me/language"):
        assert client.post(url, data=ADDED).location == "/me/sign-in"


def test_a_person_chooses_a_language_and_takes_it_back(browser: Browser, ada: User) -> None:
    browser.client.post("/me/language", data={"language": "de"})
    assert 'lang="de"' in browser.client.get("/me").text
    assert Preference.get().language == "de"
    browser.client.post("/me/language", data={"language": "en"})
    page = browser.client.get("/me", headers={"Accept-Language": "de"}).text
    assert 'lang="en"' in page
    browser.client.post("/me/language", data={"language": ""})
    assert not Preference.select().exists()
    assert 'lang="de"' in browser.client.get("/me", headers={"Accept-Language": "de-AT"}).text


@pytest.mark.parametrize("language", ["xx", "<script>", "d" * 10_000, "de\nde"])
def test_a_language_that_is_none_changes_nothing(browser: Browser, language: str) -> None:
    answer = browser.client.post("/me/language", data={"language": language})
    assert answer.status_code == 303
    assert not Preference.select().exists()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"preferredLanguage": "de-AT"}, "de-AT"),
        ({"preferredLanguage": "fr, de;q=0.8, en;q=0.9"}, "en"),
        ({"preferredLanguage": "da, de;q=0.7"}, "de"),
        ({"preferredLanguage": "fr-FR", "locale": "de_DE"}, "de-DE"),
        ({"locale": "de-CH"}, "de-CH"),
        ({"preferredLanguage": "tlh"}, "en"),
        ({"preferredLanguage": ";;;,,=q" * 500}, "en"),
        ({}, "en"),
    ],
)
def test_mails_are_in_the_language_that_the_directory_names(
    services: Services, document: dict[str, object], told: str
) -> None:
    user = people.person(str(uuid.uuid4()), **document)
    assert languages.of_user(user, services.settings) == told


def test_a_persons_own_choice_goes_before_the_directory_and_that_before_the_default(
    services: Services, ada: User
) -> None:
    german = services.settings.model_copy(update={"language": "de"})
    assert languages.of_user(ada, german) == "de"
    berta = people.person("berta", preferredLanguage="de")
    assert languages.of_user(berta, services.settings) == "de"
    with transaction():
        languages.choose(berta, "en")
    assert languages.of_user(berta, german) == "en"
