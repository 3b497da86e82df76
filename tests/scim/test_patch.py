# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""PATCH on documents: every path form, atomic, in order (RFC 7644 §3.5.2)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import EnterpriseUser, PatchOp, SCIMException, ScimPolicy, User

import scim.patch
from provisioning.errors import InvalidValue, KeywrightError
from scim.errors import Immutable, InvalidFilter, InvalidPath, InvalidSyntax, NoTarget, TooLarge
from scim.members import MAX_READINGS, Change, MemberChange, joined
from scim.operations import MAX_OPERATIONS, URN, parse_operations
from scim.patch import Patched, apply
from scim.quirks import PROFILES, Dialect
from scim.resource_types import ENTERPRISE_USER, GROUP, KEYWRIGHT_USER, USER
from scim.schema import ResourceType
from tests.scim.samples import CORE, EXAMPLES, documents, word

ANN: dict[str, Any] = {
    "userName": "ann",
    "active": True,
    "displayName": "Ann",
    "name": {"familyName": "Lee", "givenName": "Ann"},
    "emails": [
        {"type": "work", "value": "ann@example.com", "primary": True},
        {"type": "home", "value": "ann@home.example"},
    ],
    ENTERPRISE_USER: {"department": "Ward 3", "manager": {"value": "m1"}},
}


def patch(
    *operations: dict[str, Any],
    document: dict[str, Any] = ANN,
    profile: str = "strict",
    type_: ResourceType = USER,
) -> Patched:
    before = copy.deepcopy(document)
    dialect = Dialect(PROFILES[profile])
    body = {"schemas": [URN], "Operations": list(operations)}
    try:
        return apply(document, parse_operations(type_, body, "ann-1", dialect), dialect)
    finally:
        assert document == before


def op(name: str, path: str | None = None, value: Any = ...) -> dict[str, Any]:
    made: dict[str, Any] = {"op": name}
    if path is not None:
        made["path"] = path
    if value is not ...:
        made["value"] = value
    return made


