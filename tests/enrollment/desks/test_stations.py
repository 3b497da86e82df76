# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Stations and the log in the panel."""

from __future__ import annotations

import re
from importlib import metadata

from flask import Flask

from provisioning.audit import CLI
from provisioning.desks import stations
from provisioning.models import PairingCode, Station
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.desk import Desk
from tests.fakes.panel import Panel, text_of
from tests.fakes.people import person


def code_on(page: str) -> str:
    found = re.search(r'class="big-code"[^>]*>(\d{4}) (\d{4})<', page)
    assert found
    return found[1] + found[2]


def test_a_station_pairs_by_the_code_and_the_page_notices(
    panel: Panel, app: Flask, services: Services
) -> None:
    assert "No station yet" in panel.see("/stations")
    page = panel.post("/stations/pair").text.replace("<wbr>", "")
    code = code_on(page)
    base = services.settings.base_url
    assert f"keywright-reader pair --server {base} --code {code}" in page
    assert "keywright-reader run" in page
    poll = re.search(r'hx-get="(/stations/pair/\d+)"', page)
    assert poll
    assert panel.get(poll[1]).status_code == 204
    desk = Desk(app.test_client(), base)
    assert desk.pair(code, "Front desk").status_code == 201
    assert "Front desk is paired." in text_of(panel.get(poll[1]))
    assert code not in panel.get("/stations/pair").text


def test_a_code_that_ran_out_says_so(panel: Panel) -> None:
    page = panel.post("/stations/pair").text
    poll = re.search(r'hx-get="(/stations/pair/\d+)"', page)
    assert poll
    PairingCode.update(expires_at=1).execute()
    assert "The code has run out." in panel.get(poll[1]).text


def test_looking_makes_no_code(panel: Panel) -> None:
    panel.get("/stations/pair")
    assert not PairingCode.select().exists()


def test_a_stations_state_is_live(panel: Panel, desk: Desk) -> None:
    url = f"/stations/{desk.id}/state"
    assert f'hx-get="{url}"' in panel.get("/stations").text
    assert "Ready, no card" in panel.get(url).text
    desk.poll(state="card")
    assert "card on the reader" in panel.get(url).text
    Station.update(last_seen_at=1).execute()
    assert "Offline" in panel.get(url).text


def test_rename_and_revoke_a_station(panel: Panel, desk: Desk) -> None:
    panel.post(f"/stations/{desk.id}/rename", {"name": "Front desk"})
    assert "Front desk" in panel.see("/stations")
    refused = panel.post(f"/stations/{desk.id}/rename", {"name": "x" * 99})
    assert refused.status_code == 200
    panel.post(f"/stations/{desk.id}/revoke")
    assert "Front desk" not in panel.see("/stations").split("No station yet")[-1]
    assert desk.poll().status_code == 410


def test_who_may_pair_and_revoke(app: Flask, desk: Desk) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    assert Panel(app, Role.AUDITOR).post("/stations/pair").status_code == 403
    operator = Panel(app, Role.OPERATOR)
    assert operator.post("/stations/pair").status_code == 200
    assert operator.post(f"/stations/{desk.id}/revoke").status_code == 403


def test_a_persons_own_reader_is_offered_for_that_person_only(
    panel: Panel, app: Flask, services: Services
) -> None:
    user = person()
    with transaction():
        _row, code = stations.make_code(services.vault, CLI, user)
    own = Desk(app.test_client(), services.settings.base_url)
    own.pair(code, "At home")
    assert own.id not in panel.get(f"{panel.to_key_step(user_name='bob')}/security-key").text
    draft = panel.get(f"/users/{user.resource_id}/assign").location
    assert own.id in panel.get(draft).text
    assert "At home (of Ada Lovelace)" in panel.see("/stations")


def test_the_log_filters_by_person_and_kind_and_pages(panel: Panel) -> None:
    ada, _bob = person(), person("bob", displayName="Bob Ng")
    for number in range(60):
        panel.post("/groups/new", {"name": f"Group {number:02}"})
    first = panel.get("/activity").text
    following = re.search(r'href="([^"]*after=\d+[^"]*)"', first)
    assert following
    second = text_of(panel.get(following[1].replace("&amp;", "&")))
    assert "Bob Ng" in second
    mine = panel.see(f"/activity?person={ada.resource_id}")
    assert "Added" in mine
    assert "Bob Ng" not in mine
    assert "Group “Group 59” made" in panel.see("/activity?kind=group")
    assert "Added" not in panel.see("/activity?kind=group").split("What Person")[1]
    assert "Bob Ng" in panel.see("/activity?q=ng")
    assert "No entry matches" in panel.see("/activity?q=zzz")


def test_the_page_lists_the_readers_of_a_desk_that_has_several(panel: Panel, desk: Desk) -> None:
    readers = [
        {"name": "Desk NFC 00 00", "state": "card"},
        {"name": "Desk\nNFC <b>01</b>", "state": "busy"},
    ]
    assert desk.poll(readers=readers).status_code == 204
    page = panel.see("/stations")
    assert "Desk NFC 00 00 a card lies there" in page
    assert "Desk·NFC <b>01</b> in use" in page
    assert "<b>01" not in panel.get("/stations").text
    desk.poll(readers=readers[:1])
    assert "a card lies there" not in panel.see("/stations"), "one reader is in its row already"


def test_a_wrong_clock_is_shown_beyond_a_minute(panel: Panel, desk: Desk) -> None:
    for offset, said in ((60, ""), (61, "61 seconds slow"), (-300, "300 seconds fast")):
        assert desk.poll(clock=offset).status_code == 204
        page = panel.see("/stations")
        assert said in page
        assert ("Its clock is" in page) is bool(said)


def test_an_older_driver_is_to_be_updated(panel: Panel, desk: Desk) -> None:
    desk.poll(version=metadata.version("keywright"))
    assert "Update it" not in panel.see("/stations")
    desk.poll(version="0.0.1")
    assert "Update it" in panel.see("/stations")
