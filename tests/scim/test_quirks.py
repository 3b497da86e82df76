# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Each leniency alone: what it allows, that it is counted, and what happens without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from provisioning.errors import InvalidValue, KeywrightError
from scim.errors import Immutable, InvalidPath, InvalidSyntax, NoTarget
from scim.members import Change, MemberChange
from scim.operations import URN, parse_operations
from scim.patch import apply
from scim.quirks import PROFILES, Dialect, Profile, Quirk
from scim.resource_types import CORE_GROUP, CORE_USER, ENTERPRISE_USER, GROUP, USER
from scim.schema import ResourceType
from scim.values import clean_document

ANN = {"schemas": [CORE_USER], "userName": "ann"}
STORED: dict[str, Any] = {
    "userName": "ann",
    "active": True,
    "emails": [{"value": "a@b.example", "type": "home"}],
}


@dataclass(frozen=True)
class Case:
    """What a client sends, what it means, and what the core says to it without the flag.

    `without` is an error, or what it means then.
    """

    sent: dict[str, Any]
    means: Any
    without: Any
    type: ResourceType = USER


def op(name: str, path: str | None = None, value: Any = None) -> dict[str, Any]:
    made = {"op": name, "value": value}
    return {"schemas": [URN], "Operations": [made if path is None else {**made, "path": path}]}


def enterprise(**parts: Any) -> dict[str, Any]:
    return {"userName": "ann", ENTERPRISE_USER: parts}


