# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""RFC 7643, row by row: what implementations get wrong, asked of the whole service.

The rows are in `rows`; each test carries the number of the one it holds.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask

from provisioning.models import User
from provisioning.storage.db import database
from scim.resource_types import ENTERPRISE_USER, KEYWRIGHT_USER
from tests.scim.pushing import GROUP, USER, Directory, connect
from tests.scim.test_routes import refused


def get(directory: Directory, path: str) -> dict[str, Any]:
    answer = directory("GET", path)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json(force=True))


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def every(attributes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for a in attributes for one in (a, *every(a.get("subAttributes", [])))]


@pytest.mark.req("S1")
def test_each_attribute_is_served_with_each_characteristic_and_no_null(
    directory: Directory,
) -> None:
    listed = get(directory, "/Schemas")["Resources"]
    names = {each["name"] for each in listed}
    assert {"User", "Group", "EnterpriseUser", "ServiceProviderConfig", "ResourceType"} <= names
    assert "Schema" in names
    for schema in listed:
        for attribute in every(schema["attributes"]):
            has_case = attribute["type"] in ("string", "reference", "binary")
            assert ("caseExact" in attribute) is has_case, attribute
            assert {
                "name",
                "type",
                "multiValued",
                "description",
                "required",
                "mutability",
                "returned",
                "uniqueness",
            } <= set(attribute)
            assert ("subAttributes" in attribute) is (attribute["type"] == "complex")
    for path in ("/Schemas", "/ResourceTypes", "/ServiceProviderConfig"):
        assert None not in leaves(get(directory, path))


@pytest.mark.req("S2")
def test_names_and_urns_are_read_in_any_case_and_answered_in_their_own(
    strict: Directory,
) -> None:
    body = {
        "SCHEMAS": [USER.lower(), ENTERPRISE_USER.upper()],
        "USERNAME": "ann",
        "Emails": [{"VALUE": "ann@example.org", "Type": "work"}],
        ENTERPRISE_USER.lower(): {"DEPARTMENT": "Ward 3"},
    }
    answer = strict("POST", "/Users", body)
    assert answer.status_code == 201, answer.text
    ann = answer.get_json(force=True)
    assert ann["schemas"] == [USER, ENTERPRISE_USER]
    assert ann["emails"] == [{"value": "ann@example.org", "type": "work"}]
    assert ann[ENTERPRISE_USER] == {"department": "Ward 3"}
    for filter_ in (
        'USERNAME eq "ann"',
        'Emails.Value eq "ann@example.org"',
        'EMAILS[TYPE EQ "work"]',
        f'{ENTERPRISE_USER.upper()}:DEPARTMENT eq "ward 3"',
        f'{USER.upper()}:username eq "ann"',
    ):
        assert strict.find(filter_) == ["ann"], filter_
    path = f"/Users/{ann['id']}"
    assert set(get(strict, f"{path}?attributes=USERNAME")) == {"schemas", "id", "userName"}
    change = {"op": "replace", "path": f"{ENTERPRISE_USER.lower()}:Department", "value": "Ward 4"}
    assert strict.patch(path, change).status_code == 200
    assert get(strict, path)[ENTERPRISE_USER] == {"department": "Ward 4"}


@pytest.mark.req("S3")
def test_a_date_is_compared_whatever_its_offset_and_its_fraction(directory: Directory) -> None:
    directory.user("ann")
    for literal in (
        "2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00.1234567Z",
        "2020-01-01T05:30:00+05:30",
        "2019-12-31T19:00:00.0000001-05:00",
        "2020-01-01T00:00:00",
    ):
        assert directory.find(f'meta.created gt "{literal}"') == ["ann"]
        assert directory.find(f'meta.created lt "{literal}"') == []
    for literal in ("2020-01-01", "2020-13-01T00:00:00Z", "yesterday", "2020-01-01 00:00:00Z"):
        refused(
            directory("POST", "/Users/.search", {"filter": f'meta.created gt "{literal}"'}),
            400,
            "invalidFilter",
        )


