# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""RFC 7644, row by row: what implementations get wrong, asked of the whole service.

The rows are in `rows`; each test carries the number of the one it holds.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.test import TestResponse

import scim.routes
from provisioning.models import Group, UnknownAttribute, User
from scim.bulk import MAX_OPERATIONS, REQUEST_URN
from scim.resource_types import ENTERPRISE_USER
from tests.fakes.queries import counted
from tests.scim.pushing import GROUP, PATCH_OP, USER, Directory
from tests.scim.test_routes import refused


def body_of(answer: TestResponse, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return dict(answer.get_json(force=True))


def get(directory: Directory, path: str) -> dict[str, Any]:
    return body_of(directory("GET", path))


def asked(directory: Directory, path: str, **parameters: object) -> dict[str, Any]:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
    return get(directory, f"{path}?{query}")


def names(listed: dict[str, Any]) -> list[str]:
    return [each.get("userName") or each["displayName"] for each in listed["Resources"]]


@pytest.fixture
def people(directory: Directory) -> dict[str, dict[str, Any]]:
    """Three people who differ in everything a filter may ask."""
    return {
        "ann": directory.user(
            "ann",
            title="Nurse",
            emails=[
                {"value": "ann@example.org", "type": "work", "primary": True},
                {"value": "ann@home.example", "type": "home"},
            ],
            **{ENTERPRISE_USER: {"department": "Ward 3"}},
        ),
        "bob": directory.user("Bob", active=False, emails=[{"value": "b@example.org"}]),
        "cy": directory.user("cy", title="nurse", userType="Intern"),
    }


@pytest.mark.req("P1")
@pytest.mark.parametrize("kind", ["/Users", "/Groups"])
def test_what_is_created_comes_back_whole(directory: Directory, kind: str) -> None:
    body: dict[str, Any] = (
        {"schemas": [USER], "userName": "ann", "title": "Nurse"}
        if kind == "/Users"
        else {
            "schemas": [GROUP],
            "displayName": "Staff",
            "members": [{"value": directory.user("ann")["id"]}],
        }
    )
    answer = directory("POST", kind, body)
    made = body_of(answer, 201)
    assert answer.headers["Location"] == made["meta"]["location"]
    assert get(directory, f"{kind}/{made['id']}") == made
    assert set(body) <= set(made)


@pytest.mark.req("P2")
def test_who_does_not_ask_for_members_has_them_not_loaded(
    directory: Directory, people: dict[str, Any]
) -> None:
    group = directory.group("Staff", *(each["id"] for each in people.values()))
    for path in (
        f"/Groups/{group['id']}?excludedAttributes=members",
        f"/Groups/{group['id']}?attributes=displayName",
        "/Groups?excludedAttributes=members&filter=" + quote('displayName eq "Staff"'),
    ):
        with counted() as asked:
            answer = directory("GET", path)
        assert answer.status_code == 200
        assert b"members" not in answer.data
        assert asked
        assert not [each for each in asked if '"member"' in each], path
    refused(
        directory("GET", f"/Groups/{group['id']}?attributes=id&excludedAttributes=members"),
        400,
        "invalidValue",
    )


@pytest.mark.req("P2")
def test_parts_and_qualified_names_are_projected(
    directory: Directory, people: dict[str, Any]
) -> None:
    path = f"/Users/{people['ann']['id']}"
    shown = get(directory, f"{path}?attributes=emails.value,{ENTERPRISE_USER}:department")
    assert shown == {
        "schemas": [USER, ENTERPRISE_USER],
        "id": people["ann"]["id"],
        "emails": [{"value": "ann@example.org"}, {"value": "ann@home.example"}],
        ENTERPRISE_USER: {"department": "Ward 3"},
    }
    less = get(directory, f"{path}?excludedAttributes=emails.type,{ENTERPRISE_USER},{USER}:title")
    assert "title" not in less
    assert ENTERPRISE_USER not in less
    assert [set(each) for each in less["emails"]] == [{"value", "primary"}, {"value"}]


@pytest.mark.req("P3")
def test_a_list_counts_in_whole_numbers_from_one_and_keeps_its_order(
    directory: Directory, people: dict[str, Any]
) -> None:
    for start, count, found in (
        (1, 2, ["ann", "Bob"]),
        (3, 2, ["cy"]),
        (0, 1, ["ann"]),
        (-7, 1, ["ann"]),
        (4, 5, []),
        (1, 0, []),
        (1, -1, []),
    ):
        listed = asked(directory, "/Users", startIndex=start, count=count)
        assert names(listed) == found
        told = [listed[name] for name in ("totalResults", "startIndex", "itemsPerPage")]
        assert told == [3, max(1, start), len(found)]
        assert all(type(number) is int for number in told)
    for parameters in ("count=x", "startIndex=1.5", "count="):
        answer = directory("GET", f"/Users?{parameters}")
        if parameters == "count=":
            assert len(body_of(answer)["Resources"]) == 3
        else:
            refused(answer, 400, "invalidValue")


@pytest.mark.req("P4")
@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ('userName eq "ANN"', ["ann"]),
        ('userName ne "ann"', ["Bob", "cy"]),
        ('title co "URS"', ["ann", "cy"]),
        ('emails.value sw "ann@"', ["ann"]),
        ('emails.value ew ".ORG"', ["ann", "Bob"]),
        ("title pr", ["ann", "cy"]),
        ('userName gt "ann" and userName le "bob"', ["Bob"]),
        ('userName ge "bob" and userName lt "cy"', ["Bob"]),
        ('title pr and not (userType eq "intern")', ["ann"]),
        ('emails[type eq "work" and value ew "@home.example"]', []),
        ('emails[type eq "home" and value ew "@home.example"]', ["ann"]),
        (f'{ENTERPRISE_USER}:department eq "ward 3"', ["ann"]),
        ('userName co "%" or userName co "_"', []),
    ],
)
def test_each_operator_finds_what_it_says(
    directory: Directory, people: dict[str, Any], filter_: str, found: list[str]
) -> None:
    assert directory.find(filter_) == found
    assert names(asked(directory, "/Users", filter=filter_)) == found


