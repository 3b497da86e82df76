# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Bulk requests through the real app."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask import Flask

from provisioning.models import AuditEvent, Group, UnknownAttribute, User
from scim.bulk import MAX_OPERATIONS, REQUEST_URN, RESPONSE_URN
from scim.bulk_ids import names_in, resolved, without
from scim.resource_types import ENTERPRISE_USER
from tests.scim.pushing import GROUP, PATCH_OP, USER, Directory, connect
from tests.scim.test_routes import refused


def post(bulk_id: str, **data: Any) -> dict[str, Any]:
    path = "/Groups" if "displayName" in data and "userName" not in data else "/Users"
    return {
        "method": "POST",
        "path": path,
        "bulkId": bulk_id,
        "data": {"schemas": [USER if path == "/Users" else GROUP], **data},
    }


def patch(path: str, *operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "method": "PATCH",
        "path": path,
        **more,
        "data": {"schemas": [PATCH_OP], "Operations": list(operations)},
    }


def send(directory: Directory, *operations: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = directory(
        "POST", "/Bulk", {"schemas": [REQUEST_URN], "Operations": list(operations), **more}
    )
    assert answer.status_code == 200, answer.text
    body = answer.get_json(force=True)
    assert body["schemas"] == [RESPONSE_URN]
    assert all(isinstance(each["status"], str) for each in body["Operations"])
    return list(body["Operations"])


def statuses(outcomes: list[dict[str, Any]]) -> list[str]:
    return [each["status"] for each in outcomes]


def at(directory: Directory, outcome: dict[str, Any]) -> dict[str, Any]:
    path = outcome["location"].removeprefix("http://localhost:5005/scim/v2")
    return dict(directory("GET", path).get_json(force=True))


@pytest.mark.req("P17")
def test_every_method_has_its_outcome(directory: Directory) -> None:
    ann, bob = directory.user("ann"), directory.user("bob")
    outcomes = send(
        directory,
        post("new", userName="cy"),
        {
            "method": "PUT",
            "path": f"/Users/{ann['id']}",
            "version": ann["meta"]["version"],
            "data": {"schemas": [USER], "userName": "ann", "title": "Nurse"},
        },
        patch(f"/Users/{ann['id']}", {"op": "Replace", "path": "active", "value": "False"}),
        {"method": "delete", "path": f"/Users/{bob['id']}"},
    )
    assert statuses(outcomes) == ["201", "200", "200", "204"]
    assert [each["method"] for each in outcomes] == ["POST", "PUT", "PATCH", "DELETE"]
    assert outcomes[0]["bulkId"] == "new"
    assert at(directory, outcomes[0])["userName"] == "cy"
    shown = at(directory, outcomes[2])
    assert (shown["title"], shown["active"]) == ("Nurse", False)
    assert shown["meta"]["version"] == outcomes[2]["version"]
    assert outcomes[3]["location"] == bob["meta"]["location"]
    assert "version" not in outcomes[3]
    refused(directory("GET", f"/Users/{bob['id']}"), 404)


@pytest.mark.req("P17")
@pytest.mark.req("S13")
def test_operations_name_what_others_create_in_either_order(directory: Directory) -> None:
    outcomes = send(
        directory,
        post("g", displayName="Staff", members=[{"value": "bulkId:a"}, {"value": "bulkId:b"}]),
        patch("/Groups/bulkId:g", {"op": "remove", "path": 'members[value eq "bulkId:b"]'}),
        post("a", userName="ann", **{ENTERPRISE_USER: {"manager": {"value": "bulkId:b"}}}),
        post("b", userName="bob"),
    )
    assert statuses(outcomes) == ["201", "200", "201", "201"]
    group, _, ann, bob = (at(directory, each) for each in outcomes)
    assert [member["value"] for member in group["members"]] == [ann["id"]]
    assert ann[ENTERPRISE_USER]["manager"]["value"] == bob["id"]
    assert not any("bulkId" in row.document for row in [*User.select(), *Group.select()])


@pytest.mark.req("P17")
def test_a_circle_is_created_first_and_completed_then(directory: Directory) -> None:
    outcomes = send(
        directory,
        post(
            "a",
            userName="ann",
            **{ENTERPRISE_USER: {"manager": {"value": "bulkId:b"}, "department": "W"}},
        ),
        post("b", userName="bob", **{ENTERPRISE_USER: {"manager": {"value": "bulkId:a"}}}),
        post("c", userName="cy", **{ENTERPRISE_USER: {"manager": {"value": "bulkId:c"}}}),
    )
    assert statuses(outcomes) == ["201", "201", "201"]
    ann, bob, cy = (at(directory, each) for each in outcomes)
    assert ann[ENTERPRISE_USER] == {"department": "W", "manager": {"value": bob["id"]}}
    assert bob[ENTERPRISE_USER]["manager"]["value"] == ann["id"]
    assert cy[ENTERPRISE_USER]["manager"]["value"] == cy["id"]
    assert [each["version"] for each in outcomes] == [
        each["meta"]["version"] for each in (ann, bob, cy)
    ]


@pytest.mark.req("P17")
def test_what_changes_one_of_a_circle_comes_when_that_is_whole(directory: Directory) -> None:
    def managed(by: str) -> dict[str, Any]:
        return {ENTERPRISE_USER: {"manager": {"value": f"bulkId:{by}"}}}

    def change(name: str) -> dict[str, Any]:
        title = {"op": "add", "path": "title", "value": "Nurse"}
        data = {"schemas": [PATCH_OP], "Operations": [title]}
        return {"method": "PATCH", "path": f"/Users/bulkId:{name}", "data": data}

    outcomes = send(
        directory,
        post("a", userName="ann", **managed("b")),
        change("a"),
        post("b", userName="bob", **managed("a")),
        post("s", userName="sue", **managed("s")),
        change("s"),
    )
    assert statuses(outcomes) == ["201", "200", "201", "201", "200"]
    ann, _, bob, sue, _ = (at(directory, each) for each in outcomes)
    assert [each.get("title") for each in (ann, bob, sue)] == ["Nurse", None, "Nurse"]
    managers = [each[ENTERPRISE_USER]["manager"]["value"] for each in (ann, bob, sue)]
    assert managers == [bob["id"], ann["id"], sue["id"]]


@pytest.mark.req("P17")
def test_one_of_a_circle_may_be_deleted_again(directory: Directory) -> None:
    back = {ENTERPRISE_USER: {"manager": {"value": "bulkId:a"}}}
    outcomes = send(
        directory,
        post("x", userName="xi"),
        post("a", userName="ann", **{ENTERPRISE_USER: {"manager": {"value": "bulkId:b"}}}),
        post("b", userName="bob", **back),
        {"method": "DELETE", "path": "/Users/bulkId:a"},
    )
    assert statuses(outcomes) == ["201", "201", "201", "204"]
    assert directory.find("userName pr") == ["xi", "bob"]


@pytest.mark.req("P17")
def test_a_circle_that_fails_after_one_was_deleted_takes_nothing_else_along(
    directory: Directory,
) -> None:
    outcomes = send(
        directory,
        post("x", displayName="X"),
        post("a", displayName="A", members=[{"value": "bulkId:b"}]),
        post("b", displayName="B", members=[{"value": "bulkId:a"}]),
        {"method": "DELETE", "path": "/Groups/bulkId:b"},
    )
    assert statuses(outcomes) == ["201", "400", "409", "409"]
    assert directory.find("displayName pr", "/Groups") == ["X"]


@pytest.mark.req("P17")
def test_a_text_that_speaks_of_a_bulk_id_names_none(directory: Directory) -> None:
    texts = {"nickName": "see [bulkId:z] here", "title": "/Users/bulkId:z"}
    (outcome,) = send(directory, post("a", userName="ann", **texts))
    assert outcome["status"] == "201"
    shown = at(directory, outcome)
    assert {name: shown[name] for name in texts} == texts


@pytest.mark.req("P17")
def test_of_a_circle_that_cannot_be_nothing_is_left(directory: Directory) -> None:
    outcomes = send(
        directory,
        post("a", displayName="A", members=[{"value": "bulkId:b"}]),
        post("b", displayName="B", members=[{"value": "bulkId:a"}]),
        post("s", displayName="S", members=[{"value": "bulkId:s"}]),
        post("c", displayName="C"),
    )
    assert statuses(outcomes) == ["400", "409", "400", "201"]
    assert not any("location" in each for each in outcomes[:3])
    assert directory.find("displayName pr", "/Groups") == ["C"]
    again = send(directory, post("a", displayName="A"), post("b", displayName="B"))
    assert statuses(again) == ["201", "201"]


@pytest.mark.req("P17")
def test_a_user_whose_manager_came_to_nothing_is_not_made(directory: Directory) -> None:
    directory.user("bob")
    managed = {ENTERPRISE_USER: {"manager": {"value": "bulkId:b"}}}
    back = {ENTERPRISE_USER: {"manager": {"value": "bulkId:a"}}}
    outcomes = send(
        directory, post("a", userName="ann", **managed), post("b", userName="bob", **back)
    )
    assert statuses(outcomes) == ["409", "409"]
    assert directory.find("userName pr") == ["bob"]


@pytest.mark.req("R10")
@pytest.mark.parametrize("version", [1, True, ['W/"1"'], {}])
def test_a_version_that_is_none_lets_nothing_pass(directory: Directory, version: object) -> None:
    ann = directory.user("ann")
    change = {"schemas": [PATCH_OP], "Operations": [{"op": "add", "path": "title", "value": "x"}]}
    for method in ("PATCH", "DELETE"):
        path = f"/Users/{ann['id']}"
        (outcome,) = send(
            directory, {"method": method, "path": path, "version": version, "data": change}
        )
        assert outcome["status"] == "400"
        assert outcome["response"]["scimType"] == "invalidValue"
    assert directory("GET", f"/Users/{ann['id']}").get_json(force=True) == ann


@pytest.mark.req("R4")
def test_a_user_is_no_larger_in_bulk_than_alone(directory: Directory) -> None:
    (outcome,) = send(directory, post("a", userName="ann", title="x" * 1_100_000))
    assert (outcome["status"], outcome["response"]["scimType"]) == ("400", "invalidValue")
    assert directory.find("userName pr") == []


@pytest.mark.req("P17")
def test_what_came_to_nothing_cannot_be_named(directory: Directory) -> None:
    directory.user("ann")
    outcomes = send(
        directory,
        post("g", displayName="Staff", members=[{"value": "bulkId:a"}]),
        post("a", userName="ANN"),
        post("h", displayName="H", members=[{"value": "bulkId:zzz"}]),
        patch("/Users/bulkId:a", {"op": "remove", "path": "title"}),
        post("ok", userName="bob"),
    )
    assert statuses(outcomes) == ["409", "409", "409", "409", "201"]
    assert outcomes[1]["response"]["scimType"] == "uniqueness"
    assert outcomes[1]["response"]["status"] == "409"
    assert "location" not in outcomes[1]
    assert Group.select().count() == 0


@pytest.mark.req("P17")
@pytest.mark.req("R10")
def test_each_operation_is_all_or_nothing_for_itself(directory: Directory) -> None:
    ann = directory.user("ann")
    outcomes = send(
        directory,
        post("g", displayName="Staff", members=[{"value": ann["id"]}, {"value": "nobody"}]),
        patch(
            f"/Users/{ann['id']}", {"op": "add", "path": "title", "value": "x"}, {"op": "remove"}
        ),
        patch(
            f"/Users/{ann['id']}", {"op": "add", "path": "title", "value": "y"}, version='W/"stale"'
        ),
        post("b", userName="bob"),
    )
    assert statuses(outcomes) == ["400", "400", "412", "201"]
    assert Group.select().count() == 0
    assert directory("GET", f"/Users/{ann['id']}").get_json(force=True) == ann
    assert AuditEvent.select().where(AuditEvent.event == "group.created").count() == 0


@pytest.mark.req("P17")
@pytest.mark.parametrize(("limit", "done"), [(1, 1), (2, 3), (3, 4), (0, 4), (None, 4)])
def test_fail_on_errors_ends_the_request(
    directory: Directory, limit: int | None, done: int
) -> None:
    outcomes = send(
        directory,
        post("x", userName=""),
        post("a", userName="ann"),
        {"method": "DELETE", "path": "/Users/nobody"},
        post("b", userName="bob"),
        failOnErrors=limit,
    )
    assert statuses(outcomes) == ["400", "201", "404", "201"][:done]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"method": "GET", "path": "/Users"}, "400"),
    ({"method": 1, "path": "/Users"}, "400"),
    ({"path": "/Users"}, "400"),
    ({"method": "POST", "path": "/Users", "data": {}}, "400"),
    ({"method": "POST", "path": "/Users", "bulkId": "x"}, "400"),
    ({"method": "POST", "path": "/Users", "bulkId": "x", "data": [1]}, "400"),
    ({"method": "POST", "path": "/Users/x", "bulkId": "x", "data": {}}, "400"),
    ({"method": "PUT", "path": "/Users", "data": {}}, "400"),
    ({"method": "DELETE", "path": "/Users"}, "400"),
    ({"method": "DELETE", "path": "/Nothing/x"}, "404"),
    ({"method": "DELETE"}, "404"),
    ({"method": "DELETE", "path": "/Users/../x"}, "404"),
    ({"method": "DELETE", "path": "/SecurityKeys/x"}, "404"),
    ({"method": "DELETE", "path": "/Users/nobody"}, "404"),
]


