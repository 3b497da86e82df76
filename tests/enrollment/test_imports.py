# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from enrollment import imports as pages
from provisioning import tasks
from provisioning.clock import now_ms
from provisioning.csv_import import csv_file, imports
from provisioning.models import ImportFile, ImportLine, Task, User
from provisioning.panel.access import Role
from provisioning.services import Services
from tests.fakes.panel import Panel, text_of

PEOPLE = "userName;E-Mail;Titel\nada;ada@example.org;Boss\n;nobody@example.org;\n"


def upload(panel: Panel, content: str | bytes = PEOPLE, name: str = "people.csv") -> TestResponse:
    raw = content.encode() if isinstance(content, str) else content
    return panel.post("/import", {"file": (io.BytesIO(raw), name)})


def check(panel: Panel, services: Services, content: str = PEOPLE, **fields: str) -> str:
    """Upload, take the guesses, let the worker look; the preview's address."""
    columns = upload(panel, content).location
    page = panel.get(columns).get_data(as_text=True)
    picked = dict(re.findall(r'name="(column-\d+)".*?<option value="(\w*)" selected', page, re.S))
    answer = panel.post(columns, {**picked, "source": "HR", "content": "people", **fields})
    assert answer.status_code == 302, text_of(answer)
    while tasks.work(services):
        pass
    return str(answer.location)


def apply(panel: Panel, here: str, page: str = "", **fields: str) -> TestResponse:
    """Press the button of the preview, or of one that was opened a while ago."""
    page = page or panel.get(here).get_data(as_text=True)
    seen = re.search(r'name="check" value="([^"]+)"', page)
    return panel.post(f"{here}/run", {"check": seen[1] if seen is not None else "", **fields})


def test_a_file_is_uploaded_looked_at_and_applied(panel: Panel, services: Services) -> None:
    here = check(panel, services)
    words = panel.see(here)
    assert "2 lines · UTF-8 · separated by semicolon · source “HR”" in words
    assert "1 line changes something" in words
    assert "1 line is left out; the table says why." in words
    assert "User name is empty." in words
    answer = apply(panel, here)
    assert answer.location.startswith("/tasks/")
    while tasks.work(services):
        pass
    assert User.get().user_name == "ada"
    assert "1 of 1 rows" in panel.see(answer.location)
    assert "This import was applied" in panel.see(here)


def test_what_another_officer_checked_anew_is_looked_at_once_more(
    app: Flask, panel: Panel, services: Services
) -> None:
    here = check(panel, services, "userName;E-Mail;x\nada;ada@example.org;other@example.org\n")
    page = panel.get(here).get_data(as_text=True)
    other = Panel(app, Role.OFFICER, name="Alan Turing")
    columns = {"source": "HR", "content": "people", "column-0": "userName", "column-2": "email"}
    other.post(f"{here}/columns", columns)
    while tasks.work(services):
        pass
    answer = apply(panel, here, page)
    assert answer.location == here
    words = panel.see(here)
    assert "Somebody has checked this file anew since: look at it once more." in words
    assert "other@example.org" in words
    assert apply(panel, here).location.startswith("/tasks/")


def test_the_guesses_can_be_mended_by_hand(panel: Panel, services: Services) -> None:
    columns = upload(panel, "who,what\nada,Boss\n").location
    assert "One must hold: User name." in panel.see(columns)
    answer = panel.post(columns, {"source": "HR", "column-0": "", "column-1": "title"})
    assert answer.status_code == 400
    assert "Choose the column that holds userName" in text_of(answer)
    assert re.search(r'value="title" selected', answer.get_data(as_text=True))  # nothing is lost
    answer = panel.post(columns, {"source": "HR", "column-0": "userName", "column-1": "title"})
    assert answer.status_code == 302


def test_two_columns_cannot_hold_the_same(panel: Panel) -> None:
    columns = upload(panel).location
    answer = panel.post(columns, {"source": "HR", "column-0": "email", "column-1": "email"})
    assert answer.status_code == 400
    assert text_of(answer).count("Another column holds this already.") == 1


def test_a_file_can_be_read_as_groups(panel: Panel, services: Services) -> None:
    columns = upload(panel, "name,login\nNurses,ada\n").location
    page = panel.get(f"{columns}?content=groups").get_data(as_text=True)
    assert 'name="content" value="groups"' in page
    assert re.search(r'value="group" selected', page)


