# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What real clients are known to do beyond the requests that are replayed, client by client.

Each runs under the tolerant profile and under the client's own, where there is one.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from provisioning.models import Group, User
from scim.bulk import REQUEST_URN
from scim.quirks import PROFILES
from scim.resource_types import ENTERPRISE_USER
from tests.scim.pushing import GROUP, USER, Directory, connect
from tests.scim.test_routes import refused

MICROSOFT_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"


@pytest.fixture(params=["tolerant", "own"])
def client(request: pytest.FixtureRequest, app: Flask) -> Directory:
    """A connection of the client that the test's name begins with."""
    own = request.node.originalname.split("_")[1]
    known = own if own in PROFILES else "tolerant"
    return connect(app, own, profile=known if request.param == "own" else "tolerant")


def ok(answer: TestResponse, *statuses: int) -> dict[str, Any]:
    assert answer.status_code in (statuses or (200,)), answer.text
    return dict(answer.get_json(force=True)) if answer.data else {}


def members(client: Directory, group: dict[str, Any]) -> list[str]:
    shown = ok(client("GET", f"/Groups/{group['id']}"))
    return [each["value"] for each in shown.get("members", [])]


def manager(client: Directory, user: dict[str, Any]) -> Any:
    shown = ok(client("GET", f"/Users/{user['id']}"))
    return shown.get(ENTERPRISE_USER, {}).get("manager")


# --- Entra ID --------------------------------------------------------------------------------


@pytest.mark.req("P12")
@pytest.mark.parametrize("path", [f"{ENTERPRISE_USER}:manager", "manager"])
@pytest.mark.parametrize("op", ["Add", "Replace", "add", "replace"])
def test_entra_writes_a_manager_as_a_text_an_array_and_an_object(
    client: Directory, path: str, op: str
) -> None:
    boss, ann = client.user("boss"), client.user("ann")
    one = {"value": boss["id"]}
    for value in (boss["id"], [one], [{"$ref": None, **one}], one, {**one, "displayName": None}):
        change = {"op": op, "path": path, "value": value}
        ok(client.patch(f"/Users/{ann['id']}", change))
        assert manager(client, ann)["value"] == boss["id"], value
        ok(client.patch(f"/Users/{ann['id']}", {"op": "Remove", "path": path}))
        assert manager(client, ann) is None


@pytest.mark.req("S9")
@pytest.mark.parametrize("value", ["", None, [], {}, [{"value": ""}], {"value": ""}])
def test_entra_clears_a_manager_by_nothing_in_any_spelling(client: Directory, value: Any) -> None:
    ann = client.user("ann", **{ENTERPRISE_USER: {"manager": {"value": "m1"}, "division": "D"}})
    path = f"{ENTERPRISE_USER}:manager"
    ok(client.patch(f"/Users/{ann['id']}", {"op": "Replace", "path": path, "value": value}))
    assert manager(client, ann) is None
    shown = ok(client("GET", f"/Users/{ann['id']}"))
    assert shown[ENTERPRISE_USER] == {"division": "D"}


@pytest.mark.req("S9")
def test_entra_sends_nulls_that_say_nothing(client: Directory) -> None:
    ann = client.user(
        "ann",
        externalId=None,
        displayName=None,
        emails=[{"primary": True, "type": "work", "value": "ann@example.org"}, None],
        addresses=[{"primary": False, "type": "work", "formatted": None, "country": None}],
        meta={"resourceType": "User"},
        name={"formatted": None, "familyName": "Lee", "givenName": None},
        **{ENTERPRISE_USER: {"department": None, "manager": None}},
    )
    assert ann["name"] == {"familyName": "Lee"}
    assert not {"externalId", "displayName", ENTERPRISE_USER} & set(ann)
    assert ann["emails"] == [{"primary": True, "type": "work", "value": "ann@example.org"}]


