# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The pages of a batch: choose, start, watch, take back, print, export."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from provisioning import audit, groups
from provisioning.audit import CLI
from provisioning.desks import batches, turns
from provisioning.lifecycle import BatchState, KeyState, TurnState
from provisioning.models import Batch, BatchItem, Credential, Job, SecurityKey, User
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from tests.fakes.desk import KNOWS_ALL, Desk, b64url
from tests.fakes.panel import Panel, tap
from tests.fakes.people import active_key, person


@pytest.fixture
def services(data: Path, vault: Vault) -> Iterator[Services]:
    settings = load(data, base_url="http://localhost:5005", demo=True, attestation="none")
    migrate(open_database(settings.database_url))
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


@pytest.fixture
def three(services: Services) -> list[User]:
    names = ("Ada Lovelace", "Bob Ng", "Cy Twombly")
    return [person(name.split()[0].lower(), displayName=name) for name in names]


def made(panel: Panel, people: list[User]) -> str:
    """A draft of these people; its address."""
    answer = panel.post("/batches", {"name": "Monday", "user": [u.resource_id for u in people]})
    assert answer.status_code == 302
    return str(answer.location)


def started(panel: Panel, desk: Desk, people: list[User]) -> str:
    url = made(panel, people)
    assert panel.post(f"{url}/start", {"station": desk.id}).status_code == 302
    return url


@pytest.fixture
def nearly_all_leave(panel: Panel, three: list[User], monkeypatch: pytest.MonkeyPatch) -> str:
    """A batch of which only the last may have a card; each transaction refuses one."""
    monkeypatch.setattr(turns, "REFUSALS", 1)
    url = made(panel, three)
    User.update(active=False).where(User.id.in_([user.id for user in three[:2]])).execute()
    return url


def test_a_page_goes_on_to_the_first_who_is_not_refused(
    panel: Panel, services: Services, client: FlaskClient, nearly_all_leave: str
) -> None:
    desk = Desk.paired(client, services)
    desk.poll()
    panel.post(f"{nearly_all_leave}/start", {"station": desk.id})
    assert states() == [TurnState.REFUSED, TurnState.REFUSED, TurnState.AT_READER]


def states() -> list[str]:
    return [item.state for item in batches.items(Batch.get())]


def shown_ids(key: SecurityKey) -> list[str]:
    return [b64url(bytes(Credential.get(Credential.key == key).credential_id))]


def test_nobody_ticked_makes_no_batch_and_the_list_says_so(panel: Panel) -> None:
    answer = panel.post("/batches", {"whom": "ticked", "q": "ada"}, follow_redirects=True)
    assert answer.request.path == "/users"
    assert answer.request.args["q"] == "ada"
    assert "Tick somebody first" in answer.text
    assert not Batch.select().exists()


def test_a_draft_is_deleted_and_a_batch_that_has_started_is_not(
    panel: Panel, desk: Desk, three: list[User]
) -> None:
    url = made(panel, three)
    assert f'action="{url}/delete"' in panel.get(url).text
    assert "“Monday” is deleted." in panel.post(f"{url}/delete", follow_redirects=True).text
    assert not Batch.select().exists()
    assert not BatchItem.select().exists()

    url = started(panel, desk, three)
    answer = panel.post(f"{url}/delete", follow_redirects=True)
    assert "This batch has started: finish it instead." in answer.text
    assert Batch.select().exists()


def test_people_are_found_added_in_any_way_and_put_in_order(
    panel: Panel, three: list[User]
) -> None:
    url = made(panel, three[1:2])
    active_key(person("dee", displayName="Dee Dee"), "Card of Dee")
    assert "Ada Lovelace" not in panel.see(url)
    assert "Ada Lovelace" in panel.see(f"{url}?q=love")
    panel.post(f"{url}/people", {"user": three[0].resource_id})
    panel.post(f"{url}/people", {"add": "new"})
    assert [i.user.user_name for i in batches.items(Batch.get())] == ["bob", "ada", "cy"]
    with transaction():
        group = groups.create_group({"displayName": "Clinic"}, connection=None, actor=CLI)
        dee = User.get(User.user_name == "dee")
        groups.add_members(group, [dee.resource_id, three[0].resource_id], actor=CLI)
    assert "One person added" in panel.see(
        panel.post(f"{url}/people", {"group": group.resource_id}).location
    )
    item = BatchItem.get(BatchItem.user == three[0])
    panel.post(f"{url}/people/{item.id}/up")
    panel.post(f"{url}/people/{BatchItem.get(BatchItem.user == three[2]).id}/remove")
    assert [i.user.user_name for i in batches.items(Batch.get())] == ["ada", "bob", "dee"]