UNKNOWN = [
    'favouriteColour eq "red"',
    'id pr or favouriteColour eq "red"',
    'not (favouriteColour eq "red")',
    'emails[colour eq "red"]',
    'emails[type eq "work" and colour pr]',
    'emails[type eq "work"].colour eq "red"',
    'emails.colour eq "red"',
    "name.colour pr",
    f'{ENTERPRISE_USER}:colour eq "red"',
    f'{ENTERPRISE_USER}:manager.colour eq "red"',
    'urn:example:Custom:colour eq "red"',
    'userName like "a"',
    'userName eq "a',
    "userName eq a",
    "",
    "((userName pr)",
]


@pytest.mark.req("P4")
@pytest.mark.parametrize("filter_", UNKNOWN)
def test_what_a_filter_names_in_vain_is_refused_and_never_passed_over(
    directory: Directory, strict: Directory, people: dict[str, Any], filter_: str
) -> None:
    query = f"filter={quote(filter_)}"
    for client in (directory, strict):
        for path in ("/Users", "/Groups", "/SecurityKeys", "/"):
            refused(client("GET", f"{path}?{query}"), 400, "invalidFilter")
            search = f"{path.rstrip('/')}/.search"
            refused(client("POST", search, {"filter": filter_}), 400, "invalidFilter")


@pytest.mark.req("P5")
def test_and_binds_closer_than_or_and_not_closest(
    directory: Directory, people: dict[str, Any]
) -> None:
    assert directory.find('userName eq "bob" or title pr and userType pr') == ["Bob", "cy"]
    assert directory.find('title pr and userType pr or userName eq "bob"') == ["Bob", "cy"]
    assert directory.find('(userName eq "bob" or title pr) and userType pr') == ["cy"]
    assert directory.find("not (active eq true) or userType pr") == ["Bob", "cy"]
    assert directory.find('not (userName eq "bob" or title pr and userType pr)') == ["ann"]


