# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whatever is sent, the server does not fail, and what it refuses it has not done (R30)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from provisioning.errors import InvalidValue
from provisioning.event_streams import events
from provisioning.models import User
from provisioning.services import Services
from scim import extensions
from scim.bulk import REQUEST_URN
from scim.resource_types import ENTERPRISE_USER, KEYWRIGHT_USER
from tests.scim.pushing import GROUP, PATCH_OP, USER, Directory
from tests.scim.samples import EXAMPLES
from tests.scim.test_security_events import make

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
        [
            "filter",
            "sortBy",
            "sortOrder",
            "startIndex",
            "count",
            "cursor",
            "attributes",
            "excludedAttributes",
        ]
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


# Anything in JSON, as deep and as odd as hypothesis likes, and bytes that are no JSON at all.
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(_names, st.text(max_size=8)), inner, max_size=4),
    ),
    max_leaves=12,
)
_message = st.fixed_dictionaries(
    {},
    optional={
        "schemas": st.one_of(st.just([REQUEST_URN, PATCH_OP, USER]), _json),
        "Operations": st.lists(st.one_of(_operation, _json), max_size=3),
        "filter": st.one_of(st.text(), _json),
        "cursor": st.one_of(st.just(""), st.text(), _json),
        "count": st.one_of(st.integers(), _json),
        "sortBy": st.one_of(_names, _json),
        "ack": st.one_of(st.lists(st.text(max_size=8), max_size=3), _json),
        "setErrs": _json,
        "maxEvents": st.one_of(st.integers(), _json),
        "attributes": _json,
    },
)
_sent = st.one_of(
    st.binary(max_size=80),
    _json.map(lambda value: json.dumps(value).encode()),
    _message.map(lambda value: json.dumps({**value, "returnImmediately": True}).encode()),
)


@pytest.mark.req("R30")
@pytest.mark.req("R4")
def test_no_bytes_and_no_json_make_any_address_fail(
    services: Services, directory: Directory, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(events.forget)  # the next test has another database
    user, group = directory.user("someone"), directory.group("Some")
    stream = make(directory, services)
    paths = st.one_of(
        st.sampled_from(
            [
                "",
                "/",
                "/.search",
                "/Bulk",
                "/Bulk/x",
                "/Me",
                "/Users",
                "/Users/.search",
                "/Groups",
                "/Groups/.search",
                "/SecurityKeys",
                "/SecurityKeys/.search",
                "/Schemas",
                "/Schemas/x",
                "/ResourceTypes/User",
                "/ServiceProviderConfig",
                f"/Users/{user['id']}",
                f"/Groups/{group['id']}",
                f"/Events/{stream.resource_id}",
                "/Events/x",
            ]
        ),
        st.text(max_size=20).map(lambda text: "/" + quote(text)),
    )
    headers = st.fixed_dictionaries(
        {},
        optional={
            "If-Match": st.sampled_from(["*", "x", 'W/"1"', 'W/"', '"1", "2"']),
            "If-None-Match": st.sampled_from(["*", "x", 'W/"1"', ""]),
            "Accept": st.sampled_from(["*/*", "text/html", "application/json;q=x", ";"]),
            "Prefer": st.sampled_from(["respond-async", "respond-async; wait=x", "=", ""]),
            "Content-Type": st.sampled_from(["application/scim+json", "text/plain", "x", ""]),
            "Content-Encoding": st.sampled_from(["gzip", "x"]),
        },
    )
    answered: Counter[int] = Counter()

    # One of each kind of refusal that is asked for below; chance brings the others.
    @example(method="POST", path="/Users", sent=b"{", more={})
    @example(method="GET", path="/Nothing", sent=b"", more={})
    @example(method="BREW", path="/Users", sent=b"", more={})
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(
        method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "BREW"]),
        path=paths,
        sent=_sent,
        more=headers,
    )
    def check(method: str, path: str, sent: bytes, more: dict[str, str]) -> None:
        if method == "DELETE" and path.endswith((user["id"], group["id"])):
            method = "PUT"  # they are wanted until the end
        answer = directory.app.test_client().open(
            f"/scim/v2{path}",
            method=method,
            data=sent,
            headers={"Authorization": f"Bearer {directory.token}", **more},
        )
        # /Me is 501 by decision; nothing else may say that the server is to blame.
        assert answer.status_code < 500 or path == "/Me", (answer.status_code, answer.text)
        answered[answer.status_code] += 1

    check()
    assert {400, 404, 405} <= set(answered)


@pytest.mark.req("R30")
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(sent=st.one_of(_sent, _json.map(lambda value: json.dumps({"attributes": value}).encode())))
def test_no_document_makes_the_reading_of_a_schema_fail(sent: bytes) -> None:
    with pytest.raises(InvalidValue):
        extensions.read(sent)
