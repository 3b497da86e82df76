# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whose card is this? A found card answers for its tap alone, and only the panel is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from provisioning import audit, keys
from provisioning.audit import CLI, Event
from provisioning.desks import stations
from provisioning.lifecycle import KeyState, Reason
from provisioning.models import AuditEvent, Credential, Job, SecurityKey, Station
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from tests.fakes.authenticator import UP, Authenticator
from tests.fakes.desk import KNOWS_ALL, Desk, b64url
from tests.fakes.panel import Panel, tap, text_of
from tests.fakes.people import pending_key, person


@pytest.fixture
def services(data: Path, vault: Vault) -> Iterator[Services]:
    settings = load(data, base_url="http://localhost:5005", demo=True, attestation="none")
    migrate(open_database(settings.database_url))
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


@pytest.fixture
def card(panel: Panel, desk: Desk, services: Services) -> Authenticator:
    """Ada's card, made at the desk."""
    key = pending_key(person())
    panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id})
    return tap(desk, services)[1]


def answer(panel: Panel, desk: Desk, card: Authenticator) -> tuple[str, dict[str, object]]:
    """Ask, and let the card answer; the page's address and what the station heard."""
    page = panel.post("/keys/whose", {"station": desk.id}).location
    ticket = desk.ticket()
    assert ticket["op"] == "verify"
    assert ticket["options"]["userVerification"] == "discouraged"
    assert (ticket["user"], ticket["key"]) == ("", "")
    desk.tell(ticket, "waiting")
    assert desk.tell(ticket, "card", **KNOWS_ALL).json == {"go": True}
    response = card.get(json.dumps(ticket["options"]), flags=UP)
    return page, desk.tell(ticket, "assertion", response=response).json or {}


def test_a_found_card_names_its_key_and_holder(
    panel: Panel, desk: Desk, card: Authenticator
) -> None:
    page, heard = answer(panel, desk, card)
    assert heard == {"go": True}
    shown = panel.see(page)
    assert "This is a card of Ada Lovelace" in shown
    assert "Card of Ada" in shown
    assert AuditEvent.get(AuditEvent.event == Event.CARD_RECOGNISED).key == SecurityKey.get()
    assert SecurityKey.get().confirmed_at is None, "nobody signed in"


@pytest.mark.parametrize("state", [KeyState.SUSPENDED, KeyState.REVOKED])
def test_a_key_that_works_no_more_is_named_too(
    panel: Panel, desk: Desk, card: Authenticator, state: KeyState
) -> None:
    key = SecurityKey.get()
    with transaction():
        if state is KeyState.SUSPENDED:
            keys.suspend(key, Reason.LOST, CLI)
        else:
            keys.revoke(key, Reason.LOST, CLI)
    page, heard = answer(panel, desk, card)
    assert heard == {"go": True}
    assert "reported lost" in panel.see(page)


def test_a_card_of_elsewhere_is_not_known(panel: Panel, desk: Desk, services: Services) -> None:
    stranger = Authenticator(services.settings.origin, services.settings.rp_id)
    page, heard = answer(panel, desk, stranger)
    assert heard["reason"] == "no_credential"
    assert "holds no key for this organisation" in panel.see(page)


def test_a_copied_credential_id_is_not_enough(
    panel: Panel, desk: Desk, card: Authenticator, services: Services
) -> None:
    forger = Authenticator(services.settings.origin, services.settings.rp_id)
    forger.credential_id = card.credential_id
    _page, heard = answer(panel, desk, forger)
    assert heard["reason"] == "refused"
    assert Job.get(Job.op == "verify").key is None


@pytest.mark.req("R15")
def test_a_copy_of_a_card_stops_its_key(panel: Panel, desk: Desk, card: Authenticator) -> None:
    Credential.update(sign_count=1_000).execute()
    _page, heard = answer(panel, desk, card)
    assert heard["reason"] == "refused"
    assert SecurityKey.get().reason == Reason.COUNTER_REGRESSED


def test_only_the_browser_that_asked_is_told(
    panel: Panel, app: Flask, desk: Desk, card: Authenticator
) -> None:
    page, _heard = answer(panel, desk, card)
    other = Panel(app, Role.OWNER, name="Mary Jackson")
    assert other.get(page).status_code == 404


def test_an_auditor_does_not_ask(app: Flask, desk: Desk) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    auditor = Panel(app, Role.AUDITOR)
    assert auditor.post("/keys/whose", {"station": desk.id}).status_code == 403
    assert "Whose card" not in auditor.get("/keys").text


def test_a_persons_own_reader_is_not_asked(panel: Panel, desk: Desk) -> None:
    Station.update(user=person()).where(Station.resource_id == desk.id).execute()
    assert stations.living(desk.id).user is not None
    refused = panel.post("/keys/whose", {"station": desk.id})
    assert refused.status_code == 403
    assert "somebody's own" in text_of(refused)


def test_a_card_is_told_to_demand_another_pin(
    panel: Panel, desk: Desk, card: Authenticator
) -> None:
    key = SecurityKey.get()
    SecurityKey.update(pin_change_forced=False).execute()
    url = f"/keys/{key.resource_id}/force-change"
    assert "does nothing before it has another one" in panel.see(url)
    page = panel.post(url, {"station": desk.id}).location
    ticket = desk.ticket()
    desk.tell(ticket, "card", **{**KNOWS_ALL, "known": [b64url(card.credential_id)]})
    assert "Type the present PIN at Desk NFC" in panel.see(page)
    assert desk.tell(ticket, "change_forced", forced=True).json == {"go": True}
    desk.tell(ticket, "done")
    assert SecurityKey.get().pin_change_forced is True
    assert "The card demands another PIN" in panel.see(page)


def test_a_card_that_cannot_demand_another_pin_says_so(
    panel: Panel, desk: Desk, card: Authenticator
) -> None:
    key = SecurityKey.get()
    page = panel.post(f"/keys/{key.resource_id}/force-change", {"station": desk.id}).location
    told = {**KNOWS_ALL, "known": [b64url(card.credential_id)], "can_force_change": False}
    assert desk.tell(desk.ticket(), "card", **told).json["reason"] == "no_forced_change"
    shown = panel.get(page).text
    assert "cannot be told to demand another PIN" in shown
    assert f"/keys/{key.resource_id}/change-pin" in shown
