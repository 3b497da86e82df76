# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The Test page: asks as the directory does, judges each answer, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from enrollment.directories import probes, trial
from provisioning.audit import CLI
from provisioning.clock import DAY, HOUR, now_ms
from provisioning.models import ALL, Connection, Token, User
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.storage.recorder import EXTENSION
from provisioning.upstream import connections, rehearsal, tokens
from provisioning.upstream.rehearsal import Stage
from tests.conftest import BASE_URL
from tests.fakes import people
from tests.fakes.panel import Panel, text_of
from tests.scim.pushing import Directory, connect


@pytest.fixture
def entra(app: Flask) -> Directory:
    return connect(app, "Entra ID")


def address(directory: Directory) -> str:
    return f"/directories/{directory.connection.id}/test"


def rows() -> dict[str, list[tuple[object, ...]]]:
    """Every row there is, sessions apart: a page is looked at by somebody."""
    return {
        table.__name__: sorted(table.select().tuples(), key=str)
        for table in ALL
        if table.__name__ != "Session"
    }


def play(app: Flask, directory: Directory) -> dict[str, probes.Verdict]:
    results = rehearsal.rehearse(app.wsgi_app, BASE_URL, directory.connection, probes.play_all)
    return {f"{each.probe.client} {each.probe.title}": each.verdict for each in results}


def test_every_probe_holds_and_nothing_is_left(panel: Panel, app: Flask, entra: Directory) -> None:
    entra.user("ada")
    people.person("grace")
    app.extensions[EXTENSION].flush()
    panel.get("/directories")
    before = rows()
    page = text_of(panel.post(address(entra)))
    assert "9 of 9 good" in page
    assert "200 and an empty list, which is what it wants to hear." in page
    assert "It sees one user, which it made itself." in page
    assert "A user and a group were made and deleted." in page
    assert '"scimType"' not in page.split("A token that is wrong")[0]
    app.extensions[EXTENSION].flush()
    assert rows() == before


def test_no_probe_sees_what_another_one_made(app: Flask, entra: Directory) -> None:
    verdict = play(app, entra)["Google Workspace Ask for one user"]
    assert verdict.text == "It sees 0 users: those that it made itself."
    assert not User.select().exists()


def test_requests_and_answers_are_shown_without_a_token(
    panel: Panel, app: Flask, entra: Directory
) -> None:
    page = text_of(panel.post(address(entra)))
    assert 'GET http://localhost:5005/scim/v2/Users?filter=userName eq "' in page
    assert "Authorization: Bearer …" in page
    assert "kw_" not in page


@pytest.mark.parametrize(("scope", "good"), [("read", 7), ("users", 8)])
def test_rights_that_are_too_few_are_said_with_what_to_do(
    panel: Panel, app: Flask, scope: str, good: int
) -> None:
    page = text_of(panel.post(address(connect(app, "Okta", scope))))
    assert f"{good} of 9 good" in page
    assert "Refused with 403: the rights of this connection do not let it write that." in page
    assert "change Rights in the settings. Go there" in page


def test_a_profile_that_would_let_a_leaver_stay_is_said(panel: Panel, app: Flask) -> None:
    page = text_of(panel.post(address(connect(app, "Entra ID", profile="strict"))))
    assert "8 of 9 good" in page
    assert "does not take a text for true or false" in page
    assert "choose its profile in the settings, or tolerant. Go there" in page


def test_a_fault_of_the_server_is_said_to_be_one(
    app: Flask, entra: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scim.discovery.schemas", lambda *_: 1 / 0)
    told = play(app, entra)["SailPoint Discovery"]
    assert (told.tone, told.text) == ("bad", "500 came to GET /Schemas.")


def test_a_directory_at_work_is_not_disturbed(app: Flask, entra: Directory) -> None:
    """Also with two tokens already, and one more would be too many."""
    with transaction():
        tokens.create(entra.connection, 30, CLI)
    assert {verdict.tone for verdict in play(app, entra).values()} == {"ok"}
    assert Token.select().count() == 2
    assert entra("GET", "/Users").status_code == 200


def test_what_a_probe_raises_is_taken_back_too(app: Flask, entra: Directory) -> None:
    def fall(stage: Stage) -> None:
        assert stage.ask("POST", "/Users", {"userName": "ada"}).status == 201
        assert User.select().count() == 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rehearsal.rehearse(app.wsgi_app, BASE_URL, entra.connection, fall)
    assert User.select().count() == 0
    assert Token.select().count() == 1


def test_nobody_but_the_panel_marks_a_rehearsal(app: Flask, entra: Directory) -> None:
    entra("GET", "/Users", Keywright_Rehearsal="1", **{"keywright.rehearsal": "1"})
    assert len(app.extensions[EXTENSION]._waiting) == 1


def _retire(directory: Directory) -> None:
    with transaction():
        connections.retire(connections.get(directory.connection.id), CLI)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: None, "It ends in 29 days."),
        (lambda _: Token.update(expires_at=now_ms() + 2 * DAY + HOUR).execute(), "ends in 2 days"),
        (lambda _: Token.update(expires_at=1).execute(), "Its token has expired"),
        (lambda _: Token.update(revoked_at=1).execute(), "It has no token"),
        (_retire, "The connection is retired"),
    ],
)
def test_the_token_is_judged(
    panel: Panel, entra: Directory, change: Callable[[Directory], object], said: str
) -> None:
    change(entra)
    assert said in panel.see(address(entra))


@pytest.mark.parametrize(
    ("url", "tone"),
    [
        ("https://keys.example.org", "ok"),
        ("http://localhost:8080", "warn"),
        ("https://10.1.2.3", "warn"),
        ("https://my_keys.example.org", "warn"),
        ("http://keys.example.org", "bad"),
    ],
)
def test_the_address_is_judged(
    app: Flask, monkeypatch: pytest.MonkeyPatch, url: str, tone: str
) -> None:
    monkeypatch.setattr(trial, "base_url", lambda: url + "/scim/v2")
    with app.test_request_context("/"):
        assert trial._address().tone == tone


def test_its_own_requests_are_judged(
    panel: Panel, app: Flask, entra: Directory, services: Services
) -> None:
    assert "It has asked nothing so far." in panel.see(address(entra))
    entra("GET", "/Users")
    app.extensions[EXTENSION].flush()
    assert "Nothing that it asked in the last day was refused." in panel.see(address(entra))
    for _ in range(3):
        Directory(app, entra.connection, entra.token[:-4] + "0000")("GET", "/Users")
    entra("GET", "/Nowhere")
    app.extensions[EXTENSION].flush()
    page = panel.see(address(entra))
    assert "Most often refused in the last day, 3 times: 401: its token is another one" in page
    assert "Paste the token again, or make a new one. Go there" in page
    Connection.update(last_seen_at=now_ms()).execute()


def test_an_auditor_runs_no_test(app: Flask, entra: Directory) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    auditor = Panel(app, Role.AUDITOR)
    assert auditor.post(address(entra)).status_code == 403
    assert auditor.get(address(entra)).status_code == 403
    operator = Panel(app, Role.OPERATOR, name="Joan Clarke")
    assert operator.post(address(entra)).status_code == 200
