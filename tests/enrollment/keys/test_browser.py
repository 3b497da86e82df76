# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A USB key or passkey that is activated in person, at the admin's browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from provisioning import audit, groups, keys
from provisioning.audit import CLI, Event
from provisioning.issuing import group_policies
from provisioning.issuing.policy import Method, Policy
from provisioning.lifecycle import KeyKind, KeyState
from provisioning.models import AuditEvent, Credential, OutboxMail, SecurityKey, User
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from tests.fakes.authenticator import Authenticator
from tests.fakes.panel import CARD, Panel
from tests.fakes.people import pending_key, person

USB = {**CARD, "kind": "usb_key", "key_name": "Key of Ada Lovelace"}


@pytest.fixture
def services(data: Path, vault: Vault) -> Iterator[Services]:
    settings = load(data, base_url="http://localhost:5005", demo=True, attestation="none")
    migrate(open_database(settings.database_url))
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


@pytest.fixture
def stick(services: Services) -> Authenticator:
    return Authenticator(services.settings.origin, services.settings.rp_id)


def waiting(user: User, kind: KeyKind = KeyKind.USB_KEY) -> SecurityKey:
    with transaction():
        key = keys.draft(kind, "Key of Ada", "user", user=user, actor=CLI)
        keys.assign(key, user, CLI)
    return key


def use(panel: Panel, url: str, stick: Authenticator, **fields: str) -> TestResponse:
    """What webauthn.js does with a key in this browser."""
    options = panel.client.post(f"{url}/options", json=fields)
    assert options.status_code == 200, options.text
    credential = stick.create(options.text)
    return panel.client.post(f"{url}/finish", json={**fields, "credential": credential})


def now(key: SecurityKey) -> SecurityKey:
    return SecurityKey.get_by_id(key.id)


@pytest.mark.parametrize("kind", [KeyKind.USB_KEY, KeyKind.PASSKEY])
def test_a_waiting_key_is_activated_at_this_browser(
    panel: Panel, stick: Authenticator, kind: KeyKind
) -> None:
    key = waiting(person(), kind)
    panel.post(f"/keys/{key.resource_id}/resend")
    url = f"/keys/{key.resource_id}/browser"
    assert url in panel.get(f"/users/{key.user.resource_id}").text
    assert "Nobody here learns it, and none is mailed" in panel.see(url)
    answer = use(panel, url, stick)
    assert answer.json["location"] == f"/users/{key.user.resource_id}"
    assert now(key).state == KeyState.ACTIVE
    assert {mail.template for mail in OutboxMail.select()} == {"activation_link", "key_added"}
    assert panel.client.post(f"{url}/options", json={}).status_code == 409


def test_the_wizard_makes_a_usb_key_here_and_confirm_makes_it_count(
    panel: Panel, stick: Authenticator
) -> None:
    draft = panel.to_key_step()
    assert use(panel, f"{draft}/browser", stick, **USB).status_code == 200
    assert SecurityKey.get().state == KeyState.DRAFT
    assert "“Key of Ada Lovelace” is made and checked" in panel.see(f"{draft}/security-key")
    assert panel.step(draft, "security-key", **USB).location.endswith("/review")
    assert "The key has the PIN that was chosen in this browser" in panel.see(f"{draft}/review")
    panel.step(draft, "review", go="confirm")
    key = SecurityKey.get()
    assert (key.state, key.kind, key.user) == (KeyState.ACTIVE, "usb_key", User.get())
    assert [mail.template for mail in OutboxMail.select()] == ["key_added"]


def test_without_the_key_the_wizard_goes_no_further(panel: Panel) -> None:
    draft = panel.to_key_step()
    assert panel.step(draft, "security-key", **USB).location.endswith("/security-key")
    assert panel.step(draft, "review", go="confirm").location.endswith("/security-key")
    assert not User.select().exists()


def test_another_device_takes_another_key(panel: Panel, stick: Authenticator) -> None:
    draft = panel.to_key_step()
    use(panel, f"{draft}/browser", stick, **USB)
    passkey = {**USB, "kind": "passkey"}
    assert panel.step(draft, "security-key", **passkey).location.endswith("/security-key")
    other = Authenticator(stick.origin, stick.rp_id)
    use(panel, f"{draft}/browser", other, **passkey)
    panel.step(draft, "security-key", **passkey)
    panel.step(draft, "review", go="confirm")
    states = {key.kind: key.state for key in SecurityKey.select()}
    assert states == {"usb_key": KeyState.REVOKED, "passkey": KeyState.ACTIVE}


