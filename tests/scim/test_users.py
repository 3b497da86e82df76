# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Users through the real app: what pushes change, and what they never change."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from flask import Flask

from provisioning import directory as core
from provisioning.lifecycle import KeyState
from provisioning.models import AuditEvent, Group, Member, OutboxMail, SecurityKey, User
from provisioning.storage.db import transaction
from scim.resource_types import ENTERPRISE_USER, KEYWRIGHT_USER
from tests.fakes.queries import counted
from tests.scim.pushing import PATCH_OP, USER, Directory, connect
from tests.scim.test_routes import refused


def get(directory: Directory, user: dict[str, Any]) -> dict[str, Any]:
    answer = directory("GET", f"/Users/{user['id']}")
    assert answer.status_code == 200
    return dict(answer.get_json(force=True))


def put(directory: Directory, user: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    answer = directory("PUT", f"/Users/{user['id']}", {"schemas": [USER], **attributes})
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json(force=True))


def key_of(
    user: dict[str, Any], state: KeyState = KeyState.ACTIVE, key_id: str = "key-1"
) -> SecurityKey:
    return SecurityKey.create(
        resource_id=key_id,
        user=User.get(User.resource_id == user["id"]),
        kind="contactless_card",
        name="Card",
        state=state,
        method="admin",
        user_handle=b"h",
        activated_at=1_000,
    )


@pytest.mark.req("S18")
@pytest.mark.req("S13")
def test_a_user_is_returned_as_it_was_sent_without_its_password(directory: Directory) -> None:
    user = directory.user(
        "ann",
        externalId="7",
        password="t1meMa$heen",
        title="Nurse",
        id="mine",
        **{ENTERPRISE_USER: {"department": "W"}},
    )
    assert user["schemas"] == [USER, ENTERPRISE_USER]
    assert user["externalId"] == "7"
    assert user["active"] is True
    assert user["id"] != "mine"
    assert "password" not in user
    assert "t1meMa$heen" not in User.get().document
    assert get(directory, user) == user
    events = [row.detail for row in AuditEvent.select()]
    assert not any("t1meMa" in detail for detail in events)


@pytest.mark.req("R7")
@pytest.mark.req("S6")
def test_a_twin_of_a_name_is_a_conflict(directory: Directory) -> None:
    for name in ("ann", "Straße", "\u00e9va"):
        directory.user(name)
    for twin in ("ANN", "ａｎｎ", " ann ", "strasse", "E\u0301VA"):
        body = {"schemas": [USER], "userName": twin}
        refused(directory("POST", "/Users", body), 409, "uniqueness")
    assert User.select().count() == 3


@pytest.mark.req("R7")
def test_a_name_is_stored_without_outer_blanks_and_has_a_longest(directory: Directory) -> None:
    assert directory.user("  ann ")["userName"] == "ann"
    assert directory.user("é" * 256)["userName"] == "é" * 256
    for name in ("x" * 257, "   ", ""):
        refused(
            directory("POST", "/Users", {"schemas": [USER], "userName": name}), 400, "invalidValue"
        )


@pytest.mark.req("R10")
@pytest.mark.req("S6")
def test_a_retry_after_an_unknown_result_makes_no_twin(directory: Directory) -> None:
    directory.user("ann", externalId="7")
    refused(
        directory("POST", "/Users", {"schemas": [USER], "userName": "ann", "externalId": "7"}),
        409,
        "uniqueness",
    )
    refused(
        directory("POST", "/Users", {"schemas": [USER], "userName": "other", "externalId": "7"}),
        409,
        "uniqueness",
    )
    assert directory.user("third", externalId="a")
    assert directory.user("fourth", externalId="A")  # compared exactly


@pytest.mark.req("P11")
def test_a_put_replaces_and_clears_what_it_leaves_out(directory: Directory) -> None:
    user = directory.user(
        "ann",
        title="Nurse",
        externalId="7",
        name={"givenName": "Ann"},
        **{ENTERPRISE_USER: {"department": "W"}},
    )
    changed = put(
        directory,
        user,
        userName="ann",
        name={"familyName": "Lee"},
        id=user["id"],
        meta={"version": "x"},
        groups=[{"value": "g"}],
        password="x",
    )
    assert changed["name"] == {"familyName": "Lee"}
    assert not {"title", "externalId", "groups", ENTERPRISE_USER} & set(changed)
    assert changed["schemas"] == [USER]
    assert changed["meta"]["created"] == user["meta"]["created"]
    assert changed["meta"]["version"] == 'W/"2"'