@pytest.mark.req("P6")
def test_what_has_no_order_is_not_ordered_and_not_means_none(
    directory: Directory, people: dict[str, Any]
) -> None:
    for filter_ in ("active gt true", "active le false", 'x509Certificates.value gt "YQ=="'):
        refused(directory("POST", "/Users/.search", {"filter": filter_}), 400, "invalidFilter")
    assert directory.find('emails.type eq "work" and emails.type eq "home"') == ["ann"]
    assert directory.find('not (emails.type eq "work")') == ["Bob", "cy"]
    assert directory.find('emails.value ne "b@example.org"') == ["ann", "cy"]
    assert directory.find("not (active eq true)") == ["Bob"]


@pytest.mark.req("P7")
def test_an_attribute_of_another_type_is_false_there(
    directory: Directory, people: dict[str, Any]
) -> None:
    directory.group("ann")
    assert names(asked(directory, "/", filter='userName eq "ann"')) == ["ann"]
    assert asked(directory, "/", filter='userName eq "ann" or displayName eq "ann"')[
        "totalResults"
    ] == (2)
    assert names(asked(directory, "/", filter="members pr or userType pr")) == ["cy"]
    assert asked(directory, "/", filter="not (userName pr)")["totalResults"] == 1


@pytest.mark.req("P8")
@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ('emails[type eq "work"].value eq "ann@example.org"', ["ann"]),
        ('emails[type eq "home"].value eq "ann@example.org"', []),
        ('emails[type eq "work"].value ew ".org" and title pr', ["ann"]),
        ('emails[type eq "work" or type eq "home"].value co "home"', ["ann"]),
        ('emails[not (type pr)].value sw "b"', ["Bob"]),
        ('emails[type eq "work"].primary eq true', ["ann"]),
    ],
)
def test_a_comparison_behind_a_value_path_is_read(
    directory: Directory, people: dict[str, Any], filter_: str, found: list[str]
) -> None:
    assert directory.find(filter_) == found


@pytest.mark.req("P9")
def test_order_goes_by_the_primary_or_first_and_none_comes_last(directory: Directory) -> None:
    directory.user("one", emails=[{"value": "c@x"}, {"value": "a@x", "primary": True}])
    directory.user("two", emails=[{"value": "B@x"}, {"value": "z@x"}])
    directory.user("three")
    directory.user("four", title="t")
    for by in ("emails", "emails.value", "EMAILS.VALUE"):
        assert names(asked(directory, "/Users", sortBy=by))[:2] == ["one", "two"]
        last = names(asked(directory, "/Users", sortBy=by, sortOrder="descending"))
        assert last[2:] == ["two", "one"]
    for by in ("nope", "name", "password", f"{ENTERPRISE_USER}:nope", "emails.nope"):
        refused(directory("GET", f"/Users?sortBy={by}"), 400, "invalidPath")
    # What sorts alike keeps one order, page after page.
    pages = [
        asked(directory, "/Users", sortBy="active", startIndex=n, count=1) for n in (1, 2, 3, 4)
    ]
    assert len({each["Resources"][0]["id"] for each in pages}) == 4


@pytest.mark.req("P10")
def test_a_search_in_a_body_answers_as_an_address_does(
    directory: Directory, people: dict[str, Any]
) -> None:
    asks: dict[str, Any] = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "title pr",
        "sortBy": "userName",
        "sortOrder": "descending",
        "attributes": ["userName"],
        "count": 1,
    }
    for path in ("/Users", "/"):
        plain = asked(
            directory,
            path,
            **{**{k: v for k, v in asks.items() if k != "schemas"}, "attributes": "userName"},
        )
        assert body_of(directory("POST", f"{path.rstrip('/')}/.search", asks)) == plain
        assert names(plain) == ["cy"]
        assert plain["totalResults"] == 2
    assert names(body_of(directory("POST", "/Groups/.search", {}))) == []


