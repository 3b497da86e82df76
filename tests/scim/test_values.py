# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What clients send, checked against the tables."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.errors import InvalidValue
from scim.errors import InvalidSyntax
from scim.quirks import PROFILES, Dialect
from scim.resource_types import CORE_GROUP, CORE_USER, ENTERPRISE_USER, GROUP, KEYWRIGHT_USER, USER
from scim.schema import Attribute, Type
from scim.values import clean, clean_document

STRICT = PROFILES["strict"]


def document(**attributes: Any) -> dict[str, Any]:
    body = {"schemas": [CORE_USER, ENTERPRISE_USER], "userName": "ann", **attributes}
    return clean_document(USER, body, Dialect(STRICT))


@pytest.mark.req("S2")
def test_names_and_urns_are_taken_in_any_case_and_stored_as_the_schema_has_them() -> None:
    body = {
        "SCHEMAS": [CORE_USER.upper()],
        "USERNAME": "ann",
        "NAME": {"GIVENNAME": "Ann"},
        "Emails": [{"VALUE": "a@b.example", "Primary": True}],
        ENTERPRISE_USER.lower(): {"DEPARTMENT": "W"},
    }
    assert clean_document(USER, body, Dialect(STRICT)) == {
        "userName": "ann",
        "name": {"givenName": "Ann"},
        "emails": [{"value": "a@b.example", "primary": True}],
        ENTERPRISE_USER: {"department": "W"},
    }


@pytest.mark.req("S4")
@pytest.mark.req("S18")
@pytest.mark.req("R9")
def test_what_the_client_may_not_write_is_left_out() -> None:
    assert document(
        id="x",
        meta={"resourceType": "User"},
        groups=[{"value": "g"}],
        password="secret",
        **{
            KEYWRIGHT_USER: {"securityKeys": [{"value": "k"}]},
            ENTERPRISE_USER: {"manager": {"value": "m", "displayName": "Boss"}},
        },
    ) == {"userName": "ann", ENTERPRISE_USER: {"manager": {"value": "m"}}}


@pytest.mark.req("S9")
@pytest.mark.parametrize("nothing", [None, [], {}])
def test_null_and_empty_are_no_value(nothing: Any) -> None:
    assert document(
        title=nothing, emails=nothing, name=nothing, **{ENTERPRISE_USER: {"department": nothing}}
    ) == {"userName": "ann"}
    assert document(emails=[None, {}, {"value": None}]) == {"userName": "ann"}


@pytest.mark.req("R8")
@pytest.mark.parametrize(
    "attributes",
    [
        {"userName": 1},
        {"userName": ["ann"]},
        {"userName": {"value": "ann"}},
        {"userName": None},
        {"externalId": 1},
        {"externalId": True},
        {"active": "no"},
        {"active": 0},
        {"title": 1.5},
        {"name": "Ann"},
        {"name": ["Ann"]},
        {"name": {"givenName": 1}},
        {"emails": [[]]},
        {"emails": {"value": "x"}},
        {"emails": [{"value": ["x"]}]},
        {"emails": ["x"]},
        {"emails": [{"value": "x", "primary": "yes"}]},
        {ENTERPRISE_USER: "W"},
        {ENTERPRISE_USER: ["W"]},
        {"x509Certificates": [{"value": "no base64!"}]},
    ],
)
def test_a_value_of_another_type_is_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        document(**attributes)


@pytest.mark.req("S3")
@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (Type.INTEGER, [0, -5, 2**62], [True, 1.5, "1"]),
        (Type.DECIMAL, [0, 1.5], [True, "1.5"]),
        (
            Type.DATE_TIME,
            ["2026-11-23T09:15:00Z", "2026-11-23T09:15:00.1234567+05:30", "2026-11-23T09:15:00"],
            ["yesterday", 5, "2026-13-01T00:00:00Z", "2026-11-23"],
        ),
        (Type.BINARY, ["aGVsbG8=", "-_-_"], ["a b", 1]),
        (Type.REFERENCE, ["https://a.example"], [1]),
        (Type.BOOLEAN, [True, False], ["true", 1, "x"]),
    ],
)
def test_every_type_of_the_standard_is_known(
    type_: Type, good: list[object], bad: list[object]
) -> None:
    attribute = Attribute("x", "A test's attribute.", type_)
    for value in good:
        assert clean(attribute, value, Dialect(STRICT)) == value
    for value in bad:
        with pytest.raises(InvalidValue):
            clean(attribute, value, Dialect(STRICT))


@pytest.mark.req("S8")
def test_canonical_values_are_hints() -> None:
    emails = [{"value": "a@b.example", "type": "pager"}]
    assert document(emails=emails)["emails"] == emails


@pytest.mark.req("S10")
@pytest.mark.req("S11")
def test_twins_are_joined_and_one_element_at_most_is_primary() -> None:
    assert document(
        emails=[
            {"value": "A@b.example", "type": "work"},
            {"value": "a@B.example", "type": "WORK", "primary": True},
            {"value": "a@b.example", "type": "home"},
        ]
    )["emails"] == [
        {"value": "a@B.example", "type": "WORK", "primary": True},
        {"value": "a@b.example", "type": "home"},
    ]
    with pytest.raises(InvalidValue):
        document(emails=[{"value": "a", "primary": True}, {"value": "b", "primary": True}])


@pytest.mark.req("S11")
@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ({"type": Type.INTEGER}, [1, 2]),
        ({"type": Type.BOOLEAN}, [True, False]),
        ({"type": Type.STRING, "multi_valued": True}, [["x"], ["y"]]),
    ],
)
@pytest.mark.parametrize("name", ["type", "value"])
def test_elements_that_differ_in_what_is_no_text_are_no_twins(
    name: str, kind: dict[str, Any], parts: list[object]
) -> None:
    other = "value" if name == "type" else "type"
    subs = (Attribute(name, "", **kind), Attribute(other, ""))
    wards = Attribute("wards", "", Type.COMPLEX, multi_valued=True, sub_attributes=subs)
    elements = [{other: "a", name: part} for part in parts]
    found = clean(wards, [*elements, dict(elements[0])], Dialect(STRICT))
    assert found == elements


@pytest.mark.req("S6")
def test_what_is_required_is_missed() -> None:
    with pytest.raises(InvalidValue, match="userName"):
        clean_document(USER, {"schemas": [CORE_USER]}, Dialect(STRICT))
    with pytest.raises(InvalidValue, match="displayName"):
        clean_document(GROUP, {"schemas": [CORE_GROUP], "displayName": None}, Dialect(STRICT))


@pytest.mark.req("S12")
@pytest.mark.parametrize("schemas", ["x", [1], {"a": 1}, 5])
def test_schemas_is_a_list_of_texts(schemas: Any) -> None:
    with pytest.raises(InvalidSyntax):
        clean_document(USER, {"schemas": schemas, "userName": "ann"}, Dialect(PROFILES["tolerant"]))