@pytest.mark.req("S10")
@pytest.mark.parametrize("mark", ["True", "true", True])
def test_entra_marks_a_role_primary_by_a_text(client: Directory, mark: Any) -> None:
    role = {"value": "officer", "display": "Officer", "primary": mark, "type": "WindowsAzureAD"}
    ann = client.user("ann", roles=[role])
    assert ann["roles"] == [{**role, "primary": True}]
    bob = client.user("bob")
    changed = ok(
        client.patch(
            f"/Users/{bob['id']}",
            {"op": "Add", "path": 'roles[primary eq "True"].value', "value": "officer"},
            {"op": "Replace", "path": 'roles[primary eq "True"].display', "value": "Officer"},
        )
    )
    assert changed["roles"] == [{"primary": True, "value": "officer", "display": "Officer"}]


@pytest.mark.req("R8")
@pytest.mark.parametrize(
    "change",
    [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "replace", "path": "active", "value": False},
        {"op": "Add", "path": "active", "value": "false"},
        {"op": "replace", "value": {"active": "False"}},
        {"op": "Replace", "path": "active", "value": [{"$ref": None, "value": "False"}]},
    ],
)
def test_entra_ends_access_in_each_of_its_spellings(
    client: Directory, change: dict[str, Any]
) -> None:
    ann = client.user("ann")
    assert ok(client.patch(f"/Users/{ann['id']}", change))["active"] is False
    assert User.get().active is False


