# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Requests of real clients, replayed in file order, each client on a clean store.

`scim-requests.jsonl` says where each request comes from. The first expected status is what the
tolerant profile gives; what a note says of the answer is checked by the functions below.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from provisioning import audit
from provisioning.storage.db import transaction
from provisioning.upstream import tokens

REQUESTS = [
    json.loads(line)
    for line in (Path(__file__).parent / "scim-requests.jsonl").read_text().splitlines()
]
CLIENTS = list(dict.fromkeys(request["client"] for request in REQUESTS))

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


class Replay:
    """One client's session: it fills in what earlier answers gave."""

    def __init__(self, app: Flask, client: str) -> None:
        with transaction():
            connection = tokens.create_connection(client, audit.CLI)
            _, self._token = tokens.create(connection, 30, audit.CLI)
        self._app = app
        self.known: dict[str, str] = {}

    def send(self, request: dict[str, Any]) -> TestResponse:
        filled = self._fill(request)
        path, _, query = filled["path"].partition("?")
        headers = {"Authorization": f"Bearer {self._token}", **filled["headers"]}
        body = None if filled["body"] is None else json.dumps(filled["body"]).encode()
        answer = self._app.test_client().open(
            f"/scim/v2{path}",
            method=filled["method"],
            headers=headers,
            data=body,
            query_string=quote(query, safe="=&%"),
        )
        self._learn(request, answer)
        return answer

    def body(self, path: str) -> dict[str, Any]:
        """Read a resource on the side."""
        answer = self._app.test_client().get(
            "/scim/v2" + path.format(**self.known),
            headers={"Authorization": f"Bearer {self._token}"},
        )
        assert answer.status_code == 200
        return dict(answer.get_json(force=True))

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            for name, text in self.known.items():
                value = value.replace(f"{{{name}}}", text)
            return value
        if isinstance(value, dict):
            return {name: self._fill(part) for name, part in value.items()}
        return [self._fill(part) for part in value] if isinstance(value, list) else value

    def _learn(self, request: dict[str, Any], answer: TestResponse) -> None:
        if "ETag" in answer.headers:
            self.known["etag"] = answer.headers["ETag"]
        if request["method"] != "POST" or answer.status_code != 201:
            return
        made = answer.get_json(force=True)["id"]
        if request["path"] == "/Users":
            if "user_id" in self.known:
                self.known["user2_id"] = self.known["user_id"]
            self.known["user_id"] = made
        else:
            self.known["group_id"] = made


@pytest.mark.req("P21")
@pytest.mark.req("P24")
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_the_first_status_that_it_expects(app: Flask, client: str) -> None:
    replay = Replay(app, client)
    checked = 0
    for request in REQUESTS:
        if request["client"] != client:
            continue
        answer = replay.send(request)
        name = f"{client}/{request['name']}"
        assert answer.status_code == request["expect_status"][0], f"{name}: {answer.text}"
        check_every(request, answer)
        check = CHECKS.get(name)
        if check is not None:
            check(replay, answer)
        checked += 1
    assert checked == len([r for r in REQUESTS if r["client"] == client]) > 0


def test_every_check_belongs_to_a_request() -> None:
    assert set(CHECKS) <= {f"{request['client']}/{request['name']}" for request in REQUESTS}


def check_every(request: dict[str, Any], answer: TestResponse) -> None:
    """What holds for each answer."""
    if answer.status_code in (204, 304):
        assert answer.data == b""
        return
    wants_plain = request["headers"].get("Accept") == "application/json"
    assert answer.mimetype == ("application/json" if wants_plain else "application/scim+json")
    body = answer.get_json(force=True)
    assert "password" not in body
    assert None not in _leaves(body)
    if answer.status_code >= 400:
        assert body["schemas"] == [ERROR]
        assert body["status"] == str(answer.status_code)
        assert body["detail"]
    elif body["schemas"] == [LIST]:
        assert isinstance(body["totalResults"], int)
        assert body["itemsPerPage"] == len(body["Resources"])
    elif answer.status_code == 201:
        assert answer.headers["Location"] == body["meta"]["location"]
        assert answer.headers["Content-Location"] == body["meta"]["location"]
        assert answer.headers["ETag"] == body["meta"]["version"]


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


Check = Callable[[Replay, TestResponse], None]


def _total(expected: int) -> Check:
    def check(replay: Replay, answer: TestResponse) -> None:
        assert answer.get_json(force=True)["totalResults"] == expected
        assert len(answer.get_json(force=True)["Resources"]) == expected

    return check


def _scim_type(expected: str) -> Check:
    def check(replay: Replay, answer: TestResponse) -> None:
        assert answer.get_json(force=True)["scimType"] == expected

    return check


def _members(*names: str) -> Check:
    def check(replay: Replay, answer: TestResponse) -> None:
        members = replay.body("/Groups/{group_id}").get("members", [])
        assert [member["value"] for member in members] == [replay.known[name] for name in names]

    return check


def _user(**expected: Any) -> Check:
    def check(replay: Replay, answer: TestResponse) -> None:
        user = replay.body("/Users/{user_id}")
        assert {name: user.get(name) for name in expected} == expected

    return check


