# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A form that comes after its session: all of it waits, or the next page says that it does not."""

from __future__ import annotations

import re
from datetime import date, timedelta

from flask import Flask

from provisioning.models import Group, KeptForm, Session
from provisioning.panel import access, kept_forms
from provisioning.panel.access import SessionKind
from provisioning.storage.db import transaction
from tests.fakes.desk import Desk
from tests.fakes.panel import ADA, Panel, text_of
from tests.fakes.people import active_key, person

LONG = "<b>Ωmega</b>\n\u202e " * 700  # 10,000 characters and more
NOT_KEPT = "What you have just sent could not be kept."


def sign_in_again(panel: Panel) -> None:
    with transaction():
        _session, secret = access.open_session(SessionKind.PANEL, account=panel.account)
    panel.client.set_cookie("__Host-kw_panel", secret)


def test_ten_thousand_characters_are_there_after_signing_in(panel: Panel) -> None:
    page = f"/users/{person().resource_id}/edit"
    Session.update(ended_at=1).execute()
    assert panel.post(page, {**ADA, "title": LONG, "version": "1"}).location.startswith("/sign-in")
    assert NOT_KEPT not in panel.see("/sign-in")
    sign_in_again(panel)
    first, second = panel.get(page).text, panel.get(page).text
    assert first.count("&lt;b&gt;Ωmega&lt;/b&gt;") >= 700
    assert "Ωmega" not in second  # once, then it is what is saved


def test_nothing_of_it_is_in_the_cookie_or_readable_in_the_database(panel: Panel) -> None:
    page = f"/users/{person().resource_id}/edit"
    Session.update(ended_at=1).execute()
    answer = panel.post(page, {**ADA, "title": "Countess", "version": "1"})
    assert max(len(cookie) for cookie in answer.headers.getlist("Set-Cookie")) < 1_000
    assert b"Countess" not in bytes(KeptForm.get().sealed)


def test_what_is_too_long_is_said_before_anybody_signs_in(panel: Panel) -> None:
    page = f"/users/{person().resource_id}/edit"
    Session.update(ended_at=1).execute()
    sent = panel.post(page, {**ADA, "title": "a" * kept_forms.LONGEST, "version": "1"})
    assert NOT_KEPT in panel.see(sent.location)
    assert not KeptForm.select().exists()


def test_a_browser_that_never_signed_in_leaves_nothing_behind(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    stranger = app.test_client()
    sent = stranger.post("/groups/new", data={"name": "Nurses"})
    assert NOT_KEPT in text_of(stranger.get(sent.location))
    assert not KeptForm.select().exists()


def test_a_page_that_cannot_take_it_shows_it_to_be_copied(panel: Panel, desk: Desk) -> None:
    page = "/keys/whose"
    Session.update(ended_at=1).execute()
    panel.post(page, {"station": desk.id})
    sign_in_again(panel)
    told = panel.see(page)
    assert "What you sent when you were signed out was not done." in told
    assert f"station {desk.id}" in told
    assert "was not done" not in panel.see(page)


def test_what_has_no_page_of_its_own_is_shown_on_the_first(panel: Panel) -> None:
    Session.update(ended_at=1).execute()
    sent = panel.post("/account/language", {"language": "de"})
    assert sent.location == "/sign-in?next=/"
    sign_in_again(panel)
    assert "language de" in panel.see("/")


def test_a_name_and_a_day_are_there_again(panel: Panel, desk: Desk) -> None:
    key = active_key(person())
    pages = {
        f"/stations/{desk.id}/rename": {"name": "At the window"},
        f"/keys/{key.resource_id}/rename": {"name": "Card in the safe"},
        f"/keys/{key.resource_id}/ends": {"ends_on": "2199-12-31"},
    }
    for page, fields in pages.items():
        Session.update(ended_at=1).execute()
        panel.post(page, fields)
        sign_in_again(panel)
        assert f'value="{next(iter(fields.values()))}"' in panel.get(page).text


def test_a_name_and_a_day_that_somebody_else_gave_meanwhile_are_told(
    panel: Panel, desk: Desk
) -> None:
    key = active_key(person())
    sooner, later = (date.today() + timedelta(days) for days in (30, 60))
    rename, ends = f"/keys/{key.resource_id}/rename", f"/keys/{key.resource_id}/ends"
    for page, mine, theirs, now in (
        (rename, {"name": "Mine"}, {"name": "Theirs"}, "“Theirs”"),
        (ends, {"ends_on": str(later)}, {"ends_on": str(sooner)}, f"{sooner.day} {sooner:%B %Y}"),
        (f"/stations/{desk.id}/rename", {"name": "Mine"}, {"name": "Theirs"}, "“Theirs”"),
    ):
        found = re.search(r'name="before"[^>]* value="([^"]*)"', panel.get(page).text)
        assert found is not None, page
        shown = {"before": found[1]}
        assert panel.post(page, {**theirs, **shown}).status_code == 302
        late = panel.post(page, {**mine, **shown})
        told = text_of(late)
        assert "Meanwhile somebody else saved" in told
        assert now in told
        assert f'value="{next(iter(mine.values()))}"' in late.text
        again = re.search(r'name="before"[^>]* value="([^"]*)"', late.text)
        assert again is not None
        assert panel.post(page, {**mine, "before": again[1]}).status_code == 302


def test_what_is_sent_now_counts_and_not_what_waited(panel: Panel) -> None:
    Session.update(ended_at=1).execute()
    panel.post("/groups/new", {"name": "Typed before"})
    sign_in_again(panel)
    panel.post("/groups/new", {"name": "Typed now"})
    assert [row.display_name for row in Group.select()] == ["Typed now"]


def test_a_page_that_saves_by_itself_leaves_nothing_at_the_server(panel: Panel) -> None:
    draft = panel.new_user()
    Session.update(ended_at=1).execute()
    asked = {"HX-Request": "true"}
    panel.post(f"{draft}/save?step=user-information", {**ADA}, headers=asked)
    assert not KeptForm.select().exists()
