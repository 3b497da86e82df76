# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Stores of users and groups, and filters to ask of them, for property tests.

Few values, so that things meet, and among them everything that a reader may trip over: case,
Unicode that folds in surprising ways, escapes, the wildcards of LIKE.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from provisioning.naming import fold
from scim.resource_types import CORE_USER, ENTERPRISE_USER
from tests.scim.samples import TYPES

WORDS = [
    "Ann", "ann", "Ann Lee", "B%b", "B_b", "%", "_", 'q"t', "b\\s", "É", "e\u0301", "straße",
    "STRASSE", "ａｎｎ", "ﬁn", "İ", "i\u0307", "Ǆ", "x", "00", "😀", "null", "true", "a.b", "ΣΑΣ",
    "σας", "\u0f71\u0f73", "l\nf", "(x)", "[x]",
]  # fmt: skip
MAILS = ["ann@example.com", "ANN@example.com", "bob@example.com", "b_b@example.org", "x@y.example"]
LINKS = ["https://example.org/a", "https://example.org/A", "https://example.org/%C3%A9"]
CERTIFICATES = ["YQ==", "YWI=", "YWJj"]
DATES = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.001Z",
    "2026-01-01T01:00:00.001+01:00",
    "2025-12-31T18:30:00.002-05:30",
    "2026-01-01T00:00:00.001500Z",
    "2026-01-01T00:00:00.002+00:00",
]
CREATED = 1_767_225_600_000  # the first of those dates, in milliseconds

# An organisation's own attributes, of the types that the standard's own people do not have.
HOSPITAL = "urn:example:hospital:2.0:User"
HOSPITAL_SCHEMA: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
    "id": HOSPITAL,
    "name": "Hospital",
    "attributes": [
        {"name": name, "type": type_, "multiValued": many, "caseExact": exact}
        for name, type_, many, exact in [
            ("badge", "integer", False, False),
            ("quota", "decimal", False, False),
            ("since", "dateTime", False, False),
            ("onCall", "boolean", False, False),
            ("seal", "binary", False, True),
            ("code", "string", False, True),
            ("wards", "string", True, False),
        ]
    ],
}

word = st.sampled_from(WORDS)
_type = st.sampled_from(TYPES)
_nothing = st.sampled_from([None, [], ""])


