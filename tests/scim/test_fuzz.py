# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whatever is sent, the server does not fail, and what it refuses it has not done (R30)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.models import User
from scim.bulk import REQUEST_URN
from scim.resource_types import ENTERPRISE_USER, KEYWRIGHT_USER
from tests.scim.pushing import GROUP, PATCH_OP, USER, Directory
from tests.scim.samples import EXAMPLES

_texts = st.sampled_from(
    [
        "",
        " ",
        "ann",
        "True",
        "bulkId:x",
        "é",
        "\x7f",
        "a" * 300,
        "%",
        "_",
        "2026-01-01T00:00:00Z",
        USER,
        "id-here",
    ]
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _texts,
)
_names = st.sampled_from(
    [
        "userName",
        "USERNAME",
        "active",
        "name",
        "givenName",
        "emails",
        "value",
        "type",
        "primary",
        "displayName",
        "members",
        "groups",
        "schemas",
        "id",
        "meta",
        "externalId",
        "manager",
        "department",
        "$ref",
        "password",
        "managerId",
        "x509Certificates",
        "addresses",
        "nothing",
        ENTERPRISE_USER,
        KEYWRIGHT_USER,
        f"{ENTERPRISE_USER}:manager",
        "name.givenName",
        "a" * 300,
    ]
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_names, inner, max_size=3)
    ),
    max_leaves=6,
)
_paths = st.sampled_from(
    [
        "",
        "userName",
        "active",
        "name",
        "name.givenName",
        "emails",
        "emails.value",
        "members",
        "groups",
        "id",
        "meta.version",
        "schemas",
        "password",
        ENTERPRISE_USER,
        KEYWRIGHT_USER,
        f"{ENTERPRISE_USER}:manager",
        f"{ENTERPRISE_USER}:manager.value",
        'emails[type eq "work"]',
        'emails[type eq "work"].value',
        'emails[value co ""].primary',
        "emails[not (type pr)]",
        'members[value eq "id-here"]',
        'members[display sw "a"]',
        'addresses[type eq "home"].country',
        "emails[",
        "].x",
        "urn:x:y",
        "managerId",
        'name[givenName eq "x"]',
        "displayName",
        "a" * 5_000,
    ]
)
_operation = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove", "REMOVE", "x", 1])},
    optional={"path": st.one_of(_paths, _scalars), "value": _values},
)
_bodies = st.dictionaries(_names, _values, max_size=5)


def _wanted(resource: dict[str, Any], body: Any) -> Any:
    """Put a real id where a sample says so."""
    if isinstance(body, dict):
        return {name: _wanted(resource, part) for name, part in body.items()}
    if isinstance(body, list):
        return [_wanted(resource, part) for part in body]
    return body.replace("id-here", resource["id"]) if isinstance(body, str) else body


@pytest.mark.req("R30")
@pytest.mark.req("R10")
def test_no_body_makes_the_server_fail(directory: Directory) -> None:
    user, group = directory.user("someone"), directory.group("Some")
    directory("GET", "/Users")
    refused: list[int] = []

    @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
    @given(
        method=st.sampled_from(["POST", "PUT", "PATCH"]),
        type_=st.sampled_from([USER, GROUP]),
        body=_bodies,
        operations=st.lists(_operation, max_size=3),
        typed=st.booleans(),
    )
    def check(
        method: str, type_: str, body: dict[str, Any], operations: list[Any], typed: bool
    ) -> None:
        one, endpoint = (user, "/Users") if type_ == USER else (group, "/Groups")
        path = endpoint if method == "POST" else f"{endpoint}/{one['id']}"
        sent: dict[str, Any] = body
        if method == "PATCH":
            sent = {"schemas": [PATCH_OP], "Operations": operations}
        elif typed:
            names = {"userName": "x"} if type_ == USER else {"displayName": "x"}
            sent = {**names, **body, "schemas": [type_]}
        before = directory("GET", f"{endpoint}/{one['id']}").data
        answer = directory(method, path, _wanted(user, sent))
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            refused.append(answer.status_code)
            assert directory("GET", f"{endpoint}/{one['id']}").data == before

    check()
    assert 400 in refused


@pytest.mark.req("R30")
def test_no_bulk_request_makes_the_server_fail(directory: Directory) -> None:
    operation = st.fixed_dictionaries(
        {"method": st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "GET", 1])},
        optional={
            "path": st.sampled_from(
                ["/Users", "/Groups", "/Users/bulkId:x", "/Users/y", "/X", "x", 1]
            ),
            "bulkId": st.sampled_from(["x", "y", "", 1]),
            "data": st.one_of(_bodies, _scalars),
            "version": _scalars,
        },
    )

    @settings(max_examples=EXAMPLES // 2, suppress_health_check=[HealthCheck.too_slow])
    @given(operations=st.lists(operation, max_size=5), limit=_scalars)
    def check(operations: list[Any], limit: Any) -> None:
        answer = directory(
            "POST",
            "/Bulk",
            {"schemas": [REQUEST_URN], "failOnErrors": limit, "Operations": operations},
        )
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 200:
            statuses = [int(each["status"]) for each in answer.get_json(force=True)["Operations"]]
            assert all(status < 500 for status in statuses), answer.text

    check()


@pytest.mark.req("R30")
def test_no_query_makes_the_server_fail(directory: Directory) -> None:
    directory.group("Some", directory.user("someone", emails=[{"value": "a@b.example"}])["id"])
    names = st.sampled_from(
        ["filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes"]
    )
    words = st.sampled_from(
        [
            "userName",
            "emails.value",
            "meta.created",
            "meta.version",
            "groups.value",
            "members",
            "schemas",
            "active",
            "displayName",
            "id",
            "name",
            "1",
            "-1",
            "ascending",
            "descending",
            "eq",
            "pr",
            "co",
            "gt",
            "not",
            "and",
            "or",
            "(",
            ")",
            "[",
            "]",
            '"x"',
            '"%"',
            "true",
            "null",
            ",",
            '"2026-01-01T00:00:00Z"',
            f"{KEYWRIGHT_USER}:securityKeys.state",
            "\x00",
            "é",
        ]
    )
    sentences = st.lists(words, max_size=6).map(" ".join)

    @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
    @given(
        path=st.sampled_from(["/", "/Users", "/Groups", "/SecurityKeys"]),
        query=st.dictionaries(names, sentences, max_size=3),
    )
    def check(path: str, query: dict[str, str]) -> None:
        answer = directory.app.test_client().get(
            f"/scim/v2{path}",
            query_string=query,
            headers={"Authorization": f"Bearer {directory.token}"},
        )
        assert answer.status_code in (200, 400), answer.text

    check()
    assert User.select().count() == 1
