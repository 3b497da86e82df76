# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Directories in the panel: the overview, a connection's page, its settings and its end."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from enrollment.directories import words as directory_words
from provisioning.audit import CLI
from provisioning.clock import DAY, now_ms
from provisioning.errors import Unauthenticated
from provisioning.models import (
    AuditEvent,
    Connection,
    MassDeparture,
    Token,
    UnknownAttribute,
    User,
)
from provisioning.panel.access import Role
from provisioning.storage.db import transaction
from provisioning.storage.recorder import EXTENSION
from provisioning.upstream import connections, tokens
from scim.quirks import Quirk
from tests.fakes.panel import Panel, text_of
from tests.fakes.queries import counted
from tests.scim.pushing import Directory, connect

TERMS = {
    "name": "Contoso",
    "scope": "write",
    "profile": "tolerant",
    "patch_reply": "usual",
    "unique_group_names": "y",
}


@pytest.fixture
def entra(app: Flask) -> Directory:
    return connect(app)


def address(directory: Directory, page: str = "") -> str:
    return f"/directories/{directory.connection.id}{page}"


def test_a_directory_is_connected_and_its_token_shown_once(panel: Panel) -> None:
    form = {"name": "Entra ID", "scope": "users", "profile": "entra", "days": "90"}
    page = panel.post("/directories", form).text.replace("<wbr>", "")
    token = re.search(r"kw_[0-9a-f]{16}_[0-9a-f]{64}", page)
    assert token
    assert "http://localhost:5005/scim/v2" in page
    connection = tokens.verify(f"Bearer {token[0]}").connection
    assert (connection.name, connection.scope, connection.profile) == ("Entra ID", "users", "entra")
    assert token[0] not in panel.get(f"/directories/{connection.id}").text
    assert panel.post("/directories", form).text.count("There is already a connection") == 2
    panel.post(f"/directories/tokens/{Token.get().public_id}/revoke")
    with pytest.raises(Unauthenticated):
        tokens.verify(f"Bearer {token[0]}")


def test_a_new_token_lives_as_long_as_the_last_one(panel: Panel, entra: Directory) -> None:
    Token.update(expires_at=Token.created_at + 30 * DAY).execute()
    assert "It works for 30 days, as the last one." in panel.see(address(entra))
    panel.post(address(entra, "/tokens"))
    newest = Token.select().order_by(Token.id.desc()).first()
    assert newest.expires_at - newest.created_at == 30 * DAY
    assert panel.get(address(entra, "/tokens")).location == address(entra), "it is shown once"


@pytest.mark.req("R2")
def test_a_second_token_for_the_change_over(panel: Panel, entra: Directory) -> None:
    page = panel.post(address(entra, "/tokens")).text
    assert re.search(r"kw_[0-9a-f]{16}_[0-9a-f]{64}", page)
    assert "Both work." in page
    assert Token.select().where(Token.revoked_at.is_null()).count() == 2
    third = text_of(panel.post(address(entra, "/tokens"), follow_redirects=True))
    assert "Two tokens live already" in third
    assert Token.select().count() == 2