def _plural(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    element = st.fixed_dictionaries(
        {}, optional={"value": value, "type": _type, "display": word, "primary": st.booleans()}
    )
    return st.lists(element, min_size=1, max_size=3)


person = st.fixed_dictionaries(
    {"userName": word},
    optional={
        "active": st.booleans(),
        "externalId": word,
        "displayName": st.one_of(word, st.just("")),
        "title": st.one_of(word, _nothing),
        "nickName": word,
        "userType": word,
        "locale": st.sampled_from(["en-US", "EN-us", "fr"]),
        "profileUrl": st.sampled_from(LINKS),
        "name": st.one_of(
            st.fixed_dictionaries({}, optional={"familyName": word, "givenName": word}),
            st.none(),
        ),
        "emails": st.one_of(_plural(st.sampled_from(MAILS)), _nothing),
        "phoneNumbers": _plural(st.sampled_from(["+33 1", "22"])),
        "ims": _plural(word),
        "photos": _plural(st.sampled_from(LINKS)),
        "roles": _plural(word),
        "entitlements": _plural(word),
        "x509Certificates": _plural(st.sampled_from(CERTIFICATES)),
        "addresses": st.lists(
            st.fixed_dictionaries(
                {}, optional={"country": st.sampled_from(["US", "us", "FR"]), "type": _type}
            ),
            max_size=2,
        ),
        ENTERPRISE_USER: st.fixed_dictionaries(
            {},
            optional={
                "department": word,
                "employeeNumber": word,
                "manager": st.fixed_dictionaries({"value": st.sampled_from(["m1", "M1"])}),
            },
        ),
    },
)


def _apart(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No two with one userName or externalId: what the service lets in."""
    names: set[str] = set()
    kept = []
    for each in people:
        mine = {f"n:{fold(each['userName'])}"} | (
            {f"x:{each['externalId']}"} if "externalId" in each else set()
        )
        if not mine & names:
            names |= mine
            kept.append(each)
    return kept


_hospital = st.fixed_dictionaries(
    {},
    optional={
        "badge": st.sampled_from([-1, 0, 7, 2**40]),
        "quota": st.sampled_from([-0.5, 0, 1.5, 10]),
        "since": st.sampled_from(DATES),
        "onCall": st.booleans(),
        "seal": st.sampled_from(CERTIFICATES),
        "code": word,
        "wards": st.lists(word, max_size=3),
    },
)
_staff = st.tuples(person, st.one_of(st.none(), _hospital)).map(
    lambda parts: parts[0] if parts[1] is None else {**parts[0], HOSPITAL: parts[1]}
)
stores = st.lists(_staff, min_size=2, max_size=8).map(_apart)


@st.composite
def literals(draw: st.DrawFn, text: str) -> str:
    """A text as a literal: plain, or with every character beyond ASCII escaped."""
    return json.dumps(text, ensure_ascii=draw(st.booleans()))


def _cased(draw: st.DrawFn, name: str) -> str:
    return draw(st.sampled_from([name, name, name.upper(), name.lower()]))


_EQUAL = ["eq", "ne", "EQ", "Ne"]
_ORDER = ["gt", "ge", "lt", "le", "GT"]
_PART = ["co", "sw", "ew", "Co"]


def _pieces(values: list[str]) -> list[str]:
    cut = {value[:size] for value in values for size in (1, 2)}
    return sorted({*values, *cut, *(value[-2:] for value in values)})


@st.composite
def comparisons(draw: st.DrawFn, names: list[str], values: list[str], orders: bool = True) -> str:
    """`name op literal` on a text."""
    ops = draw(st.sampled_from([_EQUAL, _PART, _ORDER] if orders else [_EQUAL]))
    value = draw(st.sampled_from(_pieces(values) if ops is _PART else values))
    return f"{_cased(draw, draw(st.sampled_from(names)))} {draw(st.sampled_from(ops))} " + draw(
        literals(value)
    )


_DEPARTMENT = f"{ENTERPRISE_USER}:department"
_TEXTS = [
    "userName", "displayName", "title", "nickName", "userType", "name.familyName",
    "name.givenName", "externalId", _DEPARTMENT, f"{ENTERPRISE_USER}:employeeNumber",
    f"{CORE_USER}:title", f"{CORE_USER}:name.familyName",
]  # fmt: skip
_WORD_LISTS = ["ims", "roles", "entitlements"]
_LISTS = ["emails", "phoneNumbers", "photos", *_WORD_LISTS]
_PRESENT = [
    *_TEXTS, *_LISTS, "name", "active", "addresses", "addresses.country", "profileUrl", "locale",
    "x509Certificates", "id", "meta", "meta.created", "groups", f"{ENTERPRISE_USER}:manager",
    *(f"{name}.{part}" for name in _LISTS for part in ("value", "type", "display", "primary")),
]  # fmt: skip


def _values_of(name: str) -> tuple[list[str], bool]:
    if name in _WORD_LISTS:
        return WORDS, True
    return {
        "emails": (MAILS, True),
        "phoneNumbers": (["+33 1", "22"], True),
        "photos": (LINKS, True),
        "x509Certificates": (CERTIFICATES, False),
    }[name]


@st.composite
def _inner(draw: st.DrawFn, name: str, depth: int = 2) -> str:
    """What stands between brackets."""
    kind = draw(st.integers(0, 7 if depth else 4))
    if kind <= 1:
        return draw(comparisons(["type"], TYPES))
    if kind == 2:
        values, orders = _values_of(name)
        return draw(comparisons(["value"], values, orders))
    if kind == 3:
        return draw(st.sampled_from(["primary eq true", "primary ne true", "primary eq False"]))
    if kind == 4:
        return f"{draw(st.sampled_from(['type', 'value', 'display', 'primary']))} pr"
    first = draw(_inner(name, depth - 1))
    if kind == 5:
        return f"not ({first})"
    second = draw(_inner(name, depth - 1))
    return f"{first} {'and' if kind == 6 else 'or'} {second}"


@st.composite
def _value_paths(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from([*_LISTS, "x509Certificates"]))
    path = f"{_cased(draw, name)}[{draw(_inner(name))}]"
    values, orders = _values_of(name)
    match draw(st.integers(0, 3)):
        case 0:
            return f"{path}.{draw(comparisons(['value'], values, orders))}"
        case 1:
            return f"{path}.{draw(comparisons(['type'], TYPES))}"
    return path


@st.composite
def _own_terms(draw: st.DrawFn) -> str:
    """On the attributes of the organisation's own."""
    name = f"{draw(st.sampled_from([HOSPITAL, HOSPITAL.upper()]))}:"
    op = draw(st.sampled_from([*_EQUAL, *_ORDER]))
    match draw(st.integers(0, 6)):
        case 0:
            return f"{name}badge {op} {draw(st.sampled_from(['-1', '0', '7', '1099511627776']))}"
        case 1:
            return f"{name}quota {op} {draw(st.sampled_from(['-0.5', '0', '1.5', '1e1', '2']))}"
        case 2:
            return f'{name}since {op} "{draw(st.sampled_from(DATES))}"'
        case 3:
            equal = draw(st.sampled_from(_EQUAL))
            return draw(
                st.sampled_from([f"{name}onCall {equal} true", f'{name}seal {equal} "YWI="'])
            )
        case 4:
            part = draw(
                st.sampled_from(["badge", "quota", "since", "onCall", "seal", "code", "wards"])
            )
            return f"{name}{part} pr"
        case _:
            return draw(comparisons([f"{name}code", f"{name}wards"], WORDS))


_terms = st.one_of(
    comparisons(_TEXTS, WORDS),
    comparisons(["locale"], ["en-US", "EN-us", "fr"]),
    comparisons(["profileUrl", "photos", "photos.value"], LINKS),
    comparisons(["emails", "emails.value", f"{CORE_USER}:emails.value"], MAILS),
    comparisons(["phoneNumbers", "phoneNumbers.value"], ["+33 1", "22"]),
    comparisons([*_WORD_LISTS, "ims.value", "roles.value", "roles.display"], WORDS),
    comparisons(["x509Certificates", "x509Certificates.value"], CERTIFICATES, orders=False),
    comparisons([f"{name}.type" for name in [*_LISTS, "addresses"]], TYPES),
    comparisons(["addresses.country"], ["US", "fr"]),
    comparisons([f"{ENTERPRISE_USER}:manager.value"], ["m1", "M1"]),
    comparisons(["groups.display"], ["Staff", "nurses", "NIGHT", "Empty"]),
    comparisons(["schemas"], [CORE_USER, ENTERPRISE_USER.lower(), "urn:x"]),
    comparisons(["groups.type"], ["direct", "indirect"]),
    st.builds(
        lambda name, op, date: f'{name} {op} "{date}"',
        st.sampled_from(["meta.created", "META.lastModified"]),
        st.sampled_from([*_EQUAL, *_ORDER]),
        st.sampled_from(DATES),
    ),
    st.builds(lambda name: f"{name} pr", st.sampled_from(_PRESENT)),
    _own_terms(),
    st.sampled_from(
        [
            "active eq true",
            "ACTIVE EQ False",
            "active ne true",
            "title eq null",
            "title ne null",
            "emails.primary eq true",
            "name.givenName eq null",
            'meta.resourceType eq "User"',
            "schemas pr",
        ]
    ),
    _value_paths(),
)


@st.composite
def _joined(draw: st.DrawFn, children: st.SearchStrategy[str]) -> str:
    kind = draw(st.integers(0, 4))
    first = draw(children)
    if kind == 0:
        return f"{draw(st.sampled_from(['not ', 'NOT ', 'not']))}({first})"
    if kind == 1:
        return f"({first})"
    rest = draw(st.lists(children, min_size=1, max_size=3))
    return first + "".join(
        f" {draw(st.sampled_from(['and', 'or', 'AND', 'Or']))} {each}" for each in rest
    )


filters = st.recursive(_terms, _joined, max_leaves=8)

_member = st.one_of(
    comparisons(["type"], ["User", "group"]), comparisons(["display"], WORDS), st.just("value pr")
)
_group_terms = st.one_of(
    comparisons(["displayName", "members.display"], ["Staff", "nurses", "NIGHT", "Empty", *WORDS]),
    comparisons(["externalId"], ["g1", "G1"]),
    comparisons(["members.type"], ["User", "group"]),
    st.sampled_from(["members pr", "externalId pr", "id pr", "meta.created pr", "members.type pr"]),
    st.builds(lambda where: f"members[{where}]", _member),
    st.builds(lambda a, op, b: f"members[{a} {op} {b}]", _member, st.sampled_from(["and", "or"]),
              _member),
    st.builds(lambda where: f"members[not ({where})]", _member),
)  # fmt: skip
group_filters = st.recursive(_group_terms, _joined, max_leaves=6)
