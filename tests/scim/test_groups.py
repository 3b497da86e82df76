# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Groups through the real app: members are rows."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from provisioning.models import AuditEvent, Group, Member
from scim.bulk import REQUEST_URN
from tests.fakes.queries import counted
from tests.scim.pushing import GROUP, USER, Directory, connect
from tests.scim.test_routes import refused


def members(directory: Directory, group: dict[str, Any]) -> list[str]:
    body = directory("GET", f"/Groups/{group['id']}").get_json(force=True)
    return [member["value"] for member in body.get("members", [])]


@pytest.fixture
def people(directory: Directory) -> list[str]:
    return [directory.user(f"person{place}")["id"] for place in range(4)]


@pytest.mark.req("S15")
def test_a_group_shows_its_members(directory: Directory, people: list[str]) -> None:
    inner = directory.group("Inner", people[0])
    group = directory.group("Outer", people[1], inner["id"], people[1], externalId="7")
    assert group["members"] == [
        {
            "value": people[1],
            "$ref": f"http://localhost:5005/scim/v2/Users/{people[1]}",
            "type": "User",
            "display": "person1",
        },
        {
            "value": inner["id"],
            "$ref": inner["meta"]["location"],
            "type": "Group",
            "display": "Inner",
        },
    ]
    assert group["externalId"] == "7"


@pytest.mark.req("P12")
def test_members_come_and_go_by_every_form_of_patch(
    directory: Directory, people: list[str]
) -> None:
    a, b, c, d = people
    group = directory.group("Staff", a)
    path = f"/Groups/{group['id']}"

    def change(**operation: Any) -> list[str]:
        assert directory.patch(path, operation).status_code == 204
        return members(directory, group)

    assert change(op="add", path="members", value=[{"value": b}, {"value": c}]) == [a, b, c]
    assert change(op="add", path="members", value=[{"value": b}]) == [a, b, c]
    assert change(op="Remove", path="members", value=[{"$ref": None, "value": b}]) == [a, c]
    assert change(op="remove", path=f'members[value eq "{a}"]') == [c]
    assert change(op="remove", path=f'members[value eq "{a}"]') == [c]
    assert change(op="remove", path="members", value=[]) == [c]
    assert sorted(change(op="replace", path="members", value=[{"value": c}, {"value": d}])) == (
        sorted([c, d])
    )
    assert change(op="add", value={"members": [{"value": a}], "id": group["id"]}) == [c, d, a]
    assert change(op="remove", path='members[display eq "PERSON0"]') == [c, d]
    assert change(op="remove", path='members[type eq "Group"]') == [c, d]
    assert change(op="remove", path="members") == []
    assert change(op="replace", value={"members": [{"value": b}]}) == [b]
    assert change(op="replace", path="members", value=[]) == []


@pytest.mark.req("P12")
@pytest.mark.req("S14")
def test_what_changes_no_member_leaves_version_and_date(
    directory: Directory, people: list[str]
) -> None:
    group = directory.group("Staff", people[0])
    path = f"/Groups/{group['id']}"
    events = AuditEvent.select().count()
    for operation in (
        {"op": "add", "path": "members", "value": [{"value": people[0]}]},
        {"op": "remove", "path": f'members[value eq "{people[1]}"]'},
        {"op": "replace", "path": "displayName", "value": "Staff"},
    ):
        answer = directory.patch(path, operation)
        assert answer.headers["ETag"] == group["meta"]["version"]
    body = {"schemas": [GROUP], "displayName": "Staff", "members": [{"value": people[0]}]}
    assert directory("PUT", path, body).get_json(force=True) == group
    assert AuditEvent.select().count() == events


@pytest.mark.req("R10")
def test_a_patch_of_members_is_all_or_nothing(directory: Directory, people: list[str]) -> None:
    group = directory.group("Staff", people[0])
    path = f"/Groups/{group['id']}"
    add = {"op": "add", "path": "members", "value": [{"value": people[1]}]}
    rename = {"op": "replace", "path": "displayName", "value": "Renamed"}
    for bad, scim_type in (
        ({"op": "add", "path": "members", "value": [{"value": "nobody"}]}, "invalidValue"),
        ({"op": "replace", "path": "members.display", "value": "x"}, "mutability"),
        ({"op": "remove", "path": "displayName"}, "mutability"),
        ({"op": "add", "path": "members", "value": [{"value": group["id"]}]}, "invalidValue"),
    ):
        refused(directory.patch(path, add, rename, bad), 400, scim_type)
    assert directory("GET", path).get_json(force=True) == group


@pytest.mark.req("R6")
def test_a_nest_in_a_circle_is_refused(directory: Directory) -> None:
    inner = directory.group("Inner")
    outer = directory.group("Outer", inner["id"])
    refused(
        directory.patch(
            f"/Groups/{inner['id']}",
            {"op": "add", "path": "members", "value": [{"value": outer["id"]}]},
        ),
        400,
        "invalidValue",
    )


