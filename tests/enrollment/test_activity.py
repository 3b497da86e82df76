# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Activity and the list of keys: filters, exports, and how the chain stands."""

from __future__ import annotations

import csv
import io
import re

import pytest
from flask import Flask

from provisioning import audit, audit_check
from provisioning.audit import CLI, Actor, Event
from provisioning.clock import DAY, now_ms
from provisioning.models import AuditEvent, SecurityKey
from provisioning.panel.access import Role
from provisioning.storage.db import transaction
from tests.fakes.panel import Panel, text_of
from tests.fakes.people import active_key, pending_key, person

GRACE = Actor("account", "1", "Grace Hopper")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestActivity:
    def test_it_is_filtered_by_who_did_it(self, panel: Panel) -> None:
        with transaction():
            audit.record(Actor("connection", "1", "Entra ID"), Event.GROUP_DELETED)
            audit.record(GRACE, Event.GROUP_CREATED)
        page = panel.see("/activity?by=connection")
        assert "Entra ID" in page
        assert "group.created" not in page
        assert "group.created" in panel.see("/activity?by=nobody")

    def test_who_has_no_name_is_called_in_words(self, panel: Panel) -> None:
        with transaction():
            audit.record(audit.LINK_HOLDER, Event.LINK_OPENED)
            audit.record(CLI, Event.GROUP_CREATED)
        page = panel.see("/activity")
        assert "Registration link opened whoever holds the link" in page
        assert "whoever holds the link user" not in page  # the name says it
        assert "whoever holds the link" in panel.see("/activity?q=whoever")
        assert "Befehlszeile" in panel.get("/activity", headers={"Accept-Language": "de"}).text

    def test_it_is_filtered_by_day(self, panel: Panel) -> None:
        with transaction():
            audit.record(GRACE, Event.GROUP_CREATED, display_name="Old")
            audit.record(GRACE, Event.GROUP_CREATED, display_name="New")
        day = 20_000 * DAY  # 2024-10-04
        made = AuditEvent.select().where(AuditEvent.event == "group.created")
        old, new = made.order_by(AuditEvent.id)
        AuditEvent.update(at=day - 1).where(AuditEvent.id <= old.id).execute()
        AuditEvent.update(at=day + DAY - 1).where(AuditEvent.id == new.id).execute()
        page = panel.see("/activity?from=2024-10-04&to=2024-10-04")
        assert "“New”" in page
        assert "“Old”" not in page
        assert "“Old”" in panel.see("/activity?to=2024-10-03")
        assert "“New”" not in panel.see("/activity?from=2024-10-05")
        assert "“Old”" in panel.see("/activity?from=yesterday&to=%3Cscript%3E")  # no day at all

    def test_days_are_said_to_be_of_utc(self, panel: Panel) -> None:
        page = panel.see("/activity")
        assert "From (UTC)" in page
        assert "To (UTC)" in page

    def test_times_and_truths_are_told_in_words(self, panel: Panel) -> None:
        with transaction():
            audit.record(
                GRACE,
                Event.GROUP_CREATED,
                ends_at=20_000 * DAY,
                active=True,
                whole=False,
                members=3,
            )
        page = panel.see("/activity")
        assert "ends_at 4 October 2024, 00:00:00 UTC" in page
        assert "active yes" in page
        assert "whole no" in page
        assert "members 3" in page

    def test_a_link_keeps_every_filter(self, panel: Panel) -> None:
        ada = person()
        with transaction():
            for _ in range(60):
                audit.record(GRACE, Event.USER_SIGNED_OUT, user=ada)
        url = f"/activity?by=account&kind=user&person={ada.resource_id}&from=2020-01-01"
        page = panel.get(url).text
        following = re.search(r'href="([^"]*after=\d+[^"]*)"', page)
        assert following
        for part in ("by=account", "kind=user", f"person={ada.resource_id}", "from=2020-01-01"):
            assert part in following[1]
        assert "Only Ada Lovelace" in text_of(panel.get(url))
        assert text_of(panel.get(following[1].replace("&amp;", "&"))).count("Signed out") == 10

    def test_the_export_streams_what_is_shown_and_leaves_a_line(self, panel: Panel) -> None:
        ada = person(displayName="=HYPERLINK(1)")
        with transaction():
            audit.record(GRACE, Event.USER_SIGNED_OUT, user=ada)
        answer = panel.get("/activity/export.csv?kind=user")
        assert answer.mimetype == "text/csv"
        found = rows(answer.text)
        assert {row["event"] for row in found} == {"user.created", "user.signed_out"}
        assert {row["person"] for row in found} == {"'=HYPERLINK(1)"}  # no spreadsheet runs it
        line = AuditEvent.get(AuditEvent.event == Event.LOG_EXPORTED)
        assert line.actor_name == "Grace Hopper"
        assert '"kind":"user"' in line.detail

    def test_the_export_asks_for_the_key_again(self, app: Flask) -> None:
        panel = Panel(app, Role.AUDITOR, stepped_up=False)
        assert "/step-up" in panel.get("/activity/export.csv").location
        assert not AuditEvent.select().where(AuditEvent.event == Event.LOG_EXPORTED).exists()
        panel.step_up()
        assert panel.get("/activity/export.csv").status_code == 200

    def test_the_badge_tells_how_the_chain_stands(self, panel: Panel) -> None:
        assert "Chain" not in panel.see("/activity")
        with transaction():
            audit_check.advance()
        assert "Chain verified" in panel.see("/activity")
        AuditEvent.update(actor_name="Mallory").where(AuditEvent.id == 1).execute()
        page = panel.see("/activity")
        assert "Chain broken" in page
        assert "The log does not add up." in page


class TestKeys:
    def test_they_are_filtered_by_device(self, panel: Panel) -> None:
        ada = person()
        active_key(ada, "My card")
        stick = active_key(ada, "My stick")
        SecurityKey.update(kind="usb_key").where(SecurityKey.id == stick.id).execute()
        page = panel.see("/keys?kind=usb_key")
        assert "My stick" in page
        assert "My card" not in page
        assert "My card" in panel.see("/keys?kind=nothing")
        assert 'value="usb_key" selected' in panel.get("/keys?kind=usb_key").text

    def test_the_export_holds_what_the_filters_let_through(self, panel: Panel) -> None:
        ada = person()
        active_key(ada, "=cmd|' /C calc'!A0")
        pending_key(ada, "Waiting")
        found = rows(panel.get("/keys/export.csv").text)
        assert [row["key"] for row in found] == ["Waiting", "'=cmd|' /C calc'!A0"]
        assert found[1]["attestation"] == "packed"
        assert found[1]["model"] == "Test card"
        assert found[1]["userName"] == "ada"
        assert found[1]["activated"].endswith("Z")
        assert found[0]["activated"] == ""
        only = rows(panel.get("/keys/export.csv?state=pending").text)
        assert [row["key"] for row in only] == ["Waiting"]

    @pytest.mark.parametrize("list_url", ["/keys", "/activity", "/users"])
    def test_an_export_of_many_is_whole(self, panel: Panel, list_url: str) -> None:
        ada = person()
        for number in range(505):
            SecurityKey.create(
                resource_id=str(number),
                user=ada,
                kind="contactless_card",
                name=str(number),
                state="revoked",
                method="user",
                user_handle=b"",
                created_at=now_ms(),
            )
        with transaction():
            for _ in range(505):
                audit.record(CLI, Event.USER_SIGNED_OUT)
        found = rows(panel.get(f"{list_url}/export.csv").text)
        assert len({tuple(row.values()) for row in found}) == len(found)
        assert len(found) >= (1 if list_url == "/users" else 505)