@pytest.mark.req("P11")
def test_a_put_replaces_and_never_creates(directory: Directory, strict: Directory) -> None:
    ann = directory.user("ann", title="Nurse", **{ENTERPRISE_USER: {"department": "W"}})
    path = f"/Users/{ann['id']}"
    changed = body_of(directory("PUT", path, {"schemas": [USER], "userName": "ann"}))
    assert not {"title", ENTERPRISE_USER} & set(changed)
    refused(
        directory("PUT", path, {"schemas": [USER], "userName": "ann", "id": "other"}),
        400,
        "mutability",
    )
    unknown = "/Users/0b0f4a8e-0000-4000-8000-000000000000"
    refused(directory("PUT", unknown, {"schemas": [USER], "userName": "new"}), 404)
    refused(directory("PUT", "/Groups/none", {"schemas": [GROUP], "displayName": "new"}), 404)
    refused(directory("PUT", path, {"schemas": [USER]}), 400, "invalidValue")
    assert (User.select().count(), Group.select().count()) == (1, 0)
    group = directory.group("Staff", ann["id"])
    emptied = directory(
        "PUT", f"/Groups/{group['id']}", {"schemas": [GROUP], "displayName": "Staff"}
    )
    assert "members" not in body_of(emptied)


@pytest.mark.req("P12")
def test_the_third_of_five_operations_fails_and_none_has_happened(strict: Directory) -> None:
    ann, bob = strict.user("ann", title="Nurse"), strict.user("bob")
    group = strict.group("Staff", ann["id"])
    good = [
        {"op": "replace", "path": "displayName", "value": "New"},
        {"op": "add", "path": "externalId", "value": "7"},
    ]
    for bad, scim_type in (
        ({"op": "remove"}, "noTarget"),
        ({"op": "remove", "path": "meta"}, "mutability"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "add", "path": "nope", "value": "x"}, "invalidPath"),
        ({"op": "add", "path": "displayName", "value": 7}, "invalidValue"),
        ({"op": "move", "path": "displayName", "value": "x"}, "invalidSyntax"),
    ):
        for path in (f"/Users/{ann['id']}", f"/Groups/{group['id']}"):
            before = get(strict, path)
            refused(strict.patch(path, *good, bad, *good), 400, scim_type)
            assert get(strict, path) == before
    members = {"op": "add", "path": "members", "value": [{"value": bob["id"]}]}
    path = f"/Groups/{group['id']}"
    refused(
        strict.patch(path, *good, members, {"op": "remove", "path": "displayName"}),
        400,
        "mutability",
    )
    assert get(strict, path) == group
    refused(
        strict.patch(f"/Users/{ann['id']}", {"op": "remove", "path": "userName"}), 400, "mutability"
    )


@pytest.mark.req("P12")
def test_an_add_of_what_is_there_is_no_change_and_parts_merge(directory: Directory) -> None:
    ann = directory.user(
        "ann", name={"givenName": "Ann"}, emails=[{"value": "a@x", "type": "work"}]
    )
    path = f"/Users/{ann['id']}"
    for op in ("add", "Add", "ADD"):
        again = {"op": op, "path": "emails", "value": [{"value": "a@x", "type": "work"}]}
        assert body_of(directory.patch(path, again)) == ann
    merged = directory.patch(
        path, {"op": "Replace", "path": "name", "value": {"familyName": "Lee"}}
    )
    assert body_of(merged)["name"] == {"givenName": "Ann", "familyName": "Lee"}


@pytest.mark.req("P13")
def test_a_patch_answers_with_the_person_or_with_a_tag_alone(directory: Directory) -> None:
    ann, group = directory.user("ann"), directory.group("Staff")
    change = {"op": "replace", "path": "displayName", "value": "x"}
    assert body_of(directory.patch(f"/Users/{ann['id']}", change))["displayName"] == "x"
    answer = directory.patch(f"/Groups/{group['id']}", change)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["ETag"] == get(directory, f"/Groups/{group['id']}")["meta"]["version"]
    asked_for = directory.patch(f"/Groups/{group['id']}?attributes=displayName", change)
    assert set(body_of(asked_for)) == {"schemas", "id", "displayName"}


@pytest.mark.req("P14")
def test_keys_of_a_value_without_a_path_may_be_paths(directory: Directory) -> None:
    ann = directory.user("ann", name={"familyName": "Lee"})
    value = {
        "displayName": "Ann",
        "name.givenName": "Ann",
        'emails[type eq "work"].value': "ann@example.org",
        f"{ENTERPRISE_USER}:employeeNumber": "7",
        f"{ENTERPRISE_USER}:manager": "m1",
    }
    changed = body_of(directory.patch(f"/Users/{ann['id']}", {"op": "Add", "value": value}))
    assert changed["name"] == {"familyName": "Lee", "givenName": "Ann"}
    assert changed["emails"] == [{"type": "work", "value": "ann@example.org"}]
    assert changed[ENTERPRISE_USER] == {"employeeNumber": "7", "manager": {"value": "m1"}}
    assert changed["displayName"] == "Ann"