def test_the_preview_is_filtered_by_what_a_line_does_and_can_be_taken_along(
    panel: Panel, services: Services
) -> None:
    here = check(panel, services, "userName,displayName\n=ada,x\nada,x\n,x\n")
    shown = panel.see(f"{here}?verb=conflict")
    assert "User name is empty." in shown
    assert "=ada" not in shown
    answer = panel.get(f"{here}/lines.csv")
    assert answer.get_data(as_text=True).splitlines() == [
        "line,subject,change,detail",
        "2,'=ada,create,User name: =ada; Display name: x",
        "3,ada,create,User name: ada; Display name: x",
        "4,,conflict,User name is empty.",
    ]


def test_somebody_new_was_nothing_before_and_a_slip_is_no_conflict(
    panel: Panel, services: Services
) -> None:
    here = check(panel, services, "userName,active\nbob,no\neve,perhaps\n")
    page = panel.get(here).text
    assert "<ins>no</ins>" in page
    assert "<del>" not in page
    assert "“perhaps” is neither yes nor no." in page
    assert "Left out" in page
    assert "Conflict" not in page


def test_a_file_that_nobody_has_applied_can_be_discarded(panel: Panel, services: Services) -> None:
    here = check(panel, services)
    assert f'action="{here}/discard"' in panel.get(here).text
    page = text_of(panel.post(f"{here}/discard", follow_redirects=True))
    assert "people.csv is discarded. Nothing of it was applied." in page
    assert not ImportFile.select().exists()
    assert not ImportLine.select().exists()
    assert not User.select().exists()
    assert panel.get(here).status_code == 404
    assert "people.csv discarded, nothing of it applied" in panel.see("/activity")


def test_a_file_is_discarded_while_it_is_checked_and_not_once_it_is_applied(
    panel: Panel, services: Services
) -> None:
    columns = upload(panel).location
    discard = columns.replace("columns", "discard")
    assert f'action="{discard}"' in panel.get(columns).text
    panel.post(columns, {"column-0": "userName", "source": "HR", "content": "people"})
    panel.post(discard)
    assert Task.get().state == "cancelled"
    assert not tasks.work(services)
    here = check(panel, services)
    apply(panel, here)
    assert "/discard" not in panel.get(here).text
    refused = text_of(panel.post(f"{here}/discard", follow_redirects=True))
    assert "This import has begun already." in refused
    assert ImportFile.select().exists()


def test_a_long_preview_has_pages(
    panel: Panel, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "PAGE", 2)
    here = check(panel, services, "userName\n" + "".join(f"n{i}\n" for i in range(5)))
    page = panel.get(here).get_data(as_text=True)
    following = re.search(r'href="([^"]*after=3)"', page)
    assert following is not None
    assert "n2 " in text_of(panel.get(following[1]))