@pytest.mark.req("S3")
@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("active", 1),
        ("title", 7),
        ("title", True),
        ("title", {"value": {"x": 1}}),
        ("profileUrl", 7),
        ("name", "Ann"),
        ("name", {"givenName": {"x": 1}}),
        ("emails", [["a@example.org"]]),
        ("x509Certificates", [{"value": "not base64!"}]),
    ],
)
def test_a_value_of_another_type_is_refused(strict: Directory, attribute: str, value: Any) -> None:
    body = {"schemas": [USER], "userName": "ann", attribute: value}
    refused(strict("POST", "/Users", body), 400, "invalidValue")
    assert User.select().count() == 0


@pytest.mark.req("S4")
def test_what_is_read_only_is_passed_over_in_a_body_and_refused_in_a_patch(
    directory: Directory, strict: Directory
) -> None:
    for client in (directory, strict):
        ann = client.user(f"ann-{client.connection.id}")
        path = f"/Users/{ann['id']}"
        whole = {
            **ann,
            "meta": {"resourceType": "Group", "version": "x"},
            "groups": [{"value": "g", "display": "Admins"}],
            KEYWRIGHT_USER: {"securityKeys": [{"value": "k", "state": "active"}]},
        }
        answer = client("PUT", path, whole)
        assert (answer.status_code, answer.get_json(force=True)) == (200, ann)
        for operation in (
            {"op": "replace", "path": "id", "value": "other"},
            {"op": "replace", "path": "meta.created", "value": "2020-01-01T00:00:00Z"},
            {"op": "add", "path": "groups", "value": [{"value": "g"}]},
            {"op": "remove", "path": "groups"},
            {"op": "add", "path": f"{KEYWRIGHT_USER}:securityKeys", "value": []},
        ):
            refused(client.patch(path, operation), 400, "mutability")
        same = client.patch(path, {"op": "replace", "path": "id", "value": ann["id"]})
        assert (same.status_code, same.get_json(force=True)) == (200, ann)


@pytest.mark.req("S4")
def test_an_immutable_part_is_set_once_and_never_changed(directory: Directory) -> None:
    ann, bob = directory.user("ann"), directory.user("bob")
    path = f"/Groups/{directory.group('Staff', ann['id'])['id']}"
    for part, value in (("value", bob["id"]), ("type", "Group"), ("$ref", "x")):
        target = f'members[value eq "{ann["id"]}"].{part}'
        refused(
            directory.patch(path, {"op": "replace", "path": target, "value": value}),
            400,
            "mutability",
        )
    assert [each["value"] for each in get(directory, path)["members"]] == [ann["id"]]


@pytest.mark.req("S5")
def test_what_is_always_returned_survives_and_an_empty_extension_vanishes(
    directory: Directory,
) -> None:
    body = {"schemas": [USER], "userName": "ann", ENTERPRISE_USER: {"department": "W"}}
    answer = directory("POST", "/Users?excludedAttributes=id,schemas,userName,password", body)
    ann = answer.get_json(force=True)
    assert (answer.status_code, ann["schemas"]) == (201, [USER, ENTERPRISE_USER])
    assert ann["id"]
    assert "userName" not in ann
    path = f"/Users/{ann['id']}"
    narrow = f"{path}?attributes=userName"
    put = {"schemas": [USER], "userName": "ann", ENTERPRISE_USER: {}}
    for answer in (
        directory("GET", narrow),
        directory("PUT", narrow, put),
        directory.patch(narrow, {"op": "add", "path": "title", "value": "Nurse"}),
    ):
        assert answer.status_code == 200
        assert answer.get_json(force=True) == {
            "schemas": [USER],
            "id": ann["id"],
            "userName": "ann",
        }
    whole = get(directory, path)
    assert whole["schemas"] == [USER]
    assert ENTERPRISE_USER not in whole