@pytest.mark.req("P15")
def test_a_replace_finds_nothing_or_makes_it_and_an_add_makes_it(
    directory: Directory, strict: Directory
) -> None:
    made = [{"type": "work", "value": "+33 1"}]
    for client in (directory, strict):
        ann = client.user(f"ann-{client.connection.id}")
        path, target = f"/Users/{ann['id']}", 'phoneNumbers[type eq "work"].value'
        replace = client.patch(path, {"op": "replace", "path": target, "value": "+33 1"})
        if client is strict:
            refused(replace, 400, "noTarget")
            assert get(client, path) == ann
            added = client.patch(path, {"op": "add", "path": target, "value": "+33 1"})
            assert body_of(added)["phoneNumbers"] == made
        else:
            assert body_of(replace)["phoneNumbers"] == made
        unclear = 'emails[type eq "work" or type eq "home"].value'
        for op in ("add", "replace"):
            refused(client.patch(path, {"op": op, "path": unclear, "value": "x"}), 400, "noTarget")


@pytest.mark.req("P16")
def test_who_is_deleted_is_nowhere_and_who_is_suspended_is_everywhere(
    directory: Directory, people: dict[str, Any]
) -> None:
    group = directory.group("Staff", *(each["id"] for each in people.values()))
    ann = people["ann"]["id"]
    answer = directory("DELETE", f"/Users/{ann}")
    assert (answer.status_code, answer.data) == (204, b"")
    bodies = {"PUT": {"schemas": [USER], "userName": "ann"}, "PATCH": {"schemas": [PATCH_OP]}}
    for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD"):
        answer = directory(method, f"/Users/{ann}", bodies.get(method))
        assert answer.status_code == 404
    assert directory.find(f'id eq "{ann}" or userName eq "ann"') == []
    shown = get(directory, f"/Groups/{group['id']}")["members"]
    assert [each["display"] for each in shown] == ["Bob", "cy"]
    assert directory.find(f'members eq "{ann}"', "/Groups") == []
    add = {"op": "add", "path": "members", "value": [{"value": ann}]}
    refused(directory.patch(f"/Groups/{group['id']}", add), 400, "invalidValue")
    assert directory.user("ANN")["id"] != ann
    # Bob is suspended, and his directory must still find him.
    assert get(directory, f"/Users/{people['bob']['id']}")["active"] is False
    assert directory.find('userName eq "bob"') == ["Bob"]
    assert "Bob" in names(get(directory, "/Users"))


def bulk(directory: Directory, *operations: dict[str, Any], **more: object) -> TestResponse:
    return directory(
        "POST", "/Bulk", {"schemas": [REQUEST_URN], "Operations": list(operations), **more}
    )


def post(path: str, bulk_id: str, **data: object) -> dict[str, Any]:
    schema = USER if path == "/Users" else GROUP
    return {
        "method": "POST",
        "path": path,
        "bulkId": bulk_id,
        "data": {"schemas": [schema], **data},
    }


@pytest.mark.req("P17")
def test_a_bulk_request_refers_ahead_and_in_a_circle(directory: Directory) -> None:
    answer = bulk(
        directory,
        post("/Groups", "g", displayName="Staff", members=[{"value": "bulkId:a"}]),
        post(
            "/Users", "a", userName="ann", **{ENTERPRISE_USER: {"manager": {"value": "bulkId:b"}}}
        ),
        post(
            "/Users", "b", userName="bob", **{ENTERPRISE_USER: {"manager": {"value": "bulkId:a"}}}
        ),
        {
            "method": "PATCH",
            "path": "/Users/bulkId:a",
            "data": {
                "schemas": [PATCH_OP],
                "Operations": [{"op": "add", "path": "title", "value": "Nurse"}],
            },
        },
        {"method": "DELETE", "path": "/Users/nobody"},
        failOnErrors=None,
    )
    done = body_of(answer)["Operations"]
    assert [each["status"] for each in done] == ["201", "201", "201", "200", "404"]
    assert [each.get("bulkId") for each in done] == ["g", "a", "b", None, None]
    assert all(each["location"] and each["version"] for each in done[:4])
    assert done[4]["response"]["status"] == "404"
    ann, bob = (get(directory, "/Users")["Resources"][n] for n in (0, 1))
    found = {ann["userName"]: ann, bob["userName"]: bob}
    managers = {name: each[ENTERPRISE_USER]["manager"]["value"] for name, each in found.items()}
    assert managers == {"ann": found["bob"]["id"], "bob": found["ann"]["id"]}
    assert "bulkId" not in json.dumps(get(directory, "/"))


