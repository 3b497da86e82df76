# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Plain badges: refused as keys in plain words, kept as identifiers if somebody wants that."""

from __future__ import annotations

import pytest
from flask import Flask

from provisioning.audit import Event
from provisioning.lifecycle import KeyState
from provisioning.models import AuditEvent, Badge, Job, SecurityKey
from provisioning.panel.access import Role
from tests.fakes.desk import KNOWS_ALL, Desk
from tests.fakes.panel import Panel, text_of
from tests.fakes.people import pending_key, person

UID = "04a1b2c3d4e5f6"
BADGE = {**KNOWS_ALL, "fido": False, "versions": [], "can_force_change": False}


def tapped(panel: Panel, desk: Desk, key: SecurityKey, uid: str = UID) -> str:
    """A badge at the reader of an assignment; the page that says so."""
    page = panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id}).location
    ticket = desk.ticket()
    desk.tell(ticket, "card", **{**BADGE, "uid": uid})
    desk.tell(ticket, "fault", fault="not_fido")
    return str(page)


def test_a_badge_is_refused_as_a_key_and_kept_as_an_identifier(panel: Panel, desk: Desk) -> None:
    key = pending_key(person())
    page = tapped(panel, desk, key)
    shown = panel.see(page)
    assert "It is an identifier, not a key." in shown
    assert "Keep as an identifier" in shown
    kept = text_of(panel.post(f"{page}/badge", follow_redirects=True))
    assert "ISO 14443 A, UID of 7 bytes" in kept
    assert "This is an identifier, not a key" in kept
    assert SecurityKey.get().state == KeyState.PENDING, "no key came of it"
    assert UID not in str(Badge.get().__data__)
    assert AuditEvent.select().where(AuditEvent.event == Event.BADGE_ADDED).count() == 1
    assert "UID of 7 bytes" not in panel.see("/keys"), "it is in no list of keys"


def test_it_is_forgotten_on_the_users_page(panel: Panel, desk: Desk) -> None:
    key = pending_key(person())
    panel.post(f"{tapped(panel, desk, key)}/badge")
    user = key.user.resource_id
    badge = Badge.get().resource_id
    other = person("bob").resource_id
    assert panel.post(f"/users/{other}/badges/{badge}/remove").status_code == 404
    panel.post(f"/users/{user}/badges/{badge}/remove")
    assert not Badge.select().exists()
    assert "ISO 14443 A, UID" not in panel.see(f"/users/{user}").partition("Activity")[0]


def test_one_badge_is_one_persons(panel: Panel, desk: Desk) -> None:
    panel.post(f"{tapped(panel, desk, pending_key(person()))}/badge")
    other = pending_key(person("bob", displayName="Bob Ng"), "Card of Bob")
    page = tapped(panel, desk, other)
    told = text_of(panel.post(f"{page}/badge", follow_redirects=True))
    assert "kept as an identifier already" in told
    assert "Ada" not in told
    assert Badge.select().count() == 1


def test_a_number_that_changes_at_each_tap_is_no_identifier(panel: Panel, desk: Desk) -> None:
    page = tapped(panel, desk, pending_key(person()), uid="08010203")
    told = text_of(panel.post(f"{page}/badge", follow_redirects=True))
    assert "another number at each tap" in told
    assert not Badge.select().exists()


def test_only_a_badge_is_kept_so(panel: Panel, desk: Desk) -> None:
    key = pending_key(person())
    page = panel.post(f"/keys/{key.resource_id}/assign", {"station": desk.id}).location
    ticket = desk.ticket()
    desk.tell(ticket, "card", **KNOWS_ALL)
    desk.tell(ticket, "fault", fault="card_removed")
    assert panel.post(f"{page}/badge").status_code == 409
    assert not Badge.select().exists()


def test_whose_badge_is_this(panel: Panel, desk: Desk) -> None:
    panel.post(f"{tapped(panel, desk, pending_key(person()))}/badge")
    for uid, told in (
        (UID, "This badge is an identifier of Ada Lovelace, not a key"),
        ("04ffffffffffff", "It is an identifier, not a key."),
    ):
        page = panel.post("/keys/whose", {"station": desk.id}).location
        ticket = desk.ticket()
        desk.tell(ticket, "card", **{**BADGE, "uid": uid})
        desk.tell(ticket, "fault", fault="not_fido")
        shown = panel.see(page)
        assert told in shown
        assert ("Ada" in shown) == (uid == UID)


@pytest.mark.parametrize("role", [Role.AUDITOR])
def test_who_only_reads_keeps_and_forgets_nothing(
    app: Flask, panel: Panel, desk: Desk, role: Role
) -> None:
    key = pending_key(person())
    page = tapped(panel, desk, key)
    auditor = Panel(app, role, name="Mary Jackson")
    assert auditor.post(f"{page}/badge").status_code == 403
    panel.post(f"{page}/badge")
    url = f"/users/{key.user.resource_id}/badges/{Badge.get().resource_id}/remove"
    assert auditor.post(url).status_code == 403
    assert Job.select().exists()