@pytest.mark.req("S6")
@pytest.mark.req("R10")
def test_of_two_who_take_a_name_at_once_one_gets_it(app: Flask, directory: Directory) -> None:
    start, statuses = threading.Barrier(4), []

    def take(name: str) -> None:
        start.wait()
        body = {"schemas": [USER], "userName": name}
        statuses.append(directory("POST", "/Users", body).status_code)
        database.close()

    names = ("ann", "ANN", "Ann", "ａｎｎ")
    threads = [threading.Thread(target=take, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 409, 409, 409]
    assert User.select().count() == 1


@pytest.mark.req("S7")
def test_identifiers_compare_exactly_and_names_without_case(directory: Directory) -> None:
    ann = directory.user(
        "Ann",
        externalId="A-7",
        displayName="Ann Lee",
        emails=[{"value": "Ann@Example.org"}],
    )
    assert (ann["userName"], ann["emails"][0]["value"]) == ("Ann", "Ann@Example.org")
    for filter_ in (
        'userName eq "aNN"',
        'displayName eq "ANN LEE"',
        'emails.value eq "ANN@EXAMPLE.ORG"',
        'externalId eq "A-7"',
        f'id eq "{ann["id"]}"',
    ):
        assert directory.find(filter_) == ["Ann"], filter_
    for filter_ in ('externalId eq "a-7"', f'id eq "{ann["id"].upper()}"'):
        assert directory.find(filter_) == [], filter_
    refused(directory("GET", f"/Users/{ann['id'].upper()}"), 404)
    directory.user("bob", externalId="a-7")


@pytest.mark.req("S8")
def test_a_type_that_nobody_suggested_is_kept(strict: Directory) -> None:
    phones = [{"value": "+33 1", "type": "Ward"}, {"value": "+33 2", "type": "x"}]
    ann = strict.user("ann", phoneNumbers=phones)
    assert ann["phoneNumbers"] == phones
    assert strict.find('phoneNumbers[type eq "ward"]') == ["ann"]


@pytest.mark.req("S9")
@pytest.mark.parametrize("way", ["post", "put", "patch", "patch without a path"])
@pytest.mark.parametrize("empty", [None, [], "", {}], ids=["null", "list", "text", "object"])
def test_nothing_in_any_spelling_is_no_value(directory: Directory, way: str, empty: Any) -> None:
    full = {"title": "Nurse", "emails": [{"value": "a@example.org"}], "name": {"givenName": "A"}}
    if way == "post":
        ann = directory.user("ann", **dict.fromkeys(full, empty))
    else:
        ann = directory.user("ann", **full)
        path = f"/Users/{ann['id']}"
        body = {"schemas": [USER], "userName": "ann", **dict.fromkeys(full, empty)}
        each = [{"op": "replace", "path": name, "value": empty} for name in full]
        whole: dict[str, object] = {"op": "replace", "value": dict.fromkeys(full, empty)}
        answer = {
            "put": lambda: directory("PUT", path, body),
            "patch": lambda: directory.patch(path, *each),
            "patch without a path": lambda: directory.patch(path, whole),
        }[way]()
        assert answer.status_code == 200, answer.text
        ann = answer.get_json(force=True)
    assert not set(full) & set(ann)
    assert directory.find("title pr or emails pr or name pr") == []
    assert directory.find("title eq null") == ["ann"]


@pytest.mark.req("S10")
def test_a_second_primary_unseats_the_first_or_is_refused(
    directory: Directory, strict: Directory
) -> None:
    both = [{"value": "a@example.org", "primary": True}, {"value": "b@example.org"}]
    for client in (directory, strict):
        ann = client.user(f"ann-{client.connection.id}", emails=both)
        answer = client.patch(
            f"/Users/{ann['id']}",
            {"op": "replace", "path": 'emails[value eq "b@example.org"].primary', "value": True},
        )
        marks = [each.get("primary") for each in answer.get_json(force=True)["emails"]]
        assert (answer.status_code, marks) == (200, [False, True])
    twice = {"schemas": [USER], "userName": "bob", "emails": [{**e, "primary": True} for e in both]}
    refused(strict("POST", "/Users", twice), 400, "invalidValue")
    answer = directory("POST", "/Users", twice)
    marks = [each.get("primary") for each in answer.get_json(force=True)["emails"]]
    assert (answer.status_code, marks) == (201, [True, False])


@pytest.mark.req("S11")
def test_one_value_of_one_type_is_returned_once(directory: Directory) -> None:
    twin = {"value": "ann@example.org", "type": "work"}
    ann = directory.user("ann", emails=[twin, {**twin, "value": "ANN@example.org"}, twin])
    assert len(ann["emails"]) == 1
    answer = directory.patch(
        f"/Users/{ann['id']}",
        {"op": "add", "path": "emails", "value": [twin, {**twin, "type": "WORK"}]},
        {"op": "add", "path": "emails", "value": [{**twin, "type": "home"}]},
    )
    shown = [each["type"].lower() for each in answer.get_json(force=True)["emails"]]
    assert shown == ["work", "home"]


@pytest.mark.req("S12")
def test_schemas_follow_what_is_there_whatever_the_client_says(directory: Directory) -> None:
    ann = directory.user("ann", **{ENTERPRISE_USER: {"department": "W"}})
    assert ann["schemas"] == [USER, ENTERPRISE_USER]  # though the body named the first one only
    body = {"schemas": [USER, USER, ENTERPRISE_USER], "userName": "ann"}
    path = f"/Users/{ann['id']}"
    assert directory("PUT", path, body).get_json(force=True)["schemas"] == [USER]
    for operation, schemas in (
        (
            {"op": "add", "path": f"{ENTERPRISE_USER}:division", "value": "D"},
            [USER, ENTERPRISE_USER],
        ),
        ({"op": "replace", "path": "schemas", "value": [USER]}, [USER, ENTERPRISE_USER]),
        ({"op": "remove", "path": f"{ENTERPRISE_USER}:division"}, [USER]),
    ):
        assert directory.patch(path, operation).get_json(force=True)["schemas"] == schemas


@pytest.mark.req("S13")
def test_only_the_server_makes_an_id_and_only_the_client_an_external_one(
    app: Flask, directory: Directory
) -> None:
    ann = directory.user("ann", id="bulkId:ann")
    assert ann["id"] != "bulkId:ann"
    assert "bulkId" not in ann["id"]
    assert "externalId" not in ann
    path = f"/Users/{ann['id']}"
    assert (
        directory("PUT", path, {"schemas": [USER], "userName": "b"}).get_json(force=True)["id"]
        == (ann["id"])
    )
    assert directory("DELETE", path).status_code == 204
    assert directory.user("ann")["id"] != ann["id"]
    # Each directory counts by its own numbers.
    directory.user("one", externalId="1")
    assert connect(app, "Other").user("two", externalId="1")["externalId"] == "1"


@pytest.mark.req("S14")
@pytest.mark.parametrize("kind", ["/Users", "/Groups"])
def test_meta_says_where_when_and_which_version(directory: Directory, kind: str) -> None:
    made = directory.user("ann") if kind == "/Users" else directory.group("Staff")
    name = "userName" if kind == "/Users" else "displayName"
    path = f"{kind}/{made['id']}"
    answer = directory("GET", path)
    assert answer.headers["Content-Location"] == made["meta"]["location"]
    assert answer.headers["ETag"] == made["meta"]["version"]
    assert set(made["meta"]) == {"resourceType", "created", "lastModified", "location", "version"}
    nothing = {"op": "replace", "path": name, "value": made[name]}
    again = directory.patch(f"{path}?attributes=meta", nothing).get_json(force=True)
    assert again["meta"] == made["meta"]
    something = {"op": "replace", "path": name, "value": "other"}
    later = directory.patch(f"{path}?attributes=meta", something).get_json(force=True)["meta"]
    assert later["created"] == made["meta"]["created"]
    assert later["lastModified"] >= made["meta"]["lastModified"]
    assert later["version"] != made["meta"]["version"]


@pytest.mark.req("S15")
def test_a_member_is_a_user_unless_it_is_a_group(directory: Directory) -> None:
    ann = directory.user("ann")
    inner = directory.group("Inner", ann["id"])
    outer = directory.group("Outer", inner["id"])
    assert [each["type"] for each in inner["members"]] == ["User"]
    assert [each["type"] for each in outer["members"]] == ["Group"]
    groups = get(directory, f"/Users/{ann['id']}")["groups"]
    assert {each["display"]: each["type"] for each in groups} == {
        "Inner": "direct",
        "Outer": "indirect",
    }
    body = {"schemas": [USER], "userName": "ann", "groups": []}
    assert directory("PUT", f"/Users/{ann['id']}", body).get_json(force=True)["groups"] == groups


@pytest.mark.req("S16")
def test_each_type_that_is_declared_works_as_it_is_declared(directory: Directory) -> None:
    schemas = {each["id"]: each for each in get(directory, "/Schemas")["Resources"]}
    types = get(directory, "/ResourceTypes")["Resources"]
    for type_ in types:
        assert get(directory, type_["endpoint"])["totalResults"] == 0
        urns = [type_["schema"], *(part["schema"] for part in type_.get("schemaExtensions", []))]
        for urn in urns:
            for attribute in schemas[urn]["attributes"]:
                if attribute["returned"] == "never":
                    continue
                path = f"{type_['endpoint']}?filter={urn}:{attribute['name']}%20pr"
                answer = directory("GET", path)
                told = {"members": 200}.get(attribute["name"], answer.status_code)
                assert answer.status_code == told == 200, path


@pytest.mark.req("S17")
def test_what_is_advertised_works_and_nothing_else_is_advertised(directory: Directory) -> None:
    config = get(directory, "/ServiceProviderConfig")
    ann = directory.user("ann")
    path = f"/Users/{ann['id']}"
    works = {
        "patch": directory.patch(path, {"op": "add", "path": "title", "value": "x"}),
        "bulk": directory(
            "POST",
            "/Bulk",
            {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
                "Operations": [{"method": "DELETE", "path": "/Users/nobody"}],
            },
        ),
        "filter": directory("GET", "/Users?filter=title%20pr"),
        "sort": directory("GET", "/Users?sortBy=title"),
    }
    for name, answer in works.items():
        assert config[name]["supported"] is True, name
        assert answer.status_code == 200, answer.text
    assert config["etag"]["supported"] is True
    tag = directory("GET", path).headers["ETag"]
    assert directory("GET", path, If_None_Match=tag).status_code == 304
    assert config["changePassword"]["supported"] is False
    assert len(get(directory, "/Users?count=100000")["Resources"]) <= config["filter"]["maxResults"]


@pytest.mark.req("S18")
def test_a_password_is_taken_and_dropped_everywhere(directory: Directory) -> None:
    secret = "t1meMa$heen"
    ann = directory.user("ann", password=secret)
    path = f"/Users/{ann['id']}"
    body = {"schemas": [USER], "userName": "ann", "password": secret}
    answers = [
        directory("PUT", path, body),
        directory.patch(path, {"op": "replace", "path": "password", "value": secret}),
        directory.patch(path, {"op": "add", "value": {"password": secret}}),
        directory("GET", f"{path}?attributes=password"),
        directory("GET", "/Users?attributes=password"),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert b"password" not in answer.data
        assert secret.encode() not in answer.data
    assert get(directory, path) == ann
    assert secret not in User.get().document
    for filter_ in (f'password eq "{secret}"', "password pr"):
        refused(directory("POST", "/Users/.search", {"filter": filter_}), 400, "invalidFilter")
    group = {"schemas": [GROUP], "displayName": "Staff", "password": secret}
    assert b"password" not in directory("POST", "/Groups", group).data