def changed(*operations: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return what differs from Ann: None for what is gone."""
    document = patch(*operations, **options).document
    return {
        name: document.get(name)
        for name in {*ANN, *document}
        if document.get(name) != ANN.get(name)
    }


@pytest.mark.req("P12")
@pytest.mark.parametrize(
    ("operation", "difference"),
    [
        (op("add", "title", "Nurse"), {"title": "Nurse"}),
        (op("add", "TITLE", "Nurse"), {"title": "Nurse"}),
        (op("replace", "displayName", "Annie"), {"displayName": "Annie"}),
        (op("replace", f"{CORE}:displayName", "Annie"), {"displayName": "Annie"}),
        (op("remove", "displayName"), {"displayName": None}),
        (op("replace", "displayName", None), {"displayName": None}),
        (op("add", "displayName", None), {}),
        (op("remove", "nickName"), {}),
        (
            op("replace", "name.givenName", "Anna"),
            {"name": {"familyName": "Lee", "givenName": "Anna"}},
        ),
        (
            op("add", "name", {"middleName": "M"}),
            {"name": {"familyName": "Lee", "givenName": "Ann", "middleName": "M"}},
        ),
        (
            op("replace", "name", {"givenName": "Anna"}),
            {"name": {"familyName": "Lee", "givenName": "Anna"}},
        ),
        (op("remove", "name.givenName"), {"name": {"familyName": "Lee"}}),
        (op("remove", "name"), {"name": None}),
        (
            op("replace", "emails", [{"value": "x@example.com"}]),
            {"emails": [{"value": "x@example.com"}]},
        ),
        (op("replace", "emails", []), {"emails": None}),
        (op("remove", "emails"), {"emails": None}),
        (op("add", "emails", [{"type": "work", "value": "ANN@example.com"}]), {}),
        (
            op("add", "emails", [{"type": "work", "value": "ANN@example.com", "display": "A"}]),
            {"emails": [{**ANN["emails"][0], "display": "A"}, ANN["emails"][1]]},
        ),
        (op("add", "emails", [ANN["emails"][0]]), {}),
        (op("remove", 'emails[type eq "home"]'), {"emails": [ANN["emails"][0]]}),
        (op("remove", "emails[type pr]"), {"emails": None}),
        (op("remove", 'emails[type eq "pager"]'), {}),
        (
            op("remove", 'emails[type eq "work"].primary'),
            {"emails": [{"type": "work", "value": "ann@example.com"}, ANN["emails"][1]]},
        ),
        (op("remove", 'emails[type eq "home"].value'), {"emails": [ANN["emails"][0]]}),
        (op("remove", 'emails[type eq "home"].display'), {}),
        (
            op("replace", 'emails[type eq "home"].value', "new@home.example"),
            {"emails": [ANN["emails"][0], {"type": "home", "value": "new@home.example"}]},
        ),
        (
            op("replace", 'emails[type eq "home" and value co "home"]', {"display": "H"}),
            {"emails": [ANN["emails"][0], {**ANN["emails"][1], "display": "H"}]},
        ),
        (
            op("add", 'addresses[type eq "work"].country', "US"),
            {"addresses": [{"type": "work", "country": "US"}]},
        ),
        (
            op("replace", f"{ENTERPRISE_USER}:department", "Ward 4"),
            {ENTERPRISE_USER: {"department": "Ward 4", "manager": {"value": "m1"}}},
        ),
        (
            op("replace", f"{ENTERPRISE_USER}:manager.value", "m2"),
            {ENTERPRISE_USER: {"department": "Ward 3", "manager": {"value": "m2"}}},
        ),
        (op("remove", f"{ENTERPRISE_USER}:manager"), {ENTERPRISE_USER: {"department": "Ward 3"}}),
        (op("remove", ENTERPRISE_USER), {ENTERPRISE_USER: None}),
        (
            op("add", ENTERPRISE_USER.lower(), {"costCenter": "7"}),
            {ENTERPRISE_USER: {**ANN[ENTERPRISE_USER], "costCenter": "7"}},
        ),
        (
            op("replace", None, {"displayName": "Annie", ENTERPRISE_USER: {"division": "D"}}),
            {"displayName": "Annie", ENTERPRISE_USER: {**ANN[ENTERPRISE_USER], "division": "D"}},
        ),
        (
            op("add", None, {"emails": [{"value": "third@example.com"}]}),
            {"emails": [*ANN["emails"], {"value": "third@example.com"}]},
        ),
        (op("replace", "", {"title": "Nurse"}), {"title": "Nurse"}),
        (op("replace", "active", False), {"active": False}),
        (op("replace", "password", "secret"), {}),
        (op("replace", "id", "ann-1"), {}),
        (op("add", "schemas", [ENTERPRISE_USER]), {}),
    ],
)
def test_an_operation_changes_its_target_only(
    operation: dict[str, Any], difference: dict[str, Any]
) -> None:
    assert changed(operation) == difference


@pytest.mark.req("P14")
def test_keys_of_a_value_without_a_path_may_be_paths() -> None:
    assert changed(
        op(
            "replace",
            None,
            {
                "name.familyName": "Li",
                'emails[type eq "home"].value': "a@b.example",
                f"{ENTERPRISE_USER}:employeeNumber": "7",
            },
        )
    ) == {
        "name": {"familyName": "Li", "givenName": "Ann"},
        "emails": [ANN["emails"][0], {"type": "home", "value": "a@b.example"}],
        ENTERPRISE_USER: {**ANN[ENTERPRISE_USER], "employeeNumber": "7"},
    }


@pytest.mark.req("S12")
def test_an_extension_is_there_exactly_while_it_holds_something() -> None:
    bare = {"userName": "ann", "active": True}
    added = patch(op("add", f"{ENTERPRISE_USER}:division", "D"), document=bare).document
    assert added == {**bare, ENTERPRISE_USER: {"division": "D"}}
    assert patch(op("remove", f"{ENTERPRISE_USER}:division"), document=added).document == bare


@pytest.mark.req("S10")
def test_making_one_element_primary_unmarks_the_others() -> None:
    for operation in (
        op("replace", 'emails[type eq "home"].primary', True),
        op("replace", 'emails[type eq "home"]', {"primary": True}),
        op("add", 'emails[type eq "home"]', {"primary": True}),
        op("add", "emails", [{**ANN["emails"][1], "primary": True}]),
        op("add", "emails", [{"value": "n@example.com", "primary": True}]),
    ):
        emails = changed(operation)["emails"]
        assert [each.get("primary") for each in emails].count(True) == 1
        assert emails[0]["primary"] is False


@pytest.mark.req("P12")
@pytest.mark.req("R10")
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (op("remove"), NoTarget),
        (op("remove", ""), NoTarget),
        (op("replace", 'emails[type eq "pager"].value', "1"), NoTarget),
        (op("replace", 'emails[value eq "x"]', {"value": "y"}), NoTarget),
        (op("add", 'emails[not (type eq "x")]', {"value": "y"}), Immutable),
        (op("remove", "userName"), Immutable),
        (op("replace", "userName", None), Immutable),
        (op("replace", "id", "other"), Immutable),
        (op("replace", None, {"id": "other"}), Immutable),
        (op("replace", "meta.version", "1"), Immutable),
        (op("remove", "groups"), Immutable),
        (op("add", "groups", [{"value": "x"}]), Immutable),
        (op("add", f"{KEYWRIGHT_USER}:securityKeys", [{"value": "x"}]), Immutable),
        (op("remove", KEYWRIGHT_USER), Immutable),
        (op("replace", None, {"groups": []}), Immutable),
        (op("add", "favouriteColour", "red"), InvalidPath),
        (op("add", "name.colour", "red"), InvalidPath),
        (op("add", "emails[type eq", "red"), InvalidPath),
        (op("add", 'emails[type eq "x"].colour', "red"), InvalidPath),
        (op("add", 'emails[colour eq "x"].value', "red"), InvalidFilter),
        (op("add", "emails[type eq].value", "red"), InvalidFilter),
        (op("add", 'name[givenName eq "x"].familyName', "red"), InvalidPath),
        (op("add", 'displayName[type eq "x"]', "red"), InvalidPath),
        (op("add", 'emails.value[type eq "x"]', "red"), InvalidPath),
        (op("add", "urn:example:Custom:colour", "red"), InvalidPath),
        (op("add", "x" * 5_000, "red"), InvalidPath),
        (op("add", "emails[" + "(" * 13 + "type pr" + ")" * 13 + "]", {}), InvalidFilter),
        (op("replace", "active", "yes"), InvalidValue),
        (op("replace", "active", 0), InvalidValue),
        (op("replace", "displayName", 1), InvalidValue),
        (op("replace", "displayName", ["x"]), InvalidValue),
        (op("replace", "emails", "x"), InvalidValue),
        (op("replace", "emails", [1]), InvalidValue),
        (op("replace", "emails", [{"value": 1}]), InvalidValue),
        (op("replace", "name", "x"), InvalidValue),
        (
            op(
                "replace",
                "emails",
                [{"value": "a", "primary": True}, {"value": "b", "primary": True}],
            ),
            InvalidValue,
        ),
        (op("replace", ENTERPRISE_USER, "x"), InvalidValue),
        (op("add", None, "x"), InvalidValue),
        (op("add", "title"), InvalidValue),
        (op("add", 'emails[type eq "x"]', {"type": "y", "value": "v"}), InvalidValue),
        (op("copy", "title", "x"), InvalidSyntax),
        (op("Add", "title", "x"), InvalidSyntax),
        ({"op": "add", "path": 1, "value": "x"}, InvalidSyntax),
        ({"path": "title", "value": "x"}, InvalidSyntax),
    ],
)
def test_a_wrong_operation_is_refused_and_the_ones_before_it_too(
    operation: dict[str, Any], error: type[KeywrightError]
) -> None:
    if error is Immutable and "not (" in str(operation.get("path")):
        # the filter selects something here, so the value is merged; nothing to refuse
        assert patch(operation).document
        return
    with pytest.raises(error):
        patch(op("replace", "displayName", "changed"), operation)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"schemas": [URN]},
        {"schemas": [URN], "Operations": []},
        {"schemas": [URN], "Operations": {}},
        {"schemas": [URN], "Operations": [1]},
        {"schemas": [CORE], "Operations": [op("add", "title", "x")]},
        {"Operations": [op("add", "title", "x")]},
        {"schemas": "x", "Operations": [op("remove", "title")]},
    ],
)
def test_a_body_that_is_no_patch_is_a_syntax_error(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidSyntax):
        parse_operations(USER, body, "ann-1", Dialect(PROFILES["strict"]))


def test_names_in_the_message_compare_without_case() -> None:
    body = {"SCHEMAS": [URN.upper()], "operations": [{"OP": "add", "Path": "title", "VALUE": "x"}]}
    assert len(parse_operations(USER, body, "ann-1", Dialect(PROFILES["strict"]))) == 1


@pytest.mark.req("R6")
def test_a_patch_takes_so_many_operations() -> None:
    with pytest.raises(TooLarge):
        patch(*[op("remove", "title")] * (MAX_OPERATIONS + 1))


@pytest.mark.req("P12")
def test_operations_follow_one_another() -> None:
    assert changed(
        op("add", 'phoneNumbers[type eq "work"].value', "1"),
        op("replace", 'phoneNumbers[type eq "work"].value', "2"),
        op("add", "phoneNumbers", [{"type": "home", "value": "3"}]),
        op("remove", 'phoneNumbers[type eq "work"]'),
    ) == {"phoneNumbers": [{"type": "home", "value": "3"}]}


GROUP_DOCUMENT = {"displayName": "Staff"}


def members(*operations: dict[str, Any], profile: str = "strict") -> tuple[MemberChange, ...]:
    return patch(*operations, document=GROUP_DOCUMENT, profile=profile, type_=GROUP).members


@pytest.mark.req("P12")
@pytest.mark.parametrize(
    ("operation", "change"),
    [
        (
            op("add", "members", [{"value": "a"}, {"value": "b", "$ref": None}]),
            MemberChange(Change.ADD, ("a", "b")),
        ),
        (op("add", "members", {"value": "a"}), MemberChange(Change.ADD, ("a",))),
        (op("add", None, {"members": [{"value": "a"}]}), MemberChange(Change.ADD, ("a",))),
        (op("replace", "members", [{"value": "a"}]), MemberChange(Change.REPLACE, ("a",))),
        (op("replace", "members", []), MemberChange(Change.REPLACE)),
        (op("replace", "members", None), MemberChange(Change.REPLACE)),
        (op("remove", "members"), MemberChange(Change.REPLACE)),
        (op("remove", 'members[value eq "a"]'), MemberChange(Change.REMOVE, ("a",))),
        (
            op("remove", 'MEMBERS[VALUE EQ "a" or value eq "b"]'),
            MemberChange(Change.REMOVE, ("a", "b")),
        ),
    ],
)
def test_operations_on_members_come_out_as_changes_of_rows(
    operation: dict[str, Any], change: MemberChange
) -> None:
    patched = patch(operation, document=GROUP_DOCUMENT, type_=GROUP)
    assert patched.members == (change,)
    assert patched.document == GROUP_DOCUMENT


def test_an_odd_filter_on_members_is_kept_for_reading_them() -> None:
    (change,) = members(op("remove", 'members[type eq "Group"]'))
    assert change.change is Change.REMOVE_MATCHING


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", 'members[value eq "a"].value', "b"),
        op("add", "members.display", "x"),
        op("replace", 'members[value eq "a"]', {"value": "b"}),
        op("remove", 'members[value eq "a"].value'),
        op("remove", "members.value"),
        op("remove", "members.value", "a"),
        op("replace", "members.value", "a"),
        op("replace", "members.value", {"value": "a"}),
        op("add", "members.value", "a"),
    ],
)
def test_a_member_is_never_rewritten(operation: dict[str, Any]) -> None:
    with pytest.raises(Immutable):
        members(operation)


@pytest.mark.parametrize("value", ["a", 1, [1], [{}], [{"value": 1}], [{"value": ""}], [["a"]]])
def test_a_member_without_an_id_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        members(op("add", "members", value))


# One address for each type and mark: the oracle adds a twin that differs in its mark, we do not.
_email = st.builds(
    lambda type_, mark: {
        "value": f"{type_}-{mark}@example.com",
        "type": type_,
        **({} if mark is None else {"primary": mark}),
    },
    st.sampled_from(["work", "home"]),
    st.sampled_from([None, True, False]),
)
_PLAIN = ["title", "nickName", "displayName", "name.givenName", f"{ENTERPRISE_USER}:department"]
# The oracle holds manager.value for required, which RFC 7643 §8.7.1 does not.
_plain = st.sampled_from([*_PLAIN, f"{ENTERPRISE_USER}:manager.value"])
_selected = st.sampled_from(
    [
        'emails[type eq "work"]',
        'emails[value co "bob"]',
        'phoneNumbers[type eq "mobile"]',
        'phoneNumbers[value eq "1"]',
    ]
)
_operations = st.one_of(
    st.builds(op, st.sampled_from(["add", "replace"]), _plain, word),
    st.builds(
        op,
        st.just("remove"),
        st.one_of(
            st.sampled_from(_PLAIN),
            _selected,
            st.sampled_from(
                ["emails", "name", "phoneNumbers", ENTERPRISE_USER, 'emails[type eq "work"].type']
            ),
        ),
    ),
    st.builds(
        op,
        st.sampled_from(["add", "replace"]),
        st.just("emails"),
        _email.map(lambda email: [email]),
    ),
    st.builds(
        lambda name, path, value: op(name, f"{path}.type", value),
        st.sampled_from(["add", "replace"]),
        _selected,
        st.sampled_from(["other", "fax"]),
    ),
    st.builds(
        op,
        st.sampled_from(["add", "replace"]),
        st.none(),
        st.fixed_dictionaries(
            {},
            optional={
                "title": word,
                "name.familyName": word,
                "active": st.booleans(),
                f"{ENTERPRISE_USER}:division": word,
            },
        ),
    ),
    st.builds(
        op,
        st.just("replace"),
        st.just("name"),
        st.fixed_dictionaries({"givenName": word}, optional={"familyName": word}),
    ),
)


def _settled(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: `primary: false`, order, case, and twins."""
    plain = {}
    for name, value in document.items():
        if name == "schemas":
            continue
        if isinstance(value, list):
            joined: dict[str, dict[str, Any]] = {}
            for element in value:
                kept = {
                    n: part.lower() if n in ("type", "value") else part
                    for n, part in element.items()
                    if (n, part) != ("primary", False)
                }
                twin = str(sorted((n, part) for n, part in kept.items() if n != "primary"))
                joined[twin] = {**joined.get(twin, {}), **kept}
            value = [joined[twin] for twin in sorted(joined)]
        if value not in ({}, [], None):
            plain[name] = value
    return plain


@pytest.mark.req("P12")
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(document=documents, operations=st.lists(_operations, min_size=1, max_size=4))
def test_patching_agrees_with_an_independent_reading(
    document: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    model = User[EnterpriseUser].model_validate({"schemas": [CORE, ENTERPRISE_USER], **document})
    message = {"schemas": [URN], "Operations": copy.deepcopy(operations)}
    expected: Any
    try:
        with ScimPolicy(unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create):
            PatchOp[User[EnterpriseUser]].model_validate(message).patch(model)
        expected = _settled(model.model_dump())
    except SCIMException as error:
        expected = type(error).__name__
    try:
        found: Any = _settled(patch(*operations, document=document, profile="tolerant").document)
    except KeywrightError as error:
        found = type(error).__name__
    if isinstance(expected, str) or isinstance(found, str):
        assert isinstance(expected, str) == isinstance(found, str), (expected, found)
    else:
        assert found == expected


@pytest.mark.req("P12")
@settings(max_examples=EXAMPLES)
@given(document=documents, operations=st.lists(_operations, min_size=1, max_size=3))
def test_adding_twice_is_adding_once(
    document: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    # what changes the part that selects it does not find it again
    added = [
        each for each in operations if each["op"] == "add" and "].type" not in each.get("path", "")
    ]
    if not added:
        return
    try:
        once = patch(*added, document=document, profile="tolerant").document
    except KeywrightError:
        return
    last = patch(added[-1], document=once, profile="tolerant").document
    assert last == once


@pytest.mark.req("S9")
@pytest.mark.req("P12")
def test_a_part_that_is_given_as_nothing_goes_and_no_other() -> None:
    name: dict[str, Any] = {"userName": "ann", "name": {"givenName": "A", "familyName": "L"}}
    for path, value in (
        ("name", {"givenName": None}),
        ("name", {"GIVENNAME": []}),
        ("name.givenName", None),
        (None, {"name": {"givenName": None}}),
        (None, {"name.givenName": None}),
    ):
        found = patch(op("replace", path, value), document=name).document
        assert found == {"userName": "ann", "name": {"familyName": "L"}}
    found = patch(op("replace", "name", {"givenName": "", "familyName": "X"}), document=name,
                  profile="tolerant")  # fmt: skip
    assert found.document["name"] == {"familyName": "X"}
    both = patch(op("replace", "name", {"givenName": None, "familyName": None}), document=name)
    assert both.document == {"userName": "ann"}


@pytest.mark.req("P15")
@pytest.mark.parametrize("profile", ["strict", "tolerant"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('emails[value eq "new@example.com"].value', "other@example.com"),
        ('emails[type eq "other"]', {"type": "x", "value": "other@example.com"}),
    ],
)
def test_a_replace_that_finds_nothing_makes_nothing_else(
    path: str, value: Any, profile: str
) -> None:
    with pytest.raises(NoTarget):
        patch(op("replace", path, value), profile=profile)
    with pytest.raises(InvalidValue, match="contradicts"):
        patch(op("add", path, value), profile=profile)


_MANAGER = f"{ENTERPRISE_USER}:manager"
_BOB = {"value": "bob", "$ref": "../Users/bob"}
_EVE = {"value": "eve", "$ref": "../Users/eve"}


@pytest.mark.req("P12")
@pytest.mark.parametrize(
    ("operations", "manager"),
    [
        ([op("replace", _MANAGER, "eve")], {"value": "eve"}),
        ([op("add", _MANAGER, {"value": "eve"})], {"value": "eve"}),
        ([op("replace", _MANAGER, {"value": "eve", "$ref": None})], {"value": "eve"}),
        ([op("replace", f"{_MANAGER}.value", "eve")], {"value": "eve"}),
        ([op("replace", None, {f"{_MANAGER}.value": "eve"})], {"value": "eve"}),
        ([op("replace", ENTERPRISE_USER, {"manager": {"value": "eve"}})], {"value": "eve"}),
        ([op("replace", _MANAGER, _EVE)], _EVE),
        ([op("replace", f"{_MANAGER}.{part}", _EVE[part]) for part in ("value", "$ref")], _EVE),
        ([op("replace", f"{_MANAGER}.{part}", _EVE[part]) for part in ("$ref", "value")], _EVE),
        ([op("replace", _MANAGER, {"value": "bob"})], _BOB),
        ([op("add", f"{_MANAGER}.value", "bob")], _BOB),
    ],
)
def test_another_manager_is_not_reached_at_the_former_ones_address(
    operations: list[dict[str, Any]], manager: dict[str, str]
) -> None:
    ann = {**ANN, ENTERPRISE_USER: {"manager": _BOB}}
    found = patch(*operations, document=ann, profile="entra").document
    assert found[ENTERPRISE_USER]["manager"] == manager


@pytest.mark.req("S9")
@pytest.mark.req("P12")
@pytest.mark.parametrize("profile", ["strict", "tolerant"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("displayName", None),
        ("emails", None),
        ("emails", []),
        ("name", {"givenName": None}),
        ("name.givenName", None),
        (None, {"name": {"GIVENNAME": []}, "emails": None}),
        (None, {"name.givenName": None}),
        ('emails[type eq "work"]', None),
        ('emails[type eq "work"]', {"value": None}),
        ('emails[type eq "work"].value', None),
        ("emails.type", None),
        (ENTERPRISE_USER, None),
        (ENTERPRISE_USER, {"manager": None}),
        (f"{ENTERPRISE_USER}:manager", {"value": None}),
        (f"{ENTERPRISE_USER}:manager.value", None),
    ],
)
def test_an_add_of_nothing_takes_nothing_away(path: str | None, value: Any, profile: str) -> None:
    assert changed(op("add", path, value), profile=profile) == {}


@pytest.mark.req("S9")
def test_an_add_takes_what_is_given_beside_nothing() -> None:
    given = {"givenName": None, "familyName": "X"}
    assert patch(op("add", "name", given)).document["name"] == {**ANN["name"], "familyName": "X"}
    for path in ("name.givenName", 'emails[type eq "work"].value', f"{ENTERPRISE_USER}:manager"):
        assert changed(op("add", path, ""), profile="tolerant") == {}


@pytest.mark.req("S9")
def test_a_part_of_an_element_that_is_given_as_nothing_goes() -> None:
    mails: dict[str, Any] = {
        "userName": "ann",
        "emails": [
            {"value": "a@example.org", "type": "work", "display": "A"},
            {"value": "h@example.org", "type": "home"},
        ],
    }
    work = 'emails[type eq "work"]'

    def left(value: Any) -> Any:
        return patch(op("replace", work, value), document=mails).document["emails"]

    home = mails["emails"][1]
    assert left({"display": None}) == [{"value": "a@example.org", "type": "work"}, home]
    assert left({"display": None, "value": "b"}) == [{"value": "b", "type": "work"}, home]
    assert left({"value": None}) == [home]
    assert left(None) == [home]


@pytest.mark.req("R30")
def test_so_many_changes_of_long_lists_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scim.patch, "MAX_LOOKED_AT", 100)
    long: dict[str, Any] = {
        "userName": "ann",
        "roles": [{"value": str(number)} for number in range(20)],
    }
    one = op("replace", 'roles[value eq "1"].display', "x")
    assert patch(*[one] * 5, document=long).document["roles"][1]["display"] == "x"
    with pytest.raises(TooLarge):
        patch(*[one] * 6, document=long)


@pytest.mark.req("R30")
def test_members_are_read_for_so_many_filters_and_no_more() -> None:
    odd = op("remove", 'members[display sw "a"]')
    assert len(joined(members(*[odd] * MAX_READINGS))) == MAX_READINGS
    with pytest.raises(TooLarge):
        joined(members(*[odd] * (MAX_READINGS + 1)))


@pytest.mark.req("P14")
def test_a_schemas_own_name_is_the_resource_itself() -> None:
    whole = op("replace", CORE, {"title": "Nurse", "name.givenName": "B"})
    for operation in (whole, op("replace", CORE.upper(), whole["value"]),
                      op("add", None, {CORE: whole["value"]})):  # fmt: skip
        found = patch(operation).document
        assert (found["title"], found["name"]) == ("Nurse", {**ANN["name"], "givenName": "B"})
    with pytest.raises(NoTarget):
        patch(op("remove", CORE))
    with pytest.raises(InvalidValue):
        patch(op("add", CORE, "x"))