@pytest.mark.req("P17")
def test_a_wrong_operation_fails_alone(directory: Directory) -> None:
    for place, (operation, status) in enumerate(WRONG):
        outcomes = send(directory, operation, post("ok", userName=f"u{place}"))
        assert statuses(outcomes) == [status, "201"], operation
        assert outcomes[0]["response"]["status"] == status


def test_a_bulk_id_may_be_used_once(directory: Directory) -> None:
    outcomes = send(directory, post("a", userName="ann"), post("a", userName="bob"))
    assert statuses(outcomes) == ["201", "400"]


@pytest.mark.req("P17")
def test_a_body_that_is_no_bulk_request_is_refused(directory: Directory) -> None:
    for body in (
        {},
        {"schemas": [REQUEST_URN]},
        {"schemas": [REQUEST_URN], "Operations": []},
        {"schemas": [REQUEST_URN], "Operations": [1]},
        {"schemas": [USER], "Operations": [{}]},
    ):
        refused(directory("POST", "/Bulk", body), 400, "invalidSyntax")
    for value in ("1", True, 1.5, -1, [1]):
        body = {
            "schemas": [REQUEST_URN],
            "Operations": [post("a", userName="ann")],
            "failOnErrors": value,
        }
        refused(directory("POST", "/Bulk", body), 400, "invalidValue")
    assert User.select().count() == 0