def test_a_cancelled_wizard_leaves_no_key_that_counts(panel: Panel, stick: Authenticator) -> None:
    draft = panel.to_key_step()
    use(panel, f"{draft}/browser", stick, **USB)
    panel.post(f"{draft}/cancel")
    assert SecurityKey.get().state == KeyState.REVOKED


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "contactless_card"},
        {"kind": "x", "assign_key": ""},
        {"method": "user"},
        {"key_name": "\ud800"},
    ],
    ids=str,
)
def test_the_browser_is_asked_for_what_it_makes_and_nothing_else(
    panel: Panel, other: dict[str, str]
) -> None:
    draft = panel.to_key_step()
    answer = panel.client.post(f"{draft}/browser/options", json={**USB, **other})
    assert answer.status_code in (400, 409)
    assert not SecurityKey.select().exists()
    assert panel.get(f"{draft}/security-key").status_code == 200


def test_a_wrong_answer_of_the_wizard_is_told_before_the_key_is_asked(panel: Panel) -> None:
    draft = panel.to_key_step()
    answer = panel.client.post(f"{draft}/browser/options", json={**USB, "key_name": " "})
    assert answer.status_code == 409
    assert "A key needs a name" in answer.json["error"]
    assert not SecurityKey.select().exists()


@pytest.mark.req("R14")
def test_a_bad_answer_is_refused_and_told(panel: Panel, stick: Authenticator) -> None:
    key = waiting(person())
    url = f"/keys/{key.resource_id}/browser"
    options = panel.client.post(f"{url}/options", json={})
    credential = stick.create(options.text, flags=0x01)
    refused = panel.client.post(f"{url}/finish", json={"credential": credential})
    assert refused.status_code == 400
    assert now(key).state == KeyState.PENDING
    assert not Credential.select().exists()
    assert "user_not_verified" in AuditEvent.get(AuditEvent.event == Event.KEY_REFUSED).detail
    again = panel.client.post(f"{url}/finish", json={"credential": stick.create(options.text)})
    assert again.status_code == 400, "a challenge is dead after one try"


@pytest.mark.req("R25")
def test_nobody_activates_a_key_of_their_own(app: Flask, stick: Authenticator) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    user = person()
    key = waiting(user)
    panel = Panel(app, user=user)
    assert panel.get(f"/keys/{key.resource_id}/browser").status_code == 403
    assert panel.client.post(f"/keys/{key.resource_id}/browser/options", json={}).status_code == 403


def test_it_asks_for_the_admins_key_first(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    key = waiting(person())
    operator = Panel(app, Role.OPERATOR, stepped_up=False)
    url = f"/keys/{key.resource_id}/browser"
    assert operator.get(url).location.startswith("/step-up")
    assert operator.client.post(f"{url}/options", json={}).status_code in (401, 403)
    draft = operator.to_key_step()
    operator.step(draft, "security-key", **USB)
    assert "Confirm with your own key first." in operator.see(f"{draft}/security-key")


def test_a_policy_that_wants_users_to_activate_is_held(panel: Panel, stick: Authenticator) -> None:
    user = person()
    key = waiting(user)
    url = f"/keys/{key.resource_id}/browser"
    with transaction():
        group = groups.create_group({"displayName": "Clinic"}, connection=None, actor=CLI)
        groups.add_members(group, [user.resource_id], actor=CLI)
        policy = Policy(methods=frozenset({Method.USER}))
        group_policies.save(group, policy, version=0, actor=CLI)
    answer = use(panel, url, stick)
    assert answer.status_code >= 400
    assert "activated by their users" in json.dumps(answer.json)
    assert now(key).state == KeyState.PENDING
    assert not Credential.select().exists()


def test_a_card_is_not_activated_so(panel: Panel) -> None:
    key = pending_key(person())
    assert panel.get(f"/keys/{key.resource_id}/browser").status_code == 409