@pytest.mark.req("R9")
def test_a_put_with_another_id_is_refused_and_creates_nothing(directory: Directory) -> None:
    user = directory.user("ann")
    body = {"schemas": [USER], "userName": "ann", "ID": "other"}
    refused(directory("PUT", f"/Users/{user['id']}", body), 400, "mutability")
    refused(directory("PUT", "/Users/other", {"schemas": [USER], "userName": "x"}), 404)
    refused(directory("PUT", f"/Users/{user['id']}", {"schemas": [USER]}), 400, "invalidValue")
    assert put(directory, user, userName="ann", id=None)["id"] == user["id"]


@pytest.mark.req("S14")
@pytest.mark.req("P12")
def test_what_changes_nothing_leaves_version_and_date(directory: Directory) -> None:
    user = directory.user("ann", title="Nurse", emails=[{"value": "a@b.example"}])
    events = AuditEvent.select().count()
    assert (
        put(directory, user, userName="ann", title="Nurse", emails=[{"value": "a@b.example"}])[
            "meta"
        ]
        == user["meta"]
    )
    answer = directory.patch(
        f"/Users/{user['id']}",
        {"op": "add", "path": "emails", "value": [{"value": "A@b.example"}]},
        {"op": "remove", "path": "nickName"},
        {"op": "replace", "value": {"title": "Nurse", "id": user["id"]}},
    )
    assert answer.get_json(force=True) == user
    assert AuditEvent.select().count() == events


@pytest.mark.req("R8")
@pytest.mark.req("R16")
def test_only_an_explicit_true_reactivates(directory: Directory) -> None:
    user = directory.user("ann")
    directory.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": "False"})
    assert get(directory, user)["active"] is False
    assert put(directory, user, userName="ann")["active"] is False
    assert put(directory, user, userName="ann", active=None)["active"] is False
    for value in (None, "", []):
        directory.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": value})
        directory.patch(f"/Users/{user['id']}", {"op": "remove", "path": "active"})
        assert get(directory, user)["active"] is False
    assert put(directory, user, userName="ann", active=True)["active"] is True
    assert put(directory, user, userName="ann")["active"] is True


@pytest.mark.req("R8")
def test_an_odd_active_is_refused_and_changes_nothing(directory: Directory) -> None:
    user = directory.user("ann")
    path = f"/Users/{user['id']}"
    for value in ("no", 0, 1, "0"):
        body = {"schemas": [USER], "userName": "ann", "active": value}
        change = {"op": "replace", "path": "active", "value": value}
        refused(directory.patch(path, change), 400, "invalidValue")
        refused(directory("PUT", path, body), 400, "invalidValue")
        refused(directory("POST", "/Users", {**body, "userName": "b"}), 400, "invalidValue")
    assert get(directory, user) == user


@pytest.mark.req("R16")
@pytest.mark.parametrize("way", ["patch", "patch without a path", "put", "delete"])
def test_every_way_out_runs_the_cascade(directory: Directory, way: str) -> None:
    user = directory.user("ann")
    key_of(user)
    path = f"/Users/{user['id']}"
    answer = {
        "patch": lambda: directory.patch(
            path, {"op": "Replace", "path": "active", "value": "False"}
        ),
        "patch without a path": lambda: directory.patch(
            path, {"op": "replace", "value": {"active": False}}
        ),
        "put": lambda: directory(
            "PUT", path, {"schemas": [USER], "userName": "ann", "active": False}
        ),
        "delete": lambda: directory("DELETE", path),
    }[way]()
    assert answer.status_code in (200, 204)
    assert SecurityKey.get().state == KeyState.SUSPENDED
    assert User.get().active is False
    (event,) = AuditEvent.select().where(AuditEvent.event == "user.deactivated")
    assert (event.actor_kind, event.actor_name) == ("connection", "Contoso")


@pytest.mark.req("P16")
def test_a_deleted_user_is_gone_and_the_name_is_free(directory: Directory) -> None:
    user = directory.user("ann", externalId="7")
    group = directory.group("Staff", user["id"])
    path = f"/Users/{user['id']}"
    assert directory("DELETE", path).status_code == 204
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        refused(directory(method, path, {"schemas": [USER], "userName": "ann"}), 404)
    assert directory.find("userName pr") == []
    assert "members" not in directory("GET", f"/Groups/{group['id']}").get_json(force=True)
    again = directory.user("ann", externalId="7")
    assert again["id"] != user["id"]


@pytest.mark.req("R10")
def test_a_patch_that_fails_changes_nothing(directory: Directory) -> None:
    user = directory.user("ann")
    directory.user("bob")
    path = f"/Users/{user['id']}"
    good = {"op": "add", "path": "title", "value": "Nurse"}
    for bad, scim_type in (
        ({"op": "add", "path": "nope", "value": 1}, "invalidPath"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "replace", "path": "meta", "value": {}}, "mutability"),
        ({"op": "replace", "path": "active", "value": "maybe"}, "invalidValue"),
        ({"op": "nope", "path": "title"}, "invalidSyntax"),
    ):
        refused(directory.patch(path, good, good, bad, good), 400, scim_type)
    refused(
        directory.patch(path, good, {"op": "replace", "path": "userName", "value": "BOB"}),
        409,
        "uniqueness",
    )
    assert get(directory, user) == user