def _created_with_nulls(replay: Replay, answer: TestResponse) -> None:
    user = answer.get_json(force=True)
    assert ENTERPRISE not in user
    assert ENTERPRISE not in user["schemas"]
    assert user["displayName"] == "Joy Young"


def _created(replay: Replay, answer: TestResponse) -> None:
    user = answer.get_json(force=True)
    assert user["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:User"]
    assert "roles" not in user


def _multi(replay: Replay, answer: TestResponse) -> None:
    user = replay.body("/Users/{user_id}")
    assert user["emails"] == [
        {"primary": True, "type": "work", "value": "updatedEmail@microsoft.com"}
    ]
    assert user["name"]["familyName"] == "updatedFamilyName"
    assert user["name"]["givenName"] == "givenName"


def _dotted(replay: Replay, answer: TestResponse) -> None:
    user = replay.body("/Users/{user_id}")
    assert user["emails"][0]["value"] == "TestMhvaes@test.microsoft.com"
    assert user["displayName"] == "Bjfe"
    assert user["name"]["givenName"] == "Kkom"
    assert user["name"]["familyName"] == "Unua"
    assert user[ENTERPRISE]["employeeNumber"] == "Aklq"
    assert ENTERPRISE in user["schemas"]


def _typed(replay: Replay, answer: TestResponse) -> None:
    user = replay.body("/Users/{user_id}")
    assert user["phoneNumbers"] == [{"type": "mobile", "value": "5555555"}]
    assert user["addresses"] == [{"type": "work", "country": "US", "formatted": "1 Main St"}]


def _manager(replay: Replay, answer: TestResponse) -> None:
    manager = replay.body("/Users/{user_id}")[ENTERPRISE]["manager"]
    assert manager["value"] == replay.known["user2_id"]


def _added_again(replay: Replay, answer: TestResponse) -> None:
    before = replay.body("/Groups/{group_id}")
    again = next(r for r in REQUESTS if r["name"] == "group-add-member-again")
    assert replay.send(again).status_code == 204
    assert replay.body("/Groups/{group_id}")["meta"] == before["meta"]
    _members("user_id", "user2_id")(replay, answer)


def _without_members(replay: Replay, answer: TestResponse) -> None:
    assert b"members" not in answer.data
    assert b"displayName" in answer.data


def _resource_types(replay: Replay, answer: TestResponse) -> None:
    names = {each["name"] for each in answer.get_json(force=True)["Resources"]}
    assert {"User", "Group"} <= names


def _put(replay: Replay, answer: TestResponse) -> None:
    user = answer.get_json(force=True)
    assert user["name"] == {"givenName": "Another", "middleName": "Excited", "familyName": "User"}
    assert "externalId" not in user
    assert "groups" not in user


def _schemas(replay: Replay, answer: TestResponse) -> None:
    listed = answer.get_json(force=True)
    assert listed["schemas"] == [LIST]
    assert {"multiValued", "caseExact"} <= set(listed["Resources"][0]["attributes"][0])


CHECKS: dict[str, Check] = {
    "entra/test-connection": _total(0),
    "entra/create-user-nulls": _created_with_nulls,
    "entra/create-user": _created,
    "entra/create-user-duplicate": _scim_type("uniqueness"),
    "entra/query-user": _total(1),
    "entra/query-user-case": _total(1),
    "entra/query-externalId": _total(1),
    "entra/query-email-valuepath": _total(1),
    "entra/patch-multi": _multi,
    "entra/patch-username": _user(userName="5b50642d-79fc-4410-9e90-4c077cdd1a59@testuser.com"),
    "entra/patch-disable-string": _user(active=False),
    "entra/patch-enable-string": _user(active=True),
    "entra/patch-disable-flag": _user(active=False),
    "entra/patch-nopath-dotted": _dotted,
    "entra/patch-replace-many": _user(displayName="Pvlo", externalId="Eqpj"),
    "entra/patch-add-missing-typed": _typed,
    "entra/patch-manager-string": _manager,
    "entra/patch-manager-array": _manager,
    "entra/create-group-duplicate": _scim_type("uniqueness"),
    "entra/get-group-no-members": _without_members,
    "entra/query-group-no-members": _total(1),
    "entra/query-group-membership": _total(0),
    "entra/group-rename": _members(),
    "entra/group-add-member": _members("user_id"),
    "entra/group-add-member-again": _added_again,
    "entra/group-remove-member-valuearray": _members("user2_id"),
    "entra/group-remove-member-path": _members(),
    "entra/schemas": _schemas,
    "okta/lookup": _total(0),
    "okta/lookup-caps": _total(1),
    "okta/create-user-duplicate": _scim_type("uniqueness"),
    "okta/put-user": _put,
    "okta/deactivate-nopath": _user(active=False),
    "okta/deactivate-put": _user(active=False),
    "okta/group-replace-members": _members("user_id"),
    "okta/group-put": _members("user_id"),
    "okta/list-groups": _total(1),
    "okta/resource-types": _resource_types,
    "rfc/search-root": _total(0),
    "rfc/filter-invalid": _scim_type("invalidFilter"),
    "rfc/patch-readonly": _scim_type("mutability"),
}
