# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The wire: statuses, headers, media types and errors, through the real app."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog
from flask import Flask
from werkzeug.test import TestResponse

import scim.routes
from provisioning import audit
from provisioning.clock import now_ms
from provisioning.models import Group, Token, UnknownAttribute, User
from provisioning.storage.db import transaction
from provisioning.upstream import tokens
from scim.caller import MAX_UNKNOWN
from tests.scim.pushing import GROUP, PATCH_OP, USER, Directory, connect

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def refused(answer: TestResponse, status: int, scim_type: str | None = None) -> dict[str, Any]:
    """Check the form of a refusal and return its body (RFC 7644 §3.12)."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/scim+json"
    body = dict(answer.get_json(force=True))
    assert body["schemas"] == [ERROR]
    assert body["status"] == str(status)
    assert body.get("scimType") == scim_type
    assert set(body) <= {"schemas", "status", "scimType", "detail"}
    return body


ACCEPTED = [
    ("application/json", "application/json"),
    ("application/scim+json", "application/scim+json"),
    ("*/*", "application/scim+json"),
    ("", "application/scim+json"),
    ("application/scim+json, application/json;q=0.5", "application/scim+json"),
    ("application/json, text/plain", "application/json"),
    ("text/html", "application/scim+json"),
    ("application/scim+json; charset=utf-8", "application/scim+json"),
]

REFUSALS = [
    ("GET", "/nothing", 404),
    ("GET", "/Users/x/y", 404),
    ("PUT", "/Users", 405),
    ("DELETE", "/Users", 405),
    ("POST", "/Users/x", 405),
    ("GET", "/Users/.search", 405),
    ("BREW", "/Users", 405),
    ("OPTIONS", "/Users", 405),
    ("POST", "/", 405),
    ("POST", "/SecurityKeys", 405),
    ("PUT", "/SecurityKeys/x", 405),
    ("PATCH", "/SecurityKeys/x", 405),
    ("DELETE", "/SecurityKeys/x", 405),
    ("POST", "/Schemas", 405),
    ("DELETE", "/ServiceProviderConfig", 405),
    ("PUT", "/ResourceTypes/User", 405),
    ("GET", "/Users/nobody", 404),
    ("GET", "/Groups/nothing", 404),
    ("GET", "/SecurityKeys/none", 404),
    ("GET", "/Schemas/none", 404),
    ("DELETE", "/Users/nobody", 404),
    ("GET", "/Me", 501),
    ("POST", "/Me", 501),
    ("GET", "/Bulk", 405),
]


@pytest.mark.req("P19")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_directory_is_no_person_so_there_is_no_me(directory: Directory, method: str) -> None:
    detail = refused(directory(method, "/Me", {}), 501)["detail"]
    assert "stands for a directory" in str(detail)


@pytest.mark.req("P23")
def test_another_version_of_the_protocol_is_told_so(app: Flask) -> None:
    for path in ("/scim/v1/Users", "/scim/v20/Users", "/scim/v3", "/scim/v1.1/Users?count=1"):
        refused(app.test_client().get(path), 400, "invalidVers")


@pytest.mark.req("P10")
@pytest.mark.req("P23")
def test_a_password_in_an_address_is_sensitive_and_in_a_body_no_filter(
    directory: Directory,
) -> None:
    for path in ("/Users", "/"):
        refused(directory("GET", f'{path}?filter=password eq "x"'), 403, "sensitive")
    answer = directory("POST", "/Users/.search", {"filter": 'userName pr and password eq "x"'})
    refused(answer, 400, "invalidFilter")
    assert directory("GET", '/Users?filter=displayName eq "password"').status_code == 200


@pytest.mark.req("R1")
@pytest.mark.req("P24")
def test_every_address_needs_a_token(app: Flask) -> None:
    for path in (
        "/Users",
        "/Users/x",
        "/Groups",
        "/.search",
        "/Schemas",
        "/Me",
        "/Bulk",
        "/",
        "/ServiceProviderConfig",
        "/SecurityKeys",
    ):
        for given in (None, "", "Bearer ", "Basic YTpi", "Bearer kw_0_0", "non-token"):
            headers = {} if given is None else {"Authorization": given}
            answer = app.test_client().get(f"/scim/v2{path}", headers=headers)
            refused(answer, 401)
            said = answer.headers["WWW-Authenticate"]
            assert said == ('Bearer error="invalid_token"' if given else "Bearer")


@pytest.mark.req("R1")
def test_a_token_in_the_address_counts_for_nothing(app: Flask, directory: Directory) -> None:
    answer = app.test_client().get(f"/scim/v2/Users?access_token={directory.token}")
    refused(answer, 401)


@pytest.mark.req("R2")
def test_unknown_expired_and_revoked_tokens_get_the_same_answer(
    app: Flask, directory: Directory
) -> None:
    unknown = directory("GET", "/Users", Authorization="Bearer kw_0123456789abcdef_" + "0" * 64)
    Token.update(expires_at=now_ms() - 1).execute()
    expired = directory("GET", "/Users")
    Token.update(expires_at=now_ms() + 10**6, revoked_at=now_ms()).execute()
    revoked = directory("GET", "/Users")
    assert unknown.data == expired.data == revoked.data
    refused(revoked, 401)


@pytest.mark.req("R1")
@pytest.mark.parametrize(
    ("scope", "users", "groups"),
    [
        ("write", 201, 201),
        ("users", 201, 403),
        ("read", 403, 403),
    ],
)
def test_a_scope_says_what_may_be_written(app: Flask, scope: str, users: int, groups: int) -> None:
    directory = connect(app, scope=scope)
    user = directory("POST", "/Users", {"schemas": [USER], "userName": "a"})
    group = directory("POST", "/Groups", {"schemas": [GROUP], "displayName": "g"})
    assert (user.status_code, group.status_code) == (users, groups)
    for method in ("PUT", "PATCH", "DELETE"):
        status = directory(method, "/Groups/x", {}).status_code
        assert (status == 403) is (groups == 403)
    assert directory("GET", "/Users").status_code == 200
    assert directory("GET", "/Groups").status_code == 200
    assert directory("POST", "/.search", {}).status_code == 200


@pytest.mark.req("P21")
@pytest.mark.req("R30")
def test_every_refusal_has_the_form_of_the_standard(directory: Directory) -> None:
    for method, path, status in REFUSALS:
        answer = directory(method, path)
        refused(answer, status)
        if status == 405 and method != "BREW":
            assert answer.headers["Allow"]
        assert b"<" not in answer.data


@pytest.mark.req("P21")
def test_what_nobody_foresaw_is_a_plain_500(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(scim.routes, "answer", broken)
    body = refused(directory("GET", "/Users"), 500)
    assert "secret" not in json.dumps(body)


@pytest.mark.req("P22")
def test_the_answer_has_the_media_type_asked_for(directory: Directory) -> None:
    for accept, given in ACCEPTED:
        assert directory("GET", "/Users", Accept=accept).mimetype == given, accept


@pytest.mark.req("R4")
def test_a_malformed_body_is_a_syntax_error(directory: Directory) -> None:
    path = f"/Users/{directory.user('ann')['id']}"
    for body in (
        b"[" * 100_000,
        b"{",
        b'{"active":true,"Active":false}',
        b'{"a":NaN}',
        b"\xff",
        b"",
    ):
        refused(directory("POST", "/Users", body), 400, "invalidSyntax")
        refused(directory("PUT", path, body), 400, "invalidSyntax")
        refused(directory("PATCH", path, body), 400, "invalidSyntax")


@pytest.mark.req("R4")
def test_a_value_that_cannot_be_kept_is_refused(directory: Directory) -> None:
    for body in (
        rb'{"userName":"\ud800"}',
        rb'{"userName":"a\u0000b"}',
        b'{"userName":99999999999999999999}',
    ):
        refused(directory("POST", "/Users", body), 400, "invalidValue")


@pytest.mark.req("R4")
def test_a_body_over_its_cap_is_413(directory: Directory) -> None:
    large = json.dumps({"schemas": [USER], "userName": "a", "x": "y" * 1024 * 1024}).encode()
    refused(directory("POST", "/Users", large), 413)
    refused(directory("POST", "/.search", large), 413)
    assert User.select().count() == 0
    group = json.dumps({"schemas": [GROUP], "displayName": "g", "x": "y" * 2 * 1024 * 1024})
    assert directory("POST", "/Groups", group.encode()).status_code == 201
    refused(directory("POST", "/Groups", b'{"x":"' + b"y" * (32 * 1024 * 1024) + b'"}'), 413)


@pytest.mark.req("P1")
@pytest.mark.req("S14")
def test_a_created_resource_says_where_it_is(directory: Directory) -> None:
    answer = directory("POST", "/Users", {"schemas": [USER], "userName": "ann"})
    body = answer.get_json(force=True)
    assert answer.status_code == 201
    assert body["meta"]["location"] == f"http://localhost:5005/scim/v2/Users/{body['id']}"
    assert answer.headers["Location"] == body["meta"]["location"]
    assert answer.headers["Content-Location"] == body["meta"]["location"]
    assert answer.headers["ETag"] == body["meta"]["version"]
    assert body["meta"]["resourceType"] == "User"
    assert body["meta"]["created"] == body["meta"]["lastModified"]


@pytest.mark.req("P18")
@pytest.mark.req("R10")
def test_a_stale_version_is_412_and_changes_nothing(directory: Directory) -> None:
    user = directory.user("ann")
    group = directory.group("Staff")
    path, group_path = f"/Users/{user['id']}", f"/Groups/{group['id']}"
    body = {"schemas": [USER], "userName": "ann", "title": "x"}
    change = {"op": "replace", "path": "displayName", "value": "x"}
    for tag in ('W/"stale"', 'W/"2"', '"0"', '"11"', "x"):
        refused(directory("PUT", path, body, If_Match=tag), 412)
        refused(directory.patch(path, change, If_Match=tag), 412)
        refused(directory("DELETE", path, If_Match=tag), 412)
        refused(directory.patch(group_path, change, If_Match=tag.replace("2", "7")), 412)
    assert directory("GET", path).get_json(force=True) == user
    version = user["meta"]["version"]
    for form in ("{}", "*", '"9", {}'):
        title = {"op": "add", "path": "title", "value": form}
        answer = directory.patch(path, title, If_Match=form.format(version))
        assert answer.status_code == 200
        assert answer.headers["ETag"] != version
        version = answer.headers["ETag"]


@pytest.mark.req("P18")
def test_an_unchanged_resource_is_304(directory: Directory) -> None:
    user = directory.user("ann")
    path = f"/Users/{user['id']}"
    for tag in (user["meta"]["version"], "*", f'"x", {user["meta"]["version"]}', '"1"'):
        answer = directory("GET", path, If_None_Match=tag)
        assert answer.status_code == 304
        assert answer.data == b""
        assert answer.headers["ETag"] == user["meta"]["version"]
    assert directory("GET", path, If_None_Match='W/"0"').status_code == 200


@pytest.mark.req("P13")
@pytest.mark.req("P2")
def test_what_a_patch_answers(app: Flask, directory: Directory) -> None:
    user, group = directory.user("ann"), directory.group("Staff")
    change = {"op": "replace", "path": "displayName", "value": "x"}
    answer = directory.patch(f"/Users/{user['id']}", change)
    assert (answer.status_code, answer.get_json(force=True)["displayName"]) == (200, "x")
    answer = directory.patch(f"/Groups/{group['id']}", change)
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (204, b"", 'W/"2"')
    answer = directory.patch(f"/Groups/{group['id']}?attributes=displayName", change)
    assert answer.status_code == 200
    assert set(answer.get_json(force=True)) == {"schemas", "id", "displayName"}
    answer = directory.patch(f"/Users/{user['id']}?attributes=userName", change)
    assert set(answer.get_json(force=True)) == {"schemas", "id", "userName"}
    answer = directory(
        "POST", "/Users?excludedAttributes=meta", {"schemas": [USER], "userName": "bob"}
    )
    assert "meta" not in answer.get_json(force=True)
    assert answer.headers["Location"]


def test_both_ways_to_shape_an_answer_at_once_are_refused(directory: Directory) -> None:
    path = "/Users?attributes=id&excludedAttributes=meta"
    refused(directory("GET", path), 400, "invalidValue")
    refused(directory("POST", path, {"schemas": [USER], "userName": "x"}), 400, "invalidValue")
    assert User.select().count() == 0


@pytest.mark.req("R9")
def test_unknown_attributes_are_counted_by_connection(app: Flask, directory: Directory) -> None:
    for name in ("ann", "bob"):
        directory.user(name, shoeSize=42, favouriteColour="red")
    connect(app, "Other").user("cy", shoeSize=1)
    failed = directory("POST", "/Users", {"schemas": [USER], "userName": "ann", "shoeSize": 1})
    assert failed.status_code == 409
    seen = {(row.connection.name, row.name): row.seen for row in UnknownAttribute.select()}
    assert seen == {
        ("Contoso", "shoeSize"): 2,
        ("Contoso", "favouriteColour"): 2,
        ("Other", "shoeSize"): 1,
    }


@pytest.mark.req("R9")
def test_what_a_directory_sends_for_years_can_be_counted(directory: Directory) -> None:
    directory.user("ann", shoe=1)
    UnknownAttribute.update(seen=2**31 - 1).execute()
    directory.user("bob", shoe=1)
    assert UnknownAttribute.get().seen == 2**31


@pytest.mark.req("R9")
def test_unknown_names_do_not_fill_the_table(directory: Directory) -> None:
    directory.user("ann", **{f"x{place}": 1 for place in range(300)})
    assert UnknownAttribute.select().count() == MAX_UNKNOWN
    directory.user("bob", x0=1, another=1)
    assert UnknownAttribute.select().count() == MAX_UNKNOWN
    assert UnknownAttribute.get(UnknownAttribute.name == "x0").seen == 2


@pytest.mark.req("S13")
def test_a_connection_sees_only_what_it_provisioned(app: Flask, directory: Directory) -> None:
    other = connect(app, "Other")
    user, group = directory.user("ann", externalId="1"), directory.group("Staff")
    for path in (f"/Users/{user['id']}", f"/Groups/{group['id']}"):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            refused(
                other(
                    method,
                    path,
                    {
                        "schemas": [USER, PATCH_OP],
                        "userName": "x",
                        "Operations": [{"op": "remove", "path": "title"}],
                    },
                ),
                404,
            )
    assert other.find('userName eq "ann"') == []
    assert other("GET", "/Groups").get_json(force=True)["totalResults"] == 0
    refused(other("POST", "/Users", {"schemas": [USER], "userName": "ANN"}), 409, "uniqueness")
    assert other.user("bob", externalId="1")["externalId"] == "1"
    refused(
        other(
            "POST",
            "/Groups",
            {"schemas": [GROUP], "displayName": "G", "members": [{"value": user["id"]}]},
        ),
        400,
        "invalidValue",
    )
    assert Group.select().count() == 1


def test_an_address_may_end_in_a_slash_or_not(directory: Directory) -> None:
    for path in ("/Users", "/Users/", "/", ""):
        assert directory("GET", path).get_json(force=True)["totalResults"] == 0


@pytest.mark.req("P16")
def test_a_head_request_is_answered_without_a_body(directory: Directory) -> None:
    user = directory.user("ann")
    answer = directory("HEAD", f"/Users/{user['id']}")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["ETag"] == 'W/"1"'


@pytest.mark.req("R2")
def test_two_tokens_of_one_connection_serve_at_once(app: Flask, directory: Directory) -> None:
    with transaction():
        _, second = tokens.create(directory.connection, 30, audit.CLI)
    user = directory.user("ann")
    answer = directory("GET", f"/Users/{user['id']}", Authorization=f"Bearer {second}")
    assert answer.status_code == 200


@pytest.mark.req("R10")
def test_a_star_between_quotes_is_a_tag_and_no_star(directory: Directory) -> None:
    ann = directory.user("ann")
    change = {"op": "add", "path": "title", "value": "x"}
    refused(directory.patch(f"/Users/{ann['id']}", change, If_Match='"*"'), 412)
    refused(directory.patch(f"/Users/{ann['id']}", change, If_Match='W/"9", "*"'), 412)
    assert directory.patch(f"/Users/{ann['id']}", change, If_Match=" * ").status_code == 200


@pytest.mark.req("P24")
def test_what_is_allowed_is_told_as_it_is(directory: Directory) -> None:
    told = {
        "/Users": "GET, HEAD, POST",
        "/Users/x": "GET, HEAD, PUT, PATCH, DELETE",
        "/SecurityKeys": "GET, HEAD",
        "/SecurityKeys/x": "GET, HEAD",
        "/Bulk": "POST",
    }
    for path, methods in told.items():
        for method in ("OPTIONS", "BREW"):
            answer = directory(method, path)
            refused(answer, 405)
            assert answer.headers["Allow"] == methods
    for method in ("PUT", "PATCH", "DELETE"):
        refused(directory(method, "/SecurityKeys/x", {}), 405)


def test_what_nobody_foresaw_names_nobody_in_the_log(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(scim.routes, "find", broken)
    with structlog.testing.capture_logs() as logs:
        refused(directory("GET", "/Users/ann@example.org?filter=x"), 500)
    assert [(line["event"], line["path"]) for line in logs] == [("unexpected error", "/Users/…")]