@pytest.mark.req("P17")
def test_what_no_operation_makes_is_a_conflict_and_too_much_is_413(directory: Directory) -> None:
    done = body_of(
        bulk(directory, post("/Groups", "g", displayName="G", members=[{"value": "bulkId:x"}]))
    )["Operations"]
    assert done[0]["status"] == "409"
    assert Group.select().count() == 0
    many = [post("/Users", f"u{n}", userName=f"u{n}") for n in range(MAX_OPERATIONS + 1)]
    refused(bulk(directory, *many), 413)
    assert User.select().count() == 0
    wrong = post("/Users", "w", userName="")
    done = body_of(bulk(directory, wrong, *many[:3], failOnErrors=1))["Operations"]
    assert [each["status"] for each in done] == ["400"]
    assert User.select().count() == 0


@pytest.mark.req("P18")
def test_a_tag_is_weak_and_guards_every_write(directory: Directory) -> None:
    ann = directory.user("ann")
    path, old = f"/Users/{ann['id']}", ann["meta"]["version"]
    assert old.startswith('W/"')
    change = {"op": "add", "path": "title", "value": "Nurse"}
    assert directory.patch(path, change, If_Match=old).status_code == 200
    body = {"schemas": [USER], "userName": "ann"}
    for answer in (
        directory.patch(path, change, If_Match=old),
        directory("PUT", path, body, If_Match=old),
        directory("DELETE", path, If_Match=old),
    ):
        refused(answer, 412)
    answer = directory("GET", path)
    new = answer.headers["ETag"]
    assert new == answer.get_json(force=True)["meta"]["version"]
    assert directory("GET", path, If_None_Match=new).status_code == 304
    assert directory("GET", path, If_None_Match=old).status_code == 200
    assert directory("DELETE", path, If_Match=new).status_code == 204