@pytest.mark.req("R6")
@pytest.mark.req("P17")
def test_a_request_has_a_most_of_operations_and_of_bytes(directory: Directory) -> None:
    many = [post(f"u{place}", userName=f"u{place}") for place in range(MAX_OPERATIONS + 1)]
    refused(directory("POST", "/Bulk", {"schemas": [REQUEST_URN], "Operations": many}), 413)
    assert User.select().count() == 0
    assert statuses(send(directory, *many[:-1])) == ["201"] * MAX_OPERATIONS
    refused(directory("POST", "/Bulk", b'{"x":"' + b"y" * 32 * 1024 * 1024 + b'"}'), 413)


@pytest.mark.req("R1")
def test_a_scope_holds_for_every_operation(app: Flask) -> None:
    directory = connect(app, scope="users")
    outcomes = send(directory, post("a", userName="ann"), post("g", displayName="Staff"))
    assert statuses(outcomes) == ["201", "403"]
    reader = connect(app, "Reader", scope="read")
    assert statuses(send(reader, post("a", userName="bob"))) == ["403"]


@pytest.mark.req("R9")
def test_unknown_attributes_of_all_operations_are_counted_at_once(directory: Directory) -> None:
    send(directory, *[post(f"u{place}", userName=f"u{place}", shoe=1) for place in range(5)])
    assert [(row.name, row.seen) for row in UnknownAttribute.select()] == [("shoe", 5)]