def test_a_token_asks_for_the_owners_key_and_keeps_what_was_typed(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    owner = Panel(app, stepped_up=False)
    form = {"name": "Entra ID", "scope": "read", "profile": "okta", "days": "30"}
    answer = owner.post("/directories", form)
    assert answer.location.startswith("/step-up?next=/directories")
    assert not Connection.select().exists()
    back = owner.get("/directories", query_string=form).text
    assert 'value="Entra ID"' in back
    assert 'selected value="read"' in back
    assert 'selected value="okta"' in back
    officer = Panel(app, Role.OFFICER)
    assert officer.post("/directories", form).status_code == 403
    assert "Connect a directory" not in officer.see("/directories")


def test_the_list_says_how_each_one_is_doing(panel: Panel, app: Flask, entra: Directory) -> None:
    assert "Waiting for the first request" in panel.see("/directories")
    entra.user("ada")
    entra("GET", "/Nowhere")
    app.extensions[EXTENSION].flush()
    page = panel.see("/directories")
    assert "Contoso Write users and groups Connected" in page
    assert re.search(r"seconds? ago 2 1 error 1 0 in \d+ (days|weeks|months)", page)
    Connection.update(last_seen_at=now_ms() - 4 * DAY).execute()
    assert "Silent" in panel.see("/directories")
    Token.update(expires_at=now_ms() + DAY).execute()
    assert "Soon" in panel.see("/directories")
    Token.update(expires_at=1).execute()
    assert "No token that works" in panel.see("/directories")


def test_a_connections_page_says_what_it_sent_and_relies_on(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    before = panel.see(address(entra))
    assert "No request yet" in before
    assert "None so far" in before
    for name in ("ada", "bob"):
        entra.user(name, active="True", shoeSize=42)
    entra("GET", "/Users?filter=(")
    app.extensions[EXTENSION].flush()
    page = panel.see(address(entra))
    assert "3 requests 1 error" in page
    assert "boolean_strings True and false in quotation marks" in page
    assert "1 attribute that no schema knows" in page
    assert "shoeSize 2" in page
    assert "Users 2 Groups 0" in page


def test_every_quirk_is_explained() -> None:
    for quirk in Quirk:
        assert len(directory_words.quirk_words(quirk)) > 20
        assert "does not know" not in directory_words.quirk_words(quirk)


def test_unknown_attributes_are_counted(panel: Panel, entra: Directory) -> None:
    UnknownAttribute.create(connection=entra.connection, name="shoeSize", seen=7000)
    assert "shoeSize 7,000" in panel.see(address(entra))


def test_requests_show_newest_first_and_by_errors(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    page = address(entra, "/requests")
    assert "No request yet" in panel.see(page)
    entra.user("ada.lovelace", active="True")
    entra("GET", '/Users?filter=userName eq "ada.lovelace"')
    app.extensions[EXTENSION].flush()
    assert "No errors" in panel.see(page + "?only=errors")
    entra("GET", '/Users?filter=shoeSize eq "42"')
    app.extensions[EXTENSION].flush()
    shown = panel.see(page)
    newest = shown.index("GET /Users?filter=… eq …")
    assert newest < shown.index("GET /Users?filter=userName eq …") < shown.index("POST /Users")
    assert "lovelace" not in shown
    assert "400 invalidFilter" in shown
    assert "boolean_strings" in shown
    Directory(app, entra.connection, entra.token[:-4] + "0000")("GET", "/Users")
    app.extensions[EXTENSION].flush()
    assert f"401 kw_{Token.get().public_id}" in panel.see(page)
    errors = panel.see(page + "?only=errors")
    assert "400 invalidFilter" in errors
    assert "POST /Users" not in errors


def test_requests_come_in_pages(panel: Panel, app: Flask, entra: Directory) -> None:
    for number in range(60):
        entra("GET", f"/Users?count={number}")
    app.extensions[EXTENSION].flush()
    first = panel.get(address(entra, "/requests")).text
    assert "count=59<" in first
    assert "count=9<" not in first
    following = re.search(r'href="([^"]*before=\d+[^"]*)"', first)
    assert following
    second = panel.get(following[1].replace("&amp;", "&")).text
    assert "count=9<" in second
    assert "count=10<" not in second


def test_terms_that_somebody_else_saved_meanwhile_are_shown_beside_the_typed(
    panel: Panel, entra: Directory
) -> None:
    here = address(entra, "/settings")

    def shown(page: str) -> str:
        found = re.search(r'name="shown"[^>]* value="([^"]+)"', page)
        assert found is not None
        return found[1]

    mark = shown(panel.get(here).text)
    assert panel.post(here, {**TERMS, "name": "Theirs", "shown": mark}).status_code == 302
    late = panel.post(here, {**TERMS, "name": "Mine", "shown": mark})
    assert late.status_code == 412
    told = text_of(late)
    assert "Somebody else saved these settings" in told
    assert "different from what you typed: Name Theirs Below" in told
    assert 'value="Mine"' in late.text
    assert Connection.get_by_id(entra.connection.id).name == "Theirs"
    again = panel.post(here, {**TERMS, "name": "Mine", "shown": shown(late.text)})
    assert again.status_code == 302
    assert Connection.get_by_id(entra.connection.id).name == "Mine"


def test_terms_wait_while_a_key_is_asked_for(panel: Panel, entra: Directory) -> None:
    here = address(entra, "/settings")
    panel.session.stepped_up_at = None
    panel.session.save()
    assert "/step-up" in panel.post(here, {**TERMS, "name": "Mine"}).location
    panel.step_up()
    assert 'value="Mine"' in panel.get(here).text


def test_terms_are_changed_with_a_line_in_the_log(panel: Panel, entra: Directory) -> None:
    changed = {**TERMS, "scope": "read", "profile": "strict", "unique_group_names": ""}
    del changed["unique_group_names"]
    answer = panel.post(address(entra, "/settings"), changed, follow_redirects=True)
    assert "Saved." in text_of(answer)
    connection = connections.get(entra.connection.id)
    assert (connection.scope, connection.profile, connection.unique_group_names) == (
        "read",
        "strict",
        False,
    )
    assert AuditEvent.select().where(AuditEvent.event == "connection.changed").count() == 1
    assert entra("POST", "/Users", {"userName": "ada"}).status_code == 403
    same = panel.post(address(entra, "/settings"), changed, follow_redirects=True)
    assert "Nothing was changed." in text_of(same)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "Okta"}, "There is already a connection Okta."),
        ({"scope": "everything"}, "Not a valid choice."),
        ({"profile": "lenient"}, "Not a valid choice."),
    ],
)
def test_a_bad_term_is_told_beside_its_field_and_changes_nothing(
    panel: Panel, app: Flask, entra: Directory, change: dict[str, str], said: str
) -> None:
    connect(app, "Okta")
    page = panel.post(address(entra, "/settings"), {**TERMS, **change})
    assert said in text_of(page)
    assert connections.get(entra.connection.id).name == "Contoso"