def test_while_lines_are_looked_at_the_page_shows_how_far_it_is(
    panel: Panel, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    columns = upload(panel, "userName\nada\nalan\n").location
    here = panel.post(columns, {"source": "HR", "column-0": "userName"}).location
    tasks.work(services)
    page = panel.get(here).get_data(as_text=True)
    assert "50 %" in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert apply(panel, here).location == here  # not before the check is over
    assert "Check the file first" in panel.see(here)


def test_letting_people_go_is_told_in_numbers_and_asks_for_the_key(
    app: Flask, panel: Panel, services: Services
) -> None:
    here = check(panel, services, "userName\nada\nalan\n")
    apply(panel, here)
    while tasks.work(services):
        pass
    here = check(panel, services, "userName\nada\n")
    words = panel.see(here)
    assert "Suspend the one person of “HR” who is not in the file" in words
    assert "They have no key." in words
    tired = Panel(app, Role.OFFICER, stepped_up=False, name="Alan Turing")
    assert apply(tired, here, suspend_gone="y").location.startswith("/step-up")
    assert apply(panel, here, suspend_gone="y").location.startswith("/tasks/")
    while tasks.work(services):
        pass
    assert [u.user_name for u in User.select() if not u.active] == ["alan"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "Choose a file first."),
        (b" ", "The file is empty."),
        (b"PK\x03\x04....", "This is an Excel workbook: save it as CSV UTF-8 first."),
        (b'userName\n"ada\n', "is opened here or below and never closed."),
        (b"userName\n", "headings and no lines below them"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_beside_the_field(
    panel: Panel, content: bytes, sentence: str
) -> None:
    answer = upload(panel, content, "x.csv" if content else "")
    assert answer.status_code == 400
    assert sentence in text_of(answer)
    assert not ImportFile.select().exists()


def test_why_a_file_cannot_be_read_is_said_in_german_to_germans(panel: Panel) -> None:
    sent = {"file": (io.BytesIO(b" "), "x.csv")}
    answer = panel.post("/import", sent, headers={"Accept-Language": "de"})
    assert "Die Datei ist leer." in text_of(answer)


def test_windows_1252_is_read_and_said(panel: Panel) -> None:
    columns = upload(panel, "userName\nzoë\n".encode("cp1252")).location
    words = panel.see(columns)
    assert "Windows-1252" in words
    assert "zoë" in words


def test_hostile_text_in_a_file_is_shown_as_text(panel: Panel, services: Services) -> None:
    hostile = "<script>alert(1)</script>"
    here = check(panel, services, f"userName,Titel\nada,{hostile}\n{hostile},x\n", source=hostile)
    assert "<script>alert" not in panel.get(here).get_data(as_text=True)
    assert f"Title: {hostile}" in panel.see(here)


def test_a_directory_as_source_is_refused_beside_the_field(panel: Panel) -> None:
    panel.post("/directories", {"name": "Entra ID", "scope": "write", "days": "90"})
    columns = upload(panel).location
    answer = panel.post(columns, {"source": "Entra ID", "column-0": "userName"})
    assert answer.status_code == 400
    assert "Entra ID is a directory" in text_of(answer)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_a_large_file_is_not_even_read_from_who_uploads_none(app: Flask, role: Role) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    app.config["MAX_CONTENT_LENGTH"] = 2_000
    assert upload(Panel(app, role), "userName\n" + "ada\n" * 1_000).status_code == 413


def test_a_large_file_is_taken_from_who_is_signed_in_only(
    app: Flask, panel: Panel, services: Services
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 2_000
    large = "userName\n" + "".join(f"person-{i:0200}\n" for i in range(20))
    assert upload(panel, large).status_code == 302
    stranger = app.test_client()
    answer = stranger.post("/import", data={"file": (io.BytesIO(large.encode()), "people.csv")})
    assert answer.status_code in (302, 413)  # sent to sign in, or not even read
    assert ImportFile.select().count() == 1


def test_a_file_beyond_the_limit_is_refused_as_a_page(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "MAX_BYTES", 1_000)
    monkeypatch.setattr(pages, "_MARGIN", 0)
    answer = upload(panel, "userName\n" + "ada\n" * 1_000)
    assert answer.status_code == 413
    assert "Send less at a time" in text_of(answer)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_an_import_is_an_officers_and_others_do_not_see_it(
    app: Flask, panel: Panel, role: Role
) -> None:
    other = Panel(app, role, name="Ada Lovelace")
    assert other.get("/import").status_code == 403
    assert upload(other).status_code == 403
    assert "Import CSV" not in other.see("/users")


def test_a_check_that_was_stopped_can_be_begun_again(panel: Panel, services: Services) -> None:
    columns = upload(panel, "userName\nada\n").location
    here = panel.post(columns, {"source": "HR", "column-0": "userName"}).location
    panel.post(f"/tasks/{Task.get().resource_id}/cancel")
    assert "The check was stopped." in panel.see(here)
    panel.post(columns, {"source": "HR", "column-0": "userName"})
    while tasks.work(services):
        pass
    assert "1 line changes something" in panel.see(here)


def test_the_example_has_all_headings_that_need_no_choosing(panel: Panel) -> None:
    head = panel.get("/import/example.csv").get_data(as_text=True).strip()
    assert head.startswith("userName,email,givenName")
    columns = upload(panel, f"{head}\nada\n").location
    assert panel.get(columns).get_data(as_text=True).count(" selected>") == head.count(",") + 1


def test_a_file_that_was_left_for_a_day_is_not_offered_any_more(
    panel: Panel, services: Services
) -> None:
    here = check(panel, services)
    page = panel.get(here).get_data(as_text=True)
    ImportFile.update(created_at=now_ms() - imports.ABANDONED - 1).execute()
    words = panel.see(here)
    assert "It is erased: upload it again." in words
    assert "Apply it?" not in words
    assert "Erased, not applied" in panel.see("/import")
    apply(panel, here, page, suspend_gone="y")
    assert not Task.select().where(Task.kind == "import_run").exists()


def test_imports_are_found_again(panel: Panel, services: Services) -> None:
    here = check(panel, services)
    assert f'href="{here}"' in panel.get("/import").get_data(as_text=True)
    assert "Checked, not applied" in panel.see("/import")