def test_names_are_found_wherever_they_stand() -> None:
    data = {
        "members": [{"value": "bulkId:a"}, {"value": "b"}],
        "Operations": [{"path": 'members[value eq "bulkId:c" or value eq "bulkId:d"]'}],
        "note": "see bulkId:none of these",
        "x": {"manager": "bulkId:e"},
    }
    assert names_in({"path": "/Users/bulkId:f", "data": data}) == {"a", "c", "d", "e", "f"}
    assert resolved(data, {"a": "1", "c": "3", "e": "5"}) == {
        "members": [{"value": "1"}, {"value": "b"}],
        "Operations": [{"path": 'members[value eq "3" or value eq "bulkId:d"]'}],
        "note": "see bulkId:none of these",
        "x": {"manager": "5"},
    }
    assert without(data, {"a", "e"}) == {**data, "members": [{"value": "b"}], "x": {}}


def test_a_name_may_be_the_beginning_of_another() -> None:
    path = 'members[value eq "bulkId:x" or value eq "bulkId:xy"]'
    assert resolved({"path": path}, {"x": "1", "xy": "2"}) == {
        "path": 'members[value eq "1" or value eq "2"]'
    }


@pytest.mark.req("R30")
def test_a_name_that_stands_there_often_costs_no_more() -> None:
    text = "[" + "bulkId:x " * 100_000  # a name at a time that was a quarter of an hour
    started = time.perf_counter()
    assert resolved({"path": text}, {"x": "1"}) == {"path": text.replace("bulkId:x", "1")}
    assert time.perf_counter() - started < 5