@pytest.mark.req("P12")
def test_entra_removes_members_by_value_and_never_empties_a_group(client: Directory) -> None:
    people = [client.user(f"p{n}")["id"] for n in range(4)]
    group = client.group("Staff", *people)
    path = f"/Groups/{group['id']}"
    for operation, left in (
        ({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": people[0]}]}, 3),
        ({"op": "Remove", "path": "members", "value": [{"value": "nobody"}]}, 3),
        ({"op": "Remove", "path": "members", "value": []}, 3),
        ({"op": "remove", "path": f'members[value eq "{people[1]}"]'}, 2),
        ({"op": "remove", "path": "members", "value": {"value": people[2]}}, 1),
    ):
        assert client.patch(path, operation).status_code == 204
        assert len(members(client, group)) == left
    assert members(client, group) == people[3:]


@pytest.mark.req("P13")
def test_entra_makes_a_group_empty_under_a_schema_of_its_own(client: Directory) -> None:
    body = {
        "schemas": [GROUP, MICROSOFT_GROUP],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "Staff",
        "meta": {"resourceType": "Group"},
    }
    group = ok(client("POST", "/Groups", body), 201)
    assert group["schemas"] == [GROUP]
    asked = quote('displayName eq "Staff"')
    listed = ok(client("GET", f"/Groups?excludedAttributes=members&filter={asked}"))
    assert [each["id"] for each in listed["Resources"]] == [group["id"]]


@pytest.mark.req("P3")
@pytest.mark.parametrize(
    "filter_",
    [
        'userName eq "b3f0c2e6-0000-4000-8000-000000000000"',
        'externalId eq "b3f0c2e6"',
        'emails[type eq "work"].value eq "nobody@example.org"',
        'active eq "True" and userName eq "nobody"',
    ],
)
def test_entra_tests_a_connection_by_looking_for_nobody(client: Directory, filter_: str) -> None:
    listed = ok(client("GET", f"/Users?filter={quote(filter_)}"))
    assert (listed["totalResults"], listed["Resources"]) == (0, [])


@pytest.mark.req("R9")
def test_entra_sends_attributes_of_its_own_schema(client: Directory) -> None:
    ann = client.user("ann", schemas=[USER, CUSTOM], **{CUSTOM: {"badge": {"number": "7"}}})
    change = {"op": "Add", "path": f"{CUSTOM}:badge.number", "value": "8"}
    assert ok(client.patch(f"/Users/{ann['id']}", change, {**change, "op": "Replace"})) == ann
    assert ann["schemas"] == [USER]


@pytest.mark.req("P17")
def test_entra_uploads_from_a_human_resources_system_in_bulk(client: Directory) -> None:
    def person(number: str, boss: str) -> dict[str, Any]:
        return {
            "method": "POST",
            "bulkId": f"897401c2-2de4-4b87-a97f-{number:0>12}",
            "path": "/Users",
            "data": {
                "schemas": [USER, ENTERPRISE_USER],
                "externalId": number,
                "userName": f"person{number}@example.org",
                "name": {"familyName": "Person", "givenName": number, "middleName": None},
                "emails": [{"value": f"{number}@example.org", "type": "work", "primary": True}],
                "addresses": [{"type": "work", "country": "US", "primary": True}],
                "active": True,
                "password": "not for us",
                ENTERPRISE_USER: {
                    "employeeNumber": number,
                    "manager": {"value": boss, "displayName": "A Boss"},
                },
            },
        }

    body = {
        "schemas": [REQUEST_URN],
        "Operations": [person("701984", "89607"), person("701985", "701984")],
        "failOnErrors": None,
    }
    data = json.dumps(body).encode()
    answer = client("POST", "/Bulk", data)
    assert [each["status"] for each in ok(answer)["Operations"]] == ["201", "201"]
    found = ok(client("GET", "/Users"))["Resources"]
    assert [each["externalId"] for each in found] == ["701984", "701985"]
    assert found[1][ENTERPRISE_USER]["manager"] == {"value": "701984"}
    assert "not for us" not in json.dumps(found)
    repeated = ok(client("POST", "/Bulk", data))["Operations"]
    assert [each["response"]["scimType"] for each in repeated] == ["uniqueness"] * 2


# --- Okta ------------------------------------------------------------------------------------


@pytest.mark.req("S4")
def test_okta_sends_the_id_with_a_rename_and_with_every_change_of_members(
    client: Directory,
) -> None:
    ann = client.user("ann")
    group = client.group("Old")
    path, mine = f"/Groups/{group['id']}", {"id": group["id"]}
    rename = {"op": "replace", "value": {**mine, "displayName": "New"}}
    assert client.patch(path, rename).status_code == 204
    add = {"op": "add", "value": {**mine, "members": [{"value": ann["id"], "display": "ann"}]}}
    assert client.patch(path, rename, add).status_code == 204
    assert members(client, group) == [ann["id"]]
    assert ok(client("GET", path))["displayName"] == "New"
    other = {"op": "replace", "value": {"id": "another", "displayName": "Wrong"}}
    refused(client.patch(path, other), 400, "mutability")
    assert ok(client("GET", path))["displayName"] == "New"


@pytest.mark.req("P12")
def test_okta_replaces_members_by_nobody(client: Directory) -> None:
    group = client.group("Staff", client.user("ann")["id"])
    empty = {"op": "replace", "path": "members", "value": []}
    assert client.patch(f"/Groups/{group['id']}", empty).status_code == 204
    assert members(client, group) == []


@pytest.mark.req("P11")
@pytest.mark.req("S4")
def test_okta_puts_back_all_that_it_was_given(client: Directory) -> None:
    ann = client.user("ann", emails=[{"value": "ann@example.org", "primary": True, "type": "work"}])
    client.group("Staff", ann["id"])
    path = f"/Users/{ann['id']}"
    whole = ok(client("GET", path))
    assert whole["groups"]
    changed = ok(client("PUT", path, {**whole, "active": False, "title": "Nurse"}))
    assert changed["active"] is False
    assert changed["groups"] == whole["groups"]
    assert {**changed, "active": True} | {"meta": 0} == {**whole, "title": "Nurse"} | {"meta": 0}


@pytest.mark.req("R8")
def test_okta_ends_access_without_a_path_and_never_deletes(client: Directory) -> None:
    ann = client.user("ann")
    path = f"/Users/{ann['id']}"
    assert ok(client.patch(path, {"op": "replace", "value": {"active": False}}))["active"] is False
    assert client.find('userName eq "ANN"') == ["ann"]
    assert ok(client.patch(path, {"op": "replace", "value": {"active": True}}))["active"] is True


@pytest.mark.req("S18")
def test_okta_sends_a_password_that_is_not_kept(client: Directory) -> None:
    ann = client.user("ann", password="t1meMa$heen")
    change = {"op": "replace", "value": {"password": "t1meMa$heen"}}
    assert ok(client.patch(f"/Users/{ann['id']}", change)) == ann
    assert "t1meMa" not in User.get().document


# --- OneLogin --------------------------------------------------------------------------------


@pytest.mark.req("S13")
@pytest.mark.req("R8")
@pytest.mark.req("P22")
def test_onelogin_sends_its_template_with_no_id_and_texts_for_booleans(client: Directory) -> None:
    body = {
        "schemas": [USER],
        "id": None,
        "userName": "ann",
        "active": "true",
        "name": {"givenName": "Ann", "familyName": "Lee"},
        "emails": {"value": "ann@example.org", "type": "work", "primary": True},
        "managerId": "m1",
        "department": "Ward 3",
        "title": "",
    }
    answer = client("POST", "/Users", body, Accept="application/json")
    ann = ok(answer, 201)
    assert answer.mimetype == "application/json"
    assert ann["id"]
    assert ann["emails"] == [{"value": "ann@example.org", "type": "work", "primary": True}]
    assert ann[ENTERPRISE_USER] == {"manager": {"value": "m1"}, "department": "Ward 3"}
    assert ann["schemas"] == [USER, ENTERPRISE_USER]
    path = f"/Users/{ann['id']}"
    left = ok(client("PUT", path, {**body, "active": "false"}, Accept="application/json"))
    assert left["active"] is False


@pytest.mark.req("P12")
def test_onelogin_patches_groups(client: Directory) -> None:
    ann = client.user("ann")
    group = client.group("Staff")
    path = f"/Groups/{group['id']}"
    for operation, left in (
        ({"op": "add", "path": "members", "value": [{"value": ann["id"]}]}, [ann["id"]]),
        ({"op": "remove", "path": f'members[value eq "{ann["id"]}"]'}, []),
        ({"op": "replace", "path": "displayName", "value": "New"}, []),
    ):
        assert client.patch(path, operation).status_code == 204
        assert members(client, group) == left


# --- JumpCloud, Google, Ping, SailPoint ------------------------------------------------------


@pytest.mark.req("P16")
def test_jumpcloud_tests_a_connection_by_making_and_deleting(client: Directory) -> None:
    for _ in range(2):  # and again, when the button is pressed once more
        ann = client.user("jumpcloud-test", emails=[{"value": "t@example.org", "primary": True}])
        group = client.group("jumpcloud-test", ann["id"])
        off = {"op": "replace", "value": {"active": False}}
        ok(client.patch(f"/Users/{ann['id']}", off))
        remove = {"op": "remove", "path": "members", "value": [{"value": ann["id"]}]}
        assert client.patch(f"/Groups/{group['id']}", remove).status_code == 204
        assert members(client, group) == []
        for path in (f"/Groups/{group['id']}", f"/Users/{ann['id']}"):
            assert client("DELETE", path).status_code == 204
            refused(client("GET", path), 404)
    assert Group.select().where(Group.deleted_at.is_null()).count() == 0


@pytest.mark.req("P3")
def test_google_asks_for_one_person_first(client: Directory) -> None:
    listed = ok(client("GET", "/Users?count=1"))
    assert (listed["totalResults"], listed["itemsPerPage"]) == (0, 0)
    client.user("ann")
    assert len(ok(client("GET", "/Users?count=1"))["Resources"]) == 1


@pytest.mark.req("P4")
@pytest.mark.parametrize("filter_", ['userName eq "ann"', 'emails eq "ANN@example.org"'])
def test_ping_looks_people_up_by_name_or_by_address(client: Directory, filter_: str) -> None:
    client.user("ann", emails=[{"value": "ann@example.org"}])
    assert client.find(filter_) == ["ann"]


@pytest.mark.req("S1")
def test_sailpoint_demands_every_discovery_address(client: Directory) -> None:
    ok(client("GET", "/ServiceProviderConfig"))
    for path in ("/ResourceTypes", "/Schemas"):
        for each in ok(client("GET", path))["Resources"]:
            assert ok(client("GET", f"{path}/{each['id']}")) == each
    page = ok(client("GET", "/Users?startIndex=1&count=250&attributes=userName,groups"))
    assert page["itemsPerPage"] == 0