def test_the_users_page_makes_a_batch_of_the_ticked(panel: Panel, three: list[User]) -> None:
    page = panel.get("/users").text
    assert 'formaction="/batches"' in page
    ticked = {"user": [three[0].resource_id, three[2].resource_id], "whom": "ticked", "verb": "x"}
    panel.post("/batches", ticked)
    assert [i.user.user_name for i in batches.items(Batch.get())] == ["ada", "cy"]


def test_a_batch_is_named_after_its_day_unless_somebody_says_otherwise(panel: Panel) -> None:
    panel.post("/batches", {"name": ""})
    assert Batch.get().name.startswith("Cards of ")
    assert Batch.get().name in panel.see("/batches")


def test_what_can_be_pressed_can_be_pressed(panel: Panel, desk: Desk, three: list[User]) -> None:
    assert 'disabled="' in panel.get(made(panel, [])).text, "nobody is in it"
    page = panel.get(made(panel, three)).text
    assert "Add all 3 who are New" in page
    assert "disabled" not in page


def test_tap_next_tap(panel: Panel, desk: Desk, services: Services, three: list[User]) -> None:
    url = started(panel, desk, three)
    for user in three:
        board = panel.see(url)
        assert user.display_name in board
        tap(desk, services)
    board = panel.see(url)
    assert "All done" in board
    assert "3 of 3 have their card" in board
    states = [key.state for key in SecurityKey.select()]
    assert states == [KeyState.ACTIVE] * 3
    panel.post(f"{url}/finish")
    assert Batch.get().state == BatchState.FINISHED
    assert "What came of it" in panel.see(url)


def test_a_card_tapped_twice_has_a_sentence_of_its_own(
    panel: Panel, desk: Desk, services: Services, three: list[User]
) -> None:
    url = started(panel, desk, three)
    tap(desk, services)
    ticket = desk.ticket()
    again = {**KNOWS_ALL, "known": shown_ids(Credential.get().key)}
    assert desk.tell(ticket, "card", **again).json["reason"] == "tapped_twice"
    assert "given to somebody in this batch already" in panel.see(url)
    assert desk.poll("card").status_code == 204, "it has to leave the reader first"
    assert desk.poll("no_card").status_code == 200


def test_a_card_begun_for_somebody_else_is_told_apart_by_its_uid(
    panel: Panel, desk: Desk, services: Services, three: list[User]
) -> None:
    url = started(panel, desk, three)
    ticket = desk.ticket()
    desk.tell(ticket, "card", **KNOWS_ALL)
    desk.tell(ticket, "pin_setting")
    desk.tell(ticket, "fault", fault="timeout")
    item = BatchItem.get(BatchItem.state == TurnState.AT_READER)
    panel.post(f"{url}/turns/{item.id}/skip")
    assert SecurityKey.get_by_id(item.key_id).state == KeyState.NEEDS_RESET
    assert "reset it before somebody else gets it" in panel.see(url)


def test_a_turn_is_skipped_taken_again_and_taken_back(
    panel: Panel, desk: Desk, services: Services, three: list[User]
) -> None:
    url = started(panel, desk, three)
    first = BatchItem.get(BatchItem.user == three[0])
    panel.post(f"{url}/turns/{first.id}/skip")
    assert "Bob Ng" in panel.see(url)
    tap(desk, services)
    panel.post(f"{url}/turns/{first.id}/retry")
    second = BatchItem.get(BatchItem.user == three[1])
    assert "Its key is revoked for ever" in panel.see(url)
    panel.post(f"{url}/turns/{second.id}/undo")
    assert SecurityKey.get_by_id(second.key_id).state == KeyState.REVOKED
    waiting = [i.user.user_name for i in batches.items(Batch.get()) if i.state == "waiting"]
    assert "bob" in waiting