@pytest.mark.req("P23")
def test_a_patch_of_another_shape_is_a_syntax_error(directory: Directory) -> None:
    user = directory.user("ann")
    for body in (
        {},
        {"Operations": []},
        {"schemas": [USER], "Operations": [1]},
        {"schemas": [PATCH_OP], "Operations": "x"},
    ):
        refused(directory("PATCH", f"/Users/{user['id']}", body), 400, "invalidSyntax")


@pytest.mark.req("S9")
@pytest.mark.parametrize("path", ["/Users", "/Groups"])
def test_an_empty_identifier_is_none(app: Flask, path: str) -> None:
    okta = connect(app, profile="okta")
    make = okta.user if path == "/Users" else okta.group
    made = [make(name, externalId="") for name in ("a", "b")]
    assert not any("externalId" in each for each in made)
    assert okta.find('externalId eq ""', path) == []
    one = f"{path}/{made[0]['id']}"
    for value, found in (("7", ["a"]), ("", [])):
        change = {"op": "replace", "path": "externalId", "value": value}
        assert okta.patch(one, change).status_code in (200, 204)
        assert okta.find("externalId pr", path) == found
        assert okta.find('not (externalId eq "")', path) == ["a", "b"]


@pytest.mark.req("S15")
def test_groups_are_derived_direct_and_indirect(directory: Directory) -> None:
    ann, bob = directory.user("ann"), directory.user("bob")
    night = directory.group("Night", ann["id"])
    nurses = directory.group("Nurses", night["id"], bob["id"])
    directory.group("Staff", nurses["id"], ann["id"])

    def groups(user: dict[str, Any]) -> dict[str, str]:
        found = get(directory, user)["groups"]
        assert all(each["$ref"].endswith("/Groups/" + each["value"]) for each in found)
        return {each["display"]: each["type"] for each in found}

    assert groups(ann) == {"Night": "direct", "Staff": "direct", "Nurses": "indirect"}
    assert groups(bob) == {"Nurses": "direct", "Staff": "indirect"}
    assert directory.find('groups.display eq "staff"') == ["ann", "bob"]
    assert directory.find(f'groups.value eq "{night["id"]}"') == ["ann"]


@pytest.mark.req("S15")
def test_groups_that_lie_deeper_than_they_may_are_shown_and_found(directory: Directory) -> None:
    ann = directory.user("ann")
    made = [directory.group("G0", ann["id"]), *(directory.group(f"G{n}") for n in range(1, 12))]
    chain = [Group.get(Group.resource_id == each["id"]) for each in made]
    for inner, outer in pairwise(chain):
        Member.create(group=outer, subgroup=inner)
    assert len(get(directory, ann)["groups"]) == len(chain)
    for each in made:
        assert directory.find(f'groups.value eq "{each["id"]}"') == ["ann"]


@pytest.mark.req("P18")
def test_a_tag_covers_keys_and_groups_that_the_version_does_not(directory: Directory) -> None:
    user = directory.user("ann")
    path = f"/Users/{user['id']}"
    tags = [user["meta"]["version"]]
    key = key_of(user)
    tags.append(get(directory, user)["meta"]["version"])
    key.state = KeyState.REVOKED
    key.save()
    assert directory("GET", path, If_None_Match=tags[-1]).status_code == 200
    tags.append(get(directory, user)["meta"]["version"])
    directory.group("Staff", user["id"])
    tags.append(get(directory, user)["meta"]["version"])
    assert len(set(tags)) == 4
    # a write depends on none of that
    change = {"op": "add", "path": "title", "value": "x"}
    assert directory.patch(path, change, If_Match=tags[0]).status_code == 200
    refused(directory.patch(path, change, If_Match=tags[0]), 412)


@pytest.mark.req("P18")
@pytest.mark.req("S14")
@pytest.mark.parametrize(
    "shape", ["attributes=meta.version", "attributes=userName,meta", "excludedAttributes=groups"]
)
def test_a_tag_is_the_same_whatever_is_shown(directory: Directory, shape: str) -> None:
    user = directory.user("ann")
    key_of(user)
    directory.group("Staff", user["id"])
    whole = get(directory, user)
    tag = whole["meta"]["version"]
    assert tag != user["meta"]["version"]
    answer = directory("GET", f"/Users/{user['id']}?{shape}")
    assert answer.headers["ETag"] == tag
    shown = answer.get_json(force=True)
    assert shown["meta"]["version"] == tag
    assert "groups" not in shown
    page = directory("GET", f"/Users?{shape}").get_json(force=True)
    assert page["Resources"] == [shown]
    change = {"op": "add", "path": "title", "value": "Nurse"}
    changed = directory.patch(f"/Users/{user['id']}?attributes=userName", change)
    assert changed.headers["ETag"] == get(directory, user)["meta"]["version"]