def test_many_operations_make_few_changes(directory: Directory, people: list[str]) -> None:
    group = directory.group("Staff")
    directory.patch(
        f"/Groups/{group['id']}",
        *[{"op": "Add", "path": "members", "value": [{"value": person}]} for person in people],
    )
    assert sorted(members(directory, group)) == sorted(people)
    assert Group.get().version == 2
    assert AuditEvent.select().where(AuditEvent.event == "group.members_changed").count() == 1


@pytest.mark.req("P11")
def test_a_put_replaces_name_and_members(directory: Directory, people: list[str]) -> None:
    group = directory.group("Staff", people[0], people[1], externalId="7")
    body = {
        "schemas": [GROUP],
        "id": group["id"],
        "displayName": "Crew",
        "members": [{"value": people[1], "display": None}, {"value": people[2]}],
    }
    answer = directory("PUT", f"/Groups/{group['id']}", body).get_json(force=True)
    assert answer["displayName"] == "Crew"
    assert "externalId" not in answer
    assert members(directory, group) == [people[1], people[2]]
    directory("PUT", f"/Groups/{group['id']}", {"schemas": [GROUP], "displayName": "Crew"})
    assert members(directory, group) == []


@pytest.mark.req("P22")
def test_members_may_come_by_their_whole_name(directory: Directory, people: list[str]) -> None:
    whole = f"{GROUP}:Members"
    body = {"schemas": [GROUP], "displayName": "Staff", whole: [{"value": people[0]}]}
    answer = directory("POST", "/Groups", body)
    assert answer.status_code == 201
    assert answer.text.count('"members"') == 1
    group = answer.get_json(force=True)
    assert members(directory, group) == [people[0]]
    path = f"/Groups/{group['id']}"
    assert directory("PUT", path, {**body, whole: [{"value": people[1]}]}).status_code == 200
    assert members(directory, group) == [people[1]]
    refused(directory("PUT", path, {**body, whole: [{"value": "nobody"}]}), 400, "invalidValue")
    refused(directory("PUT", path, {**body, "members": []}), 400, "invalidSyntax")
    assert members(directory, group) == [people[1]]
    assert "members" not in Group.get(resource_id=group["id"]).document


@pytest.mark.req("P17")
def test_a_bulk_request_may_name_members_by_their_whole_name(directory: Directory) -> None:
    ann = {"schemas": [USER], "userName": "ann"}
    staff = {"schemas": [GROUP], "displayName": "S", f"{GROUP}:members": [{"value": "bulkId:a"}]}
    operations = [
        {"method": "POST", "path": "/Groups", "bulkId": "s", "data": staff},
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": ann},
    ]
    request = {"schemas": [REQUEST_URN], "Operations": operations}
    done = directory("POST", "/Bulk", request).get_json()["Operations"]
    made = {each["bulkId"]: each["location"].rpartition("/")[2] for each in done}
    assert members(directory, {"id": made["s"]}) == [made["a"]]


@pytest.mark.req("P11")
@pytest.mark.parametrize("profile", ["strict", "okta", "onelogin"])
def test_a_profile_without_whole_names_empties_no_group(app: Flask, profile: str) -> None:
    directory = connect(app, profile=profile)
    ann = directory.user("ann")["id"]
    group = directory.group("Staff", ann)
    body = {"schemas": [GROUP], "displayName": "Staff", f"{GROUP}:members": [{"value": ann}]}
    refused(directory("PUT", f"/Groups/{group['id']}", body), 400, "invalidSyntax")
    assert members(directory, group) == [ann]


@pytest.mark.req("S6")
def test_a_name_is_unique_and_free_again_after_deletion(directory: Directory) -> None:
    group = directory.group("Staff")
    body = {"schemas": [GROUP], "displayName": "STAFF "}
    refused(directory("POST", "/Groups", body), 409, "uniqueness")
    assert directory("DELETE", f"/Groups/{group['id']}").status_code == 204
    refused(directory("GET", f"/Groups/{group['id']}"), 404)
    refused(directory("DELETE", f"/Groups/{group['id']}"), 404)
    assert directory.group("Staff")["id"] != group["id"]


@pytest.mark.req("S6")
@pytest.mark.req("S13")
def test_an_identifier_is_unique_among_a_directorys_groups(
    app: Flask, directory: Directory
) -> None:
    staff, crew = directory.group("Staff", externalId="7"), directory.group("Crew")
    directory.user("ann", externalId="7")
    connect(app, "Other").group("Staff", externalId="7")
    directory.group("Exact", externalId="a")
    directory.group("exactly", externalId="A")
    path = f"/Groups/{crew['id']}"
    body = {"schemas": [GROUP], "displayName": "Crew", "externalId": "7"}
    change = {"op": "add", "path": "externalId", "value": "7"}
    for answer in (
        directory("POST", "/Groups", {**body, "displayName": "New"}),
        directory("PUT", path, body),
        directory.patch(path, change),
    ):
        refused(answer, 409, "uniqueness")
        assert "Staff" not in answer.text
    assert directory.find('externalId eq "7"', "/Groups") == ["Staff"]
    assert directory("DELETE", f"/Groups/{staff['id']}").status_code == 204
    assert directory.patch(path, change).status_code == 204