def test_a_finished_batch_offers_no_way_back(
    panel: Panel, desk: Desk, services: Services, three: list[User]
) -> None:
    url = started(panel, desk, three[:1])
    tap(desk, services)
    item = BatchItem.get()
    assert f"/turns/{item.id}/undo" in panel.get(url).text
    panel.post(f"{url}/finish")
    assert f"/turns/{item.id}/undo" not in panel.get(url).text
    answer = panel.post(f"{url}/turns/{item.id}/undo")
    assert "revoke the key on its person's page" in panel.see(answer.location)
    assert SecurityKey.get().state == KeyState.ACTIVE


def test_start_asks_for_the_admins_key_and_undo_too(
    app: Flask, desk: Desk, three: list[User]
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    operator = Panel(app, Role.OPERATOR, stepped_up=False)
    url = made(operator, three)
    assert operator.post(f"{url}/start", {"station": desk.id}).location.startswith("/step-up")
    assert Batch.get().state == BatchState.DRAFT
    operator.step_up()
    operator.post(f"{url}/start", {"station": desk.id})
    assert Batch.get().state == BatchState.RUNNING


def test_after_its_hour_a_batch_waits_for_a_key(
    panel: Panel, desk: Desk, services: Services, three: list[User]
) -> None:
    url = started(panel, desk, three)
    Batch.update(open_until=1).execute()
    tap(desk, services)
    assert desk.poll().status_code == 204
    assert "The hour is over." in panel.see(url)
    panel.post(f"{url}/go-on")
    assert desk.ticket()["user"] == "Bob Ng"


def test_a_pause_is_a_pause(
    panel: Panel, desk: Desk, services: Services, three: list[User]
) -> None:
    url = started(panel, desk, three)
    panel.post(f"{url}/pause")
    tap(desk, services)
    assert desk.poll().status_code == 204
    assert "Paused." in panel.see(url)


def test_the_board_answers_only_with_news(panel: Panel, desk: Desk, three: list[User]) -> None:
    url = started(panel, desk, three)
    page = panel.get(url).text
    poll = page.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    assert panel.get(poll).status_code == 204
    desk.tell(desk.ticket(), "waiting")
    assert "Tap the card on Desk NFC" in panel.see(poll)


def test_an_auditor_watches_and_does_nothing(
    app: Flask, panel: Panel, desk: Desk, three: list[User]
) -> None:
    url = started(panel, desk, three)
    auditor = Panel(app, Role.AUDITOR, name="Mary Jackson")
    assert "Ada Lovelace" in auditor.see(url)
    assert "/skip" not in auditor.get(url).text
    item = BatchItem.get(BatchItem.state == TurnState.AT_READER)
    assert auditor.post(f"{url}/turns/{item.id}/skip").status_code == 403
    assert auditor.post(f"{url}/finish").status_code == 403


def test_labels_and_result(panel: Panel, desk: Desk, services: Services, three: list[User]) -> None:
    User.update(display_name="=cmd()").where(User.id == three[1].id).execute()
    url = started(panel, desk, three)
    assert "No finished card yet" in panel.see(f"{url}/labels")
    tap(desk, services)
    key = SecurityKey.get()
    page = panel.get(f"{url}/labels").text
    assert page.count("<svg") > page.count('<svg class="icon')
    assert key.resource_id in page
    assert "Card of Ada Lovelace" in page
    desk.poll()
    rows = list(csv.reader(io.StringIO(panel.get(f"{url}/result.csv").text)))
    assert rows[1][1:6] == ["Ada Lovelace", "ada", "done", key.name, key.resource_id]
    assert rows[2][1] == "'=cmd()"
    assert [row[3] for row in rows[1:]] == ["done", "at_reader", "waiting"]


def test_another_batchs_turn_is_not_there(panel: Panel, desk: Desk, three: list[User]) -> None:
    url = started(panel, desk, three[:1])
    other = made(panel, three[1:])
    item = BatchItem.get(BatchItem.user == three[0])
    assert panel.post(f"{other}/turns/{item.id}/skip").status_code in (302, 404)
    assert BatchItem.get_by_id(item.id).state == TurnState.AT_READER
    assert url != other


def test_no_pin_is_in_any_page(
    panel: Panel, desk: Desk, services: Services, three: list[User]
) -> None:
    url = started(panel, desk, three)
    pin, _card = tap(desk, services)
    pages = [panel.get(f"{url}{part}").text for part in ("", "/board", "/labels", "/result.csv")]
    assert not any(f">{pin}<" in page or f",{pin}," in page for page in pages)
    assert pin not in json.dumps([str(job.__data__) for job in Job.select()])