@pytest.mark.req("S4")
def test_keys_are_shown_and_cannot_be_written(directory: Directory) -> None:
    user = directory.user("ann")
    key_of(user)
    shown = get(directory, user)[KEYWRIGHT_USER]
    assert shown == {
        "securityKeys": [
            {
                "value": "key-1",
                "$ref": "http://localhost:5005/scim/v2/SecurityKeys/key-1",
                "display": "Card",
                "kind": "contactless_card",
                "state": "active",
                "activatedAt": "1970-01-01T00:00:01.000Z",
            }
        ]
    }
    whole = get(directory, user)
    assert KEYWRIGHT_USER in whole["schemas"]
    put(directory, user, **{k: v for k, v in whole.items() if k != "schemas"})
    assert get(directory, user) == whole
    key = directory("GET", "/SecurityKeys/key-1").get_json(force=True)
    assert key["user"] == {
        "value": user["id"],
        "display": "ann",
        "$ref": f"http://localhost:5005/scim/v2/Users/{user['id']}",
    }
    assert key["meta"]["resourceType"] == "SecurityKey"
    listed = directory("GET", '/SecurityKeys?filter=state eq "active"').get_json(force=True)
    assert listed["Resources"] == [key]
    assert "handle" not in str(key)


@pytest.mark.req("S15")
def test_a_user_is_the_same_alone_by_one_statement_and_on_a_page(
    app: Flask, directory: Directory
) -> None:
    bare, ann, bob = (directory.user(name) for name in ("amy", "ann", "bob"))
    for name, state, user in (
        ("one", KeyState.REVOKED, ann),
        ("two", KeyState.ACTIVE, ann),
        ("draft", KeyState.DRAFT, ann),
        ("his", KeyState.ACTIVE, bob),
    ):
        key_of(user, state, name)
    ward = directory.group("Ward", ann["id"])
    directory.group("Hospital", ward["id"], bob["id"])
    directory.group("Choir", ann["id"])
    page = directory("GET", "/Users?sortBy=userName").get_json(force=True)["Resources"]
    with counted() as asked:
        get(directory, bob)
    assert len(asked) == 3, "the token, all of the user, and what their group lies in"
    with counted() as asked:
        get(directory, bare)
    assert len(asked) == 2
    alone = get(directory, ann)
    assert [get(directory, bare), alone, get(directory, bob)] == page
    assert [key["value"] for key in alone[KEYWRIGHT_USER]["securityKeys"]] == ["one", "two"]
    groups = [(each["display"], each["type"]) for each in alone["groups"]]
    assert groups == [("Ward", "direct"), ("Choir", "direct"), ("Hospital", "indirect")]
    refused(connect(app, "Other")("GET", f"/Users/{ann['id']}"), 404)
    assert directory("DELETE", f"/Users/{ann['id']}").status_code == 204
    refused(directory("GET", f"/Users/{ann['id']}"), 404)


def test_a_key_of_another_connections_user_is_not_shown(app: Flask, directory: Directory) -> None:
    key_of(connect(app, "Other").user("bob"))
    refused(directory("GET", "/SecurityKeys/key-1"), 404)
    listed = directory("GET", "/SecurityKeys").get_json(force=True)
    assert listed["totalResults"] == 0


@pytest.mark.req("P17")
def test_a_change_in_between_loses_nothing(directory: Directory) -> None:
    """What the panel changed since is there after a PATCH: the row is read in the transaction."""
    user = directory.user("ann")
    row = User.get()
    with transaction():
        core.replace_user(row, {**core.document_of(row), "title": "Nurse"}, actor=core.audit.CLI)
    directory.patch(f"/Users/{user['id']}", {"op": "add", "path": "nickName", "value": "A"})
    assert get(directory, user)["title"] == "Nurse"


@pytest.mark.req("T12")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_old_address_of_a_key_holder_is_told_of_a_new_one(
    directory: Directory, method: str
) -> None:
    user = directory.user("ann", emails=[{"value": "ann@example.org", "primary": True}])
    key_of(user)
    emails = [{"value": "mallory@example.org", "primary": True}]
    if method == "PUT":
        put(directory, user, userName="ann", emails=emails)
    else:
        operation = {"op": "replace", "path": "emails", "value": emails}
        body = {"schemas": [PATCH_OP], "Operations": [operation]}
        assert directory("PATCH", f"/Users/{user['id']}", body).status_code == 200
    told = OutboxMail.get(OutboxMail.template == "address_changed")
    assert told.recipient == "ann@example.org"