@pytest.mark.req("P20")
@pytest.mark.parametrize("path", ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"])
def test_discovery_is_read_only_and_takes_no_filter(directory: Directory, path: str) -> None:
    plain = get(directory, path)
    assert get(directory, f"{path}?startIndex=5&count=1&sortBy=name") == plain
    refused(directory("GET", f"{path}?filter=id%20pr"), 403)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused(directory(method, path, {}), 405)


@pytest.mark.req("P21")
def test_every_error_is_one_of_scim_with_its_status_as_a_text(
    app: Flask, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    large = b'{"x":"' + b"y" * 1_048_577 + b'"}'
    answers = {
        400: directory("POST", "/Users", b"{"),
        401: app.test_client().get("/scim/v2/Users"),
        404: directory("GET", "/nowhere"),
        405: directory("PUT", "/Users", {}),
        413: directory("POST", "/Users", large),
    }
    monkeypatch.setattr(scim.routes, "answer", broken)
    answers[500] = directory("GET", "/Users")
    for status, answer in answers.items():
        body = refused(answer, status, "invalidSyntax" if status == 400 else None)
        assert body["status"] == str(status)
        assert body["detail"]
        assert b"<" not in answer.data
    assert answers[401].headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.req("P22")
@pytest.mark.parametrize("kind", ["application/scim+json", "application/json"])
def test_both_media_types_are_taken_and_given(directory: Directory, kind: str) -> None:
    body = json.dumps({"schemas": [USER], "userName": "ann"}).encode()
    answer = directory.app.test_client().post(
        "/scim/v2/Users",
        data=body,
        headers={
            "Authorization": f"Bearer {directory.token}",
            "Accept": kind,
            "Content-Type": f"{kind}; charset=utf-8",
        },
    )
    assert (answer.status_code, answer.mimetype) == (201, kind)
    assert directory("GET", "/Users/none", Accept=kind).mimetype == kind


@pytest.mark.req("P23")
def test_each_kind_of_error_is_told_by_its_word(
    directory: Directory, strict: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = strict.user("ann")
    path = f"/Users/{ann['id']}"
    twin = {"schemas": [USER], "userName": "ANN"}
    refused(strict("POST", "/Users", twin), 409, "uniqueness")
    refused(strict("GET", "/Users?filter=nope%20pr"), 400, "invalidFilter")
    refused(strict("POST", "/Users", b"["), 400, "invalidSyntax")
    refused(strict("POST", "/Users", {**twin, "active": "x"}), 400, "invalidValue")
    refused(strict.patch(path, {"op": "add", "path": "a..b", "value": 1}), 400, "invalidPath")
    refused(strict.patch(path, {"op": "remove"}), 400, "noTarget")
    refused(strict.patch(path, {"op": "remove", "path": "id"}), 400, "mutability")
    monkeypatch.setattr("scim.selection.MAX_SCANNED", 0)
    refused(strict("GET", "/Users?filter=title%20pr"), 400, "tooMany")


@pytest.mark.req("P24")
def test_each_status_has_its_cause(app: Flask, directory: Directory) -> None:
    ann = directory.user("ann")
    path = f"/Users/{ann['id']}"
    tag = ann["meta"]["version"]
    body = {"schemas": [USER], "userName": "ann"}
    for status, answer in (
        (200, directory("GET", path)),
        (304, directory("GET", path, If_None_Match=tag)),
        (400, directory("POST", "/Users", b"")),
        (401, app.test_client().get("/scim/v2/Users")),
        (403, directory("GET", "/Schemas?filter=id%20pr")),
        (404, directory("GET", "/Users/none")),
        (405, directory("DELETE", "/Users")),
        (409, directory("POST", "/Users", body)),
        (412, directory("PUT", path, body, If_Match='W/"0"')),
        (413, directory("POST", "/Users", b"x" * 1_048_577)),
        (201, directory("POST", "/Users", {**body, "userName": "bob"})),
        (204, directory("DELETE", path)),
    ):
        assert answer.status_code == status, answer.text


@pytest.mark.req("R9")
def test_no_way_loses_an_attribute_in_silence(directory: Directory) -> None:
    """What no schema knows is counted by its name, whatever brings it."""
    ann = directory.user("ann", inPost=1, name={"inPart": 1}, **{ENTERPRISE_USER: {"inMore": 1}})
    path = f"/Users/{ann['id']}"
    body_of(directory("PUT", path, {"schemas": [USER], "userName": "ann", "inPut": None}))
    body_of(
        directory.patch(
            path,
            {"op": "add", "value": {"inPatch": 1, f"{ENTERPRISE_USER}:inPath": 1}},
            {"op": "add", "path": "urn:example:Custom:2.0:User:inUrn", "value": 1},
            {"op": "add", "path": "emails", "value": [{"value": "a@x", "inElement": 1}]},
        )
    )
    directory.group("Staff", inGroup=1)
    body_of(bulk(directory, post("/Users", "b", userName="bob", inBulk=1)))
    for query in (
        f"{path}?attributes=inGet",
        "/Users?excludedAttributes=inList",
        "/?attributes=inAll",
    ):
        get(directory, query)
    body_of(directory("POST", "/.search", {"attributes": ["inSearch", "userName", USER]}))
    seen = {row.name: row.seen for row in UnknownAttribute.select()}
    assert seen == dict.fromkeys(
        [
            "inPost",
            "name.inPart",
            f"{ENTERPRISE_USER}:inMore",
            "inPut",
            "inPatch",
            f"{ENTERPRISE_USER}:inPath",
            "urn:example:Custom:2.0:User:inUrn",
            "emails.inElement",
            "inGroup",
            "inBulk",
            "inGet",
            "inList",
            "inAll",
            "inSearch",
        ],
        1,
    )
