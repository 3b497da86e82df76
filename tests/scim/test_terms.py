# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What an owner chooses for a connection holds from its next request on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning.audit import CLI
from provisioning.storage.db import transaction
from provisioning.upstream import connections
from provisioning.upstream.connections import PatchReply
from tests.scim.pushing import GROUP, USER, Directory


def choose(directory: Directory, **terms: object) -> None:
    with transaction():
        connection = connections.get(directory.connection.id)
        wanted = replace(connections.terms_of(connection), **terms)  # type: ignore[arg-type]
        connections.change(connection, wanted, CLI)


@pytest.mark.req("P13")
@pytest.mark.parametrize(
    ("reply", "users", "groups"),
    [(PatchReply.USUAL, 200, 204), (PatchReply.BODY, 200, 200), (PatchReply.EMPTY, 204, 204)],
)
def test_a_patch_is_answered_as_chosen(
    directory: Directory, reply: PatchReply, users: int, groups: int
) -> None:
    user, group = directory.user("ada"), directory.group("Staff")
    choose(directory, patch_reply=reply)
    rename = {"op": "replace", "path": "displayName", "value": "Ada"}
    for path, status in ((f"/Users/{user['id']}", users), (f"/Groups/{group['id']}", groups)):
        answer = directory.patch(path, rename)
        assert answer.status_code == status
        assert answer.headers["ETag"] == 'W/"2"'
        assert (answer.data == b"") is (status == 204)
        if status == 200:
            assert answer.get_json(force=True)["displayName"] == "Ada"
        # Who names attributes wants to see them (RFC 7644 §3.5.2).
        asked = directory.patch(f"{path}?attributes=displayName", rename)
        assert asked.status_code == 200
        assert asked.get_json(force=True)["displayName"] == "Ada"


def test_a_put_is_answered_with_the_result_whatever_is_chosen(directory: Directory) -> None:
    user = directory.user("ada")
    choose(directory, patch_reply=PatchReply.EMPTY)
    body = {"schemas": [USER], "userName": "ada", "title": "Engineer"}
    answer = directory("PUT", f"/Users/{user['id']}", body)
    assert (answer.status_code, answer.get_json(force=True)["title"]) == (200, "Engineer")


def test_group_names_may_be_used_twice_where_that_is_chosen(directory: Directory) -> None:
    first = directory.group("Staff")
    body = {"schemas": [GROUP], "displayName": "STAFF"}
    assert directory("POST", "/Groups", body).status_code == 409
    choose(directory, unique_group_names=False)
    second = directory.group("STAFF")
    assert directory.find('displayName eq "staff"', "/Groups") == ["Staff", "STAFF"]
    other = directory.group("Other")
    rename = {"op": "replace", "path": "displayName", "value": "staff"}
    assert directory.patch(f"/Groups/{other['id']}", rename).status_code == 204
    # An older group, from before names could be used twice, may take a used one as well.
    assert directory.patch(f"/Groups/{first['id']}", rename).status_code == 204
    assert directory("DELETE", f"/Groups/{second['id']}").status_code == 204
    assert directory.find('displayName eq "staff"', "/Groups") == ["staff", "staff"]


def test_rights_that_shrink_hold_at_once(directory: Directory) -> None:
    user, group = directory.user("ada"), directory.group("Staff")
    rename = {"op": "replace", "path": "displayName", "value": "Ada"}
    choose(directory, scope="users")
    assert directory.patch(f"/Users/{user['id']}", rename).status_code == 200
    assert directory.patch(f"/Groups/{group['id']}", rename).status_code == 403
    choose(directory, scope="read")
    assert directory("DELETE", f"/Users/{user['id']}").status_code == 403
    assert directory("GET", f"/Users/{user['id']}").status_code == 200
    choose(directory, scope="write")
    assert directory("DELETE", f"/Groups/{group['id']}").status_code == 204


def test_a_profile_holds_at_once(directory: Directory) -> None:
    loose = {"schemas": [USER], "userName": "ada", "active": "True"}
    choose(directory, profile="strict")
    refused = directory("POST", "/Users", loose)
    assert (refused.status_code, refused.get_json(force=True)["scimType"]) == (400, "invalidValue")
    choose(directory, profile="entra")
    assert directory("POST", "/Users", loose).status_code == 201
