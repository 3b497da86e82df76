# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Groups in the panel: made by hand they can be changed, a directory's cannot."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from provisioning import groups, nesting
from provisioning.audit import CLI
from provisioning.models import Connection, Group, Session, User
from provisioning.pages import group_list
from provisioning.storage.db import transaction
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
        for number in range(group_list.PAGE + 5):
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
    assert len(re.findall(r'href="/users/m\d+"', first)) == group_list.PAGE
    following = re.search(r'href="([^"]*after=\d+[^"]*)"', first)
    assert following
    second = panel.get(following[1].replace("&amp;", "&")).text
    shown = set(re.findall(r"/users/(m\d+)", first)) | set(re.findall(r"/users/(m\d+)", second))
    assert shown == set(ids)
    assert f"/groups/{inner.resource_id}" in first + second
    assert "Member 007" in panel.see(f"{here}?q=007")
    assert "Nobody matches" in panel.see(f"{here}?q=zzz")


def test_the_list_pages_by_name_and_searches_anywhere(panel: Panel) -> None:
    for number in range(group_list.PAGE + 3):
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


class TestMembers:
    def test_people_and_groups_are_added_and_taken_out(self, panel: Panel) -> None:
        nurses, porters, ada = made("Nurses"), made("Porters"), person()
        here = f"/groups/{nurses.resource_id}"
        page = panel.see(f"{here}/members/add?q=ada")
        assert "Ada Lovelace" in page
        assert "Porters" not in page
        panel.post(
            f"{here}/members/add",
            {"members": [ada.resource_id, porters.resource_id], "go": "add"},
        )
        shown = panel.see(here)
        assert "2 members were added." in shown
        assert "Ada Lovelace" in shown
        assert "Porters" in shown
        assert "Ada Lovelace" not in panel.see(f"{here}/members/add")  # she is in already
        panel.post(f"{here}/members/{ada.resource_id}/remove")
        assert "Ada Lovelace is no longer in Nurses." in panel.see(here)
        assert [each.display for each in nesting.groups_of(ada)] == []

    def test_ticks_stay_while_others_are_searched(self, panel: Panel) -> None:
        nurses, ada = made("Nurses"), person()
        person("grace", displayName="Grace Hopper")
        page = panel.post(
            f"/groups/{nurses.resource_id}/members/add",
            {"members": [ada.resource_id], "q": "grace"},
        ).text
        assert re.search(rf'value="{ada.resource_id}"[^>]*checked', page)
        assert "Grace Hopper" in page

    def test_a_group_inside_itself_is_refused_in_words(self, panel: Panel) -> None:
        outer, inner = made("Clinic"), made("Nurses")
        add = {"members": [inner.resource_id], "go": "add"}
        panel.post(f"/groups/{outer.resource_id}/members/add", add)
        answer = panel.post(
            f"/groups/{inner.resource_id}/members/add",
            {"members": [outer.resource_id], "go": "add"},
        )
        assert "A group cannot be a member of itself." in answer.text

    def test_somebody_unknown_is_refused_in_words(self, panel: Panel) -> None:
        nurses = made("Nurses")
        answer = panel.post(
            f"/groups/{nurses.resource_id}/members/add", {"members": ["nobody"], "go": "add"}
        )
        assert "There is no user or group nobody." in answer.text

    def test_a_directorys_members_are_changed_there(self, panel: Panel) -> None:
        doctors, ada = made("Doctors", Connection.create(name="Entra ID")), person()
        here = f"/groups/{doctors.resource_id}"
        assert "Add members" not in panel.see(here)
        assert panel.get(f"{here}/members/add").status_code == 403
        for url in (f"{here}/members/add", f"{here}/members/{ada.resource_id}/remove"):
            answer = panel.post(url, {"members": [ada.resource_id], "go": "add"})
            assert answer.status_code == 403


class TestNames:
    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("", "This field is required."),
            ("x" * 257, "Field cannot be longer than 256 characters."),
            ("x" * 10_000, "Field cannot be longer than 256 characters."),
            ("Nur\nses", "on one line"),
            ("Nur\u202eses", "on one line"),
            ("Nur\u200bses", "on one line"),
            ("NURSES", "There is already a group NURSES."),
        ],
    )
    def test_what_is_wrong_stands_beside_the_field(
        self, panel: Panel, name: str, sentence: str
    ) -> None:
        made("Nurses")
        answer = panel.post("/groups/new", {"name": name})
        assert answer.status_code == 200
        assert sentence in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert Group.select().count() == 1

    def test_script_and_emoji_are_a_name_like_any_other(self, panel: Panel) -> None:
        for name in ("<script>alert(1)</script>", "Nurses 🦉"):
            here = panel.post("/groups/new", {"name": name}).location
            page = panel.get(here).text
            assert "<script>alert" not in page
        assert "Nurses 🦉" in panel.see("/groups")

    def test_somebody_else_renamed_it_both_names_are_shown(self, panel: Panel) -> None:
        nurses = made("Nurses")
        here = f"/groups/{nurses.resource_id}/rename"
        with transaction():
            groups.replace_group(Group.get(), {"displayName": "Night nurses"}, actor=CLI)
        answer = panel.post(here, {"name": "Day nurses", "before": "Nurses"})
        assert answer.status_code == 200
        assert "it is called Night nurses now" in answer.text
        assert 'value="Day nurses"' in answer.text
        assert Group.get().display_name == "Night nurses"
        assert 'name="before" type="hidden" value="Night nurses"' in answer.text
        panel.post(here, {"name": "Day nurses", "before": "Night nurses"})
        assert Group.get().display_name == "Day nurses"

    def test_a_session_that_ends_in_mid_form_loses_nothing(self, panel: Panel) -> None:
        Session.update(last_seen_at=1).execute()
        assert "/sign-in?next=/groups/new" in panel.post("/groups/new", {"name": "Nurses"}).location
        Session.update(last_seen_at=2**45).execute()
        assert 'value="Nurses"' in panel.get("/groups/new").text

    def test_without_its_token_nothing_is_made(self, panel: Panel, app: Flask) -> None:
        app.config["WTF_CSRF_ENABLED"] = True
        assert panel.post("/groups/new", {"name": "Nurses"}).status_code == 400
        assert not Group.select().exists()
