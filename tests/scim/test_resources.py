# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Rows to JSON: joined text is the same resource that a parser would build."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from provisioning.models import Connection
from scim.projection import projection
from scim.resource_types import ENTERPRISE_USER, GROUP, KEYWRIGHT_USER, USER
from scim.resources import Derived, as_dict, etag_matches, render
from scim.rows import Row
from tests.scim.samples import EXAMPLES, documents

BASE = "https://keys.example.org/scim/v2"
NOTHING = Derived({}, {}, {})


def row(document: dict[str, Any], version: int = 3) -> Row:
    return Row(
        7, "ann-1", version, 1_700_000_000_123, 1_700_000_001_000, orjson.dumps(document).decode()
    )


@settings(max_examples=EXAMPLES)
@given(document=documents)
def test_a_resource_is_its_document_and_what_is_derived(document: dict[str, Any]) -> None:
    shown = as_dict(USER, row(document), NOTHING, BASE)
    assert {n: v for n, v in shown.items() if n not in ("schemas", "id", "meta")} == document
    assert list(shown)[:2] == ["schemas", "id"]
    assert (ENTERPRISE_USER in shown["schemas"]) == (ENTERPRISE_USER in document)
    assert shown["meta"] == {
        "resourceType": "User",
        "created": "2023-11-14T22:13:20.123Z",
        "lastModified": "2023-11-14T22:13:21.000Z",
        "location": f"{BASE}/Users/ann-1",
        "version": 'W/"3"',
    }


@pytest.mark.req("S12")
def test_a_urn_in_a_value_is_no_extension() -> None:
    for text in (ENTERPRISE_USER, f'"{ENTERPRISE_USER}":', f"{ENTERPRISE_USER}:"):
        shown = as_dict(USER, row({"userName": text}), NOTHING, BASE)
        assert shown["schemas"] == [USER.schema.urn]
        assert shown["userName"] == text


@pytest.mark.req("S15")
def test_what_is_derived_joins_the_document() -> None:
    group = {"value": "g", "display": "Staff", "type": "direct"}
    key = {"value": "k", "state": "active"}
    shown = as_dict(USER, row({"userName": "ann"}), Derived({7: [group]}, {7: [key]}, {}), BASE)
    assert shown["groups"] == [group]
    assert shown[KEYWRIGHT_USER] == {"securityKeys": [key]}
    assert shown["schemas"] == [USER.schema.urn, KEYWRIGHT_USER]
    shown = as_dict(GROUP, row({"displayName": "Staff"}), Derived({}, {}, {7: [key]}), BASE)
    assert shown["members"] == [key]
    assert shown["meta"]["version"] == 'W/"3"'


@pytest.mark.req("P18")
@pytest.mark.parametrize(
    ("header", "version", "allowed"),
    [
        ('W/"3"', 3, True),
        ('"3"', 3, True),
        ("*", 3, True),
        ('W/"3.ab12"', 3, True),
        ('W/"1", W/"3"', 3, True),
        ('W/"33"', 3, False),
        ('W/"stale"', 3, False),
        ("", 3, False),
        ('W/"4.3"', 3, False),
    ],
)
def test_a_tag_allows_a_write_by_the_version_in_it(
    header: str, version: int, allowed: bool
) -> None:
    assert etag_matches(header, version) is allowed


def test_nothing_is_loaded_for_no_rows() -> None:
    assert render(USER, [], projection(USER), Connection(id=1), BASE) == []