CASES: dict[Quirk, list[Case]] = {
    Quirk.OPERATION_CASE: [
        Case(op("Replace", "title", "Nurse"), {**STORED, "title": "Nurse"}, InvalidSyntax),
        Case(op("ADD", "title", "Nurse"), {**STORED, "title": "Nurse"}, InvalidSyntax),
    ],
    Quirk.BOOLEAN_STRINGS: [
        Case({**ANN, "active": "False"}, {"userName": "ann", "active": False}, InvalidValue),
        Case({**ANN, "active": "TRUE"}, {"userName": "ann", "active": True}, InvalidValue),
        Case(
            {**ANN, "roles": [{"value": "r", "primary": "True"}]},
            {"userName": "ann", "roles": [{"value": "r", "primary": True}]},
            InvalidValue,
        ),
        Case(op("replace", "active", "False"), {**STORED, "active": False}, InvalidValue),
    ],
    Quirk.EMPTY_STRINGS: [
        Case({**ANN, "title": ""}, {"userName": "ann"}, {"userName": "ann", "title": ""}),
        Case({**ANN, "name": ""}, {"userName": "ann"}, InvalidValue),
        Case({**ANN, "emails": ""}, {"userName": "ann"}, InvalidValue),
        Case(
            op("replace", 'emails[type eq "home"].value', ""),
            {"userName": "ann", "active": True},
            {**STORED, "emails": [{"value": "", "type": "home"}]},
        ),
    ],
    Quirk.LISTED_REMOVALS: [
        Case(
            op("remove", "members", [{"$ref": None, "value": "a"}, {"value": "b"}]),
            MemberChange(Change.REMOVE, ("a", "b")),
            InvalidValue,
            GROUP,
        ),
        Case(
            op("remove", "members", []),
            MemberChange(Change.REMOVE),
            MemberChange(Change.REPLACE),
            GROUP,
        ),
        Case(
            op("remove", "emails", [{"value": "A@b.example", "type": "home"}]),
            {"userName": "ann", "active": True},
            InvalidValue,
        ),
        Case(
            op("remove", "emails", [{"value": "a@b.example", "type": "work"}]), STORED, InvalidValue
        ),
    ],
    Quirk.BARE_VALUES: [
        Case(
            {**ANN, ENTERPRISE_USER: {"manager": "m1"}},
            enterprise(manager={"value": "m1"}),
            InvalidValue,
        ),
        Case(
            {**ANN, "emails": ["x@y.example"]},
            {"userName": "ann", "emails": [{"value": "x@y.example"}]},
            InvalidValue,
        ),
        Case(
            {**ANN, "emails": "x@y.example"},
            {"userName": "ann", "emails": [{"value": "x@y.example"}]},
            InvalidValue,
        ),
        Case(op("add", "members", ["a"]), MemberChange(Change.ADD, ("a",)), InvalidValue, GROUP),
    ],
    Quirk.WRAPPED_VALUES: [
        Case(
            {**ANN, ENTERPRISE_USER: {"manager": [{"value": "m1"}]}},
            enterprise(manager={"value": "m1"}),
            InvalidValue,
        ),
        Case(
            op("replace", "title", [{"$ref": None, "value": "Nurse"}]),
            {**STORED, "title": "Nurse"},
            InvalidValue,
        ),
    ],
    Quirk.UNWRAPPED_LISTS: [
        Case(
            {**ANN, "emails": {"value": "x@y.example"}},
            {"userName": "ann", "emails": [{"value": "x@y.example"}]},
            InvalidValue,
        ),
    ],
    Quirk.FLAT_ENTERPRISE: [
        Case(
            {**ANN, "department": "Ward 3", "Manager": {"value": "m1"}},
            enterprise(department="Ward 3", manager={"value": "m1"}),
            {"userName": "ann"},
        ),
        Case(
            {**ANN, "division": "x", ENTERPRISE_USER: {"division": "y", "department": "d"}},
            enterprise(division="y", department="d"),
            enterprise(division="y", department="d"),
        ),
        Case(
            op("replace", "department", "W"),
            {**STORED, ENTERPRISE_USER: {"department": "W"}},
            InvalidPath,
        ),
        Case(
            op("replace", None, {"department": "W"}),
            {**STORED, ENTERPRISE_USER: {"department": "W"}},
            STORED,
        ),
    ],
    Quirk.MANAGER_ID: [
        Case(
            {**ANN, "managerId": {"value": "m1"}},
            enterprise(manager={"value": "m1"}),
            {"userName": "ann"},
        ),
    ],
    Quirk.QUALIFIED_KEYS: [
        Case(
            {**ANN, f"{ENTERPRISE_USER}:employeeNumber": "7", f"{CORE_USER}:title": "Nurse"},
            {**enterprise(employeeNumber="7"), "title": "Nurse"},
            InvalidSyntax,
        ),
        Case(
            {**ANN, f"{ENTERPRISE_USER}:division": "x", ENTERPRISE_USER: {"department": "d"}},
            enterprise(division="x", department="d"),
            InvalidSyntax,
        ),
    ],
    Quirk.MISSPELT_URN: [
        Case(
            {
                "schemas": [CORE_USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"],
                "userName": "ann",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0User": {"department": "W"},
            },
            enterprise(department="W"),
            InvalidValue,
        ),
        Case(
            op("add", "urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department", "W"),
            {**STORED, ENTERPRISE_USER: {"department": "W"}},
            InvalidPath,
        ),
    ],
    Quirk.UNKNOWN_SCHEMAS: [
        Case(
            {
                "schemas": [CORE_GROUP, "http://schemas.microsoft.com/2006/11/X/2.0/Group"],
                "displayName": "Staff",
            },
            {"displayName": "Staff"},
            InvalidValue,
            GROUP,
        ),
    ],
    Quirk.MISSING_SCHEMAS: [
        Case({"userName": "ann"}, {"userName": "ann"}, InvalidSyntax),
        Case({"schemas": [], "userName": "ann"}, {"userName": "ann"}, InvalidSyntax),
        Case({"schemas": [ENTERPRISE_USER], "userName": "ann"}, {"userName": "ann"}, InvalidValue),
        Case(
            {"Operations": [{"op": "add", "path": "title", "value": "Nurse"}]},
            {**STORED, "title": "Nurse"},
            InvalidSyntax,
        ),
    ],
    Quirk.UNKNOWN_SCHEMA_PATHS: [
        Case(op("add", "urn:example:Custom:2.0:User:badge", "7"), STORED, InvalidPath),
    ],
    Quirk.READ_ONLY_IN_VALUE: [
        Case(
            op("replace", None, {"title": "Nurse", "groups": [], "meta": {}}),
            {**STORED, "title": "Nurse"},
            Immutable,
        ),
    ],
    Quirk.UPSERT_ON_REPLACE: [
        Case(
            op("replace", 'phoneNumbers[type eq "work"].value', "1"),
            {**STORED, "phoneNumbers": [{"type": "work", "value": "1"}]},
            NoTarget,
        ),
    ],
    Quirk.MANY_PRIMARIES: [
        Case(
            {**ANN, "emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}]},
            {
                "userName": "ann",
                "emails": [{"value": "a", "primary": True}, {"value": "b", "primary": False}],
            },
            InvalidValue,
        ),
    ],
}


def read(case: Case, dialect: Dialect) -> Any:
    if "Operations" not in case.sent:
        return clean_document(case.type, case.sent, dialect)
    stored = STORED if case.type is USER else {"displayName": "Staff"}
    operations = parse_operations(case.type, case.sent, "ann-1", dialect)
    patched = apply(stored, operations, dialect)
    return patched.members[0] if patched.members else patched.document


def test_every_flag_has_a_case() -> None:
    # That one asks the database who is there: tests/scim/test_bulk_merges.py holds it.
    assert set(CASES) == set(Quirk) - {Quirk.REPEATED_POSTS}


@pytest.mark.req("P22")
@pytest.mark.req("R8")
@pytest.mark.parametrize(
    ("quirk", "case"),
    [
        pytest.param(quirk, case, id=f"{quirk}-{place}")
        for quirk, cases in CASES.items()
        for place, case in enumerate(cases)
    ],
)
def test_a_flag_alone_allows_its_leniency(quirk: Quirk, case: Case) -> None:
    dialect = Dialect(Profile("one", frozenset({quirk})))
    assert read(case, dialect) == case.means
    assert set(dialect.used) == {quirk}

    strict = Dialect(PROFILES["strict"])
    if isinstance(case.without, type) and issubclass(case.without, KeywrightError):
        with pytest.raises(case.without):
            read(case, strict)
    else:
        assert read(case, strict) == case.without
    assert not strict.used

    assert read(case, Dialect(PROFILES["tolerant"])) == case.means


def test_the_tolerant_profile_has_every_flag_and_the_strict_one_none() -> None:
    assert PROFILES["tolerant"].quirks == frozenset(Quirk)
    assert PROFILES["strict"].quirks == frozenset()
    assert {"entra", "okta", "onelogin"} < set(PROFILES)


@pytest.mark.req("R4")
@pytest.mark.parametrize(
    "twice",
    [
        {"USERNAME": "ann", f"{CORE_USER}:userName": "bob"},
        {"title": "a", f"{CORE_USER.upper()}:TITLE": "a"},
        {f"{ENTERPRISE_USER}:division": "x", ENTERPRISE_USER: {"Division": "y"}},
        {f"{ENTERPRISE_USER}:division": "x", "division": "y"},
        {"userName": "ann", ENTERPRISE_USER: {}, f"{ENTERPRISE_USER[:-5]}user": {}},
    ],
)
def test_an_attribute_by_two_names_is_there_twice(twice: dict[str, object]) -> None:
    with pytest.raises(InvalidSyntax, match="twice"):
        clean_document(USER, {**ANN, **twice}, Dialect(PROFILES["tolerant"]))


@pytest.mark.req("R9")
def test_what_no_schema_knows_is_left_out_and_counted() -> None:
    dialect = Dialect(PROFILES["tolerant"])
    body = {
        **ANN,
        "shoeSize": 42,
        "name": {"nick": "A"},
        ENTERPRISE_USER: {"desk": "7"},
        "urn:example:Custom:2.0:User": {"badge": "9"},
        "urn:example:x:y": 1,
    }
    assert clean_document(USER, body, dialect) == {"userName": "ann"}
    assert set(dialect.unknown) == {
        "shoeSize",
        "name.nick",
        f"{ENTERPRISE_USER}:desk",
        "urn:example:Custom:2.0:User",
        "urn:example:x:y",
    }


@pytest.mark.req("R8")
@pytest.mark.parametrize("value", ["no", "yes", "1", "0", 0, 1, [], {}, [True, False], "f"])
def test_nothing_else_is_a_boolean(value: Any) -> None:
    dialect = Dialect(PROFILES["tolerant"])
    if value in ([], {}) and not isinstance(value, int):  # no value at all (RFC 7643 §2.5)
        assert clean_document(USER, {**ANN, "active": value}, dialect) == {"userName": "ann"}
        return
    with pytest.raises(InvalidValue):
        clean_document(USER, {**ANN, "active": value}, dialect)