def test_names_are_not_made_unique_over_groups_that_share_one(
    panel: Panel, entra: Directory
) -> None:
    shared = {name: value for name, value in TERMS.items() if name != "unique_group_names"}
    panel.post(address(entra, "/settings"), shared)
    entra.group("Staff")
    entra.group("Staff")
    page = text_of(panel.post(address(entra, "/settings"), TERMS))
    assert "Several groups share a name: Staff." in page
    assert not connections.get(entra.connection.id).unique_group_names


def test_a_bulk_post_may_be_let_change_who_is_there(panel: Panel, entra: Directory) -> None:
    assert 'name="merges_bulk"' in panel.get(address(entra, "/settings")).text
    wanted = {**TERMS, "merges_bulk": "y"}
    panel.post(address(entra, "/settings"), wanted)
    assert connections.get(entra.connection.id).merges_bulk
    line = AuditEvent.get(AuditEvent.event == "connection.changed")
    assert '"merges_bulk"' in line.detail
    strict = panel.post(address(entra, "/settings"), {**wanted, "profile": "strict"})
    assert "choose another profile" in text_of(strict)
    assert connections.get(entra.connection.id).profile == "tolerant"
    panel.post(address(entra, "/settings"), TERMS)
    assert not connections.get(entra.connection.id).merges_bulk


def test_retiring_and_deleting_say_what_follows_in_numbers(panel: Panel, entra: Directory) -> None:
    for name in ("ada", "bob"):
        entra.user(name)
    entra.group("Staff")
    page = panel.see(address(entra, "/settings"))
    assert "Its only token is revoked" in page
    assert "2 people stay as they are, keys and sign-ins too." in page
    panel.post(address(entra, "/retire"))
    assert entra("GET", "/Users").status_code == 401
    page = panel.see(address(entra, "/settings"))
    assert "2 people and 1 group belong to the panel from then on." in page
    assert "This directory is retired." in panel.see(address(entra))
    assert "New token" not in panel.see(address(entra))
    after = text_of(panel.post(address(entra, "/delete"), follow_redirects=True))
    assert "Contoso is deleted." in after
    assert User.select().where(User.connection.is_null(), User.active).count() == 2
    assert panel.get(address(entra)).status_code == 404


def test_a_retired_directory_is_brought_back(panel: Panel, entra: Directory) -> None:
    panel.post(address(entra, "/retire"))
    page = text_of(panel.post(address(entra, "/resume"), follow_redirects=True))
    assert "Contoso is back." in page
    assert "No token works." in page
    assert panel.post(address(entra, "/tokens")).status_code == 200


def test_only_an_owner_who_stepped_up_changes_a_connection(app: Flask, entra: Directory) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    officer, tired = Panel(app, Role.OFFICER), Panel(app, stepped_up=False)
    for page in ("/settings", "/retire", "/resume", "/delete", "/tokens"):
        assert officer.post(address(entra, page), TERMS).status_code == 403
        assert tired.post(address(entra, page), {**TERMS, "scope": "read"}).location.startswith(
            "/step-up?next=/directories/"
        )
    assert officer.get(address(entra, "/settings")).status_code == 403
    assert officer.get(address(entra)).status_code == 200
    assert officer.get(address(entra, "/requests")).status_code == 200
    assert connections.get(entra.connection.id).scope == "write"
    with transaction():
        tokens.revoke(Token.get().public_id, CLI)
    assert f'href="{address(entra, "/settings")}"' not in officer.get(address(entra)).text


@pytest.mark.parametrize("page", ["", "/requests", "/settings"])
def test_a_connection_that_is_none_is_not_found(panel: Panel, page: str) -> None:
    assert panel.get(f"/directories/77{page}").status_code == 404


def test_what_needs_a_hand_stands_above_all_else(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    assert "Nothing was heard of it yet. How to connect it, step by step" in panel.see(
        address(entra)
    )
    entra("GET", "/Users")
    app.extensions[EXTENSION].flush()
    Token.update(expires_at=now_ms() + 2 * DAY).execute()
    assert "Its last token ends soon." in panel.see(address(entra))
    held = MassDeparture.create(connection=entra.connection, started_at=now_ms())
    page = panel.get(address(entra))
    assert "Many people have left at once." in text_of(page)
    assert f'href="/departures/{held.id}"' in page.text


@pytest.mark.sqlite  # the statements are counted there
def test_the_list_asks_as_often_for_many_as_for_one(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    with counted() as one:
        panel.get("/directories")
    for number in range(5):
        connect(app, f"Branch {number}").user(f"u{number}")
    app.extensions[EXTENSION].flush()
    with counted() as many:
        page = panel.see("/directories")
    assert page.count("Connected") == 5
    assert len(many) <= len(one) + 1