@pytest.mark.req("P2")
def test_members_left_out_are_never_loaded(directory: Directory, people: list[str]) -> None:
    group = directory.group("Staff", *people)
    for path in (
        f"/Groups/{group['id']}?excludedAttributes=members",
        "/Groups?excludedAttributes=members",
        "/Groups?attributes=displayName",
        f'/Groups?attributes=id&filter=members eq "{people[0]}"',
    ):
        with counted() as asked:
            answer = directory("GET", path)
        assert answer.status_code == 200
        assert b"members" not in answer.data
        assert group["id"].encode() in answer.data
        assert asked
        assert [each for each in asked if 'JOIN "user"' in each] == []


@pytest.mark.req("P12")
def test_a_patch_of_one_member_costs_the_same_in_a_large_group(
    directory: Directory, people: list[str]
) -> None:
    small, large = directory.group("Small"), directory.group("Large")
    row = Group.get(Group.display_name == "Large")
    made = [directory.user(f"m{place}")["id"] for place in range(40)]
    directory.patch(
        f"/Groups/{large['id']}",
        {"op": "add", "path": "members", "value": [{"value": each} for each in made]},
    )
    assert Member.select().where(Member.group == row).count() == 40
    counts = []
    for group in (small, large):
        with counted() as asked:
            directory.patch(
                f"/Groups/{group['id']}",
                {"op": "add", "path": "members", "value": [{"value": people[0]}]},
            )
        counts.append(len(asked))
        assert not any(made[0] in each for each in asked)
    assert counts[0] == counts[1]


def test_a_member_must_be_the_connections_own_and_alive(
    directory: Directory, people: list[str]
) -> None:
    directory("DELETE", f"/Users/{people[0]}")
    body = {"schemas": [GROUP], "displayName": "Staff", "members": [{"value": people[0]}]}
    refused(directory("POST", "/Groups", body), 400, "invalidValue")
    assert Group.select().count() == 0


@pytest.mark.req("P18")
@pytest.mark.req("S14")
def test_whoever_asks_whether_a_group_has_changed_hears_of_its_members(
    directory: Directory,
) -> None:
    ann, bob = directory.user("ann"), directory.user("bob")
    ward = directory.group("Ward", ann["id"])
    group = directory.group("Staff", ann["id"], bob["id"], ward["id"])
    other = directory.group("Other", bob["id"])

    def renamed(path: str) -> None:
        change = {"op": "replace", "path": "displayName", "value": f"New {path[:4]}"}
        assert directory.patch(path, change).status_code in (200, 204)

    steps = (
        (lambda: renamed(f"/Users/{ann['id']}"), 3),
        (lambda: renamed(f"/Groups/{ward['id']}"), 3),
        (lambda: directory("DELETE", f"/Users/{ann['id']}"), 2),
        (lambda: directory("DELETE", f"/Groups/{ward['id']}"), 1),
    )
    for step, left in steps:
        tag = directory("GET", f"/Groups/{group['id']}").headers["ETag"]
        assert directory("GET", f"/Groups/{group['id']}", If_None_Match=tag).status_code == 304
        step()
        answer = directory("GET", f"/Groups/{group['id']}", If_None_Match=tag)
        assert answer.status_code == 200
        shown = answer.get_json(force=True)
        assert len(shown["members"]) == left
        assert shown["meta"]["version"] != tag
    assert directory("GET", f"/Groups/{other['id']}").get_json(force=True) == other


@pytest.mark.req("P4")
def test_members_are_found_by_their_address_too(directory: Directory) -> None:
    ann, bob, cy = (directory.user(name) for name in ("ann", "bob", "cy"))
    group = directory.group("Staff", ann["id"], bob["id"], cy["id"])

    def left(filter_: str) -> list[str]:
        path = f"/Groups/{group['id']}"
        change = {"op": "remove", "path": f"members[{filter_}]"}
        assert directory.patch(path, change).status_code in (200, 204)
        shown = directory("GET", path).get_json(force=True).get("members", [])
        return [each["display"] for each in shown]

    bobs = bob["meta"]["location"]
    assert left(f'$ref eq "{bobs}x"') == ["ann", "bob", "cy"]
    assert left(f'$ref eq "{bobs}"') == ["ann", "cy"]
    assert left(f'not ($ref eq "{ann["meta"]["location"]}")') == ["ann"]
    assert left("$ref pr") == []
