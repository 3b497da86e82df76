# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Groups in the panel: made by hand they can be changed, a directory's cannot."""

from __future__ import annotations

import re

import pytest

from provisioning import group_pages, groups
from provisioning.audit import CLI
from provisioning.db import transaction
from provisioning.models import Connection, Group, User
from tests.fakes.panel import Panel
from tests.fakes.people import person


def made(name: str, connection: Connection | None = None) -> Group:
    with transaction():
        return groups.create_group({"displayName": name}, connection=connection, actor=CLI)


def test_make_rename_and_delete_a_group_by_hand(panel: Panel) -> None:
    assert "No groups yet" in panel.see("/groups")
    answer = panel.post("/groups/new", {"name": "Nurses"})
    assert answer.status_code == 302
    here = answer.location
    assert panel.post("/groups/new", {"name": "NURSES"}).status_code == 200  # a twin
    panel.post(f"{here}/rename", {"name": "Night nurses"})
    assert "Night nurses" in panel.see(here)
    panel.post(f"{here}/delete")
    assert panel.get(here).status_code == 404


@pytest.mark.parametrize("verb", ["rename", "delete"])
def test_a_directorys_group_is_changed_there(panel: Panel, verb: str) -> None:
    entra = Connection.create(name="Entra ID")
    group = made("Doctors", entra)
    page = panel.see(f"/groups/{group.resource_id}")
    assert "Owned by Entra ID" in page
    assert "Rename" not in page
    answer = panel.post(f"/groups/{group.resource_id}/{verb}", {"name": "Mine"})
    assert answer.status_code == 403
    assert Group.get().display_name == "Doctors"


def test_members_come_in_pages_and_can_be_searched(panel: Panel) -> None:
    group = made("Everybody")
    inner = made("Porters")
    with transaction():
        ids = []
        for number in range(group_pages.PAGE + 5):
            user = User.create(
                resource_id=f"m{number}",
                user_name=f"m{number}",
                user_name_key=f"m{number}",
                display_name=f"Member {number:03}",
                display_name_key=f"member {number:03}",
                document="{}",
            )
            ids.append(user.resource_id)
        groups.add_members(group, [*ids, inner.resource_id], actor=CLI)
    here = f"/groups/{group.resource_id}"
    first = panel.get(here).text
    assert len(re.findall(r'href="/users/m\d+"', first)) == group_pages.PAGE
    following = re.search(r'href="([^"]*after=\d+[^"]*)"', first)
    assert following
    second = panel.get(following[1].replace("&amp;", "&")).text
    shown = set(re.findall(r"/users/(m\d+)", first)) | set(re.findall(r"/users/(m\d+)", second))
    assert shown == set(ids)
    assert f"/groups/{inner.resource_id}" in first + second
    assert "Member 007" in panel.see(f"{here}?q=007")
    assert "Nobody matches" in panel.see(f"{here}?q=zzz")


def test_the_list_pages_by_name_and_searches_anywhere(panel: Panel) -> None:
    for number in range(group_pages.PAGE + 3):
        made(f"Group {number:03}")
    first = panel.get("/groups").text
    following = re.search(r'href="([^"]*after=[^"]*)"', first)
    assert following
    second = panel.get(following[1].replace("&amp;", "&")).text
    assert "Group 052" in second
    assert "Group 052" not in first
    assert "Group 052" in panel.see("/groups?q=052")
    assert "No group of that name" in panel.see("/groups?q=zzz")


def test_deleting_a_group_leaves_its_people(panel: Panel) -> None:
    group, user = made("Nurses"), person()
    with transaction():
        groups.add_members(group, [user.resource_id], actor=CLI)
    page = panel.see(f"/groups/{group.resource_id}")
    assert "One member leaves the group and stays a user." in page
    panel.post(f"/groups/{group.resource_id}/delete")
    assert "In no group" in panel.see(f"/users/{user.resource_id}")
