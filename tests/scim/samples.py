# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""People and filters for property tests: few values, so that things meet."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import strategies as st

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

# How many cases a property test tries; a longer run sets TEST_EXAMPLES=5000.
EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "200"))

WORDS = ["Ann", "ann", "Bob", "B%b", "a_b", 'q"t', "b\\s", "É", "é", "Ann Lee", "x"]
TYPES = ["work", "Work", "home", "other"]
ADDRESSES = ["ann@example.com", "ANN@example.com", "bob@example.com", "b_b@example.org"]

word = st.sampled_from(WORDS)


def _optional(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


_email = st.fixed_dictionaries(
    {"value": st.sampled_from(ADDRESSES)},
    optional={"type": st.sampled_from(TYPES), "primary": st.booleans()},
)
_phone = st.fixed_dictionaries(
    {"value": st.sampled_from(["1", "22"])}, optional={"type": st.sampled_from(["work", "mobile"])}
)


def _distinct(elements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No twins by value and type, one primary at most: what the service itself stores."""
    found: dict[object, dict[str, Any]] = {}
    primary = False
    for element in elements:
        element = dict(element)
        if element.get("primary"):
            element["primary"] = not primary
            primary = True
        found[element["value"].lower(), element.get("type", "").lower()] = element
    return list(found.values())


documents = st.fixed_dictionaries(
    {"userName": word, "active": st.booleans()},
    optional={
        "displayName": word,
        "title": word,
        "externalId": word,
        "name": st.fixed_dictionaries({"familyName": word}, optional={"givenName": word}),
        "emails": st.lists(_email, min_size=1, max_size=3).map(_distinct),
        "phoneNumbers": st.lists(_phone, min_size=1, max_size=2).map(_distinct),
        "addresses": st.lists(
            st.fixed_dictionaries(
                {"country": st.sampled_from(["US", "us", "FR"])},
                optional={"type": st.sampled_from(TYPES)},
            ),
            min_size=1,
            max_size=2,
            unique_by=str,
        ),
        ENTERPRISE: st.fixed_dictionaries(
            {"department": word},
            optional={"manager": st.fixed_dictionaries({"value": st.sampled_from(["m1", "M1"])})},
        ),
    },
)

_quoted = {'"': '\\"', "\\": "\\\\"}


def quote(text: str) -> str:
    """Return a filter's literal for a text."""
    return '"' + "".join(_quoted.get(character, character) for character in text) + '"'


def _compare(names: list[str], values: list[str]) -> st.SearchStrategy[str]:
    parts = [*values, *(value[:2] for value in values), *(value[-2:] for value in values)]
    return st.one_of(
        st.builds(
            lambda name, op, value: f"{name} {op} {quote(value)}",
            st.sampled_from(names),
            st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le", "EQ"]),
            st.sampled_from(values),
        ),
        st.builds(
            lambda name, op, value: f"{name} {op} {quote(value)}",
            st.sampled_from(names),
            st.sampled_from(["co", "sw", "ew", "Co"]),
            st.sampled_from(parts),
        ),
    )


_TEXTS = [
    "userName",
    "USERNAME",
    "displayName",
    "title",
    "externalId",
    "name.familyName",
    "name.givenName",
    f"{ENTERPRISE}:department",
    f"{CORE}:title",
]
_ANYTHING = [
    *_TEXTS,
    "name",
    "emails",
    "emails.type",
    "phoneNumbers",
    "addresses",
    "active",
    f"{ENTERPRISE}:manager",
    f"{ENTERPRISE}:manager.value",
]

_inner = st.one_of(
    _compare(["type"], TYPES),
    _compare(["value", "VALUE"], ADDRESSES),
    st.sampled_from(
        ["primary eq true", "primary eq false", "type pr", "not (type pr)", 'not (value co "ann")']
    ),
)
_in_brackets = st.one_of(
    _inner,
    st.builds(lambda a, op, b: f"{a} {op} {b}", _inner, st.sampled_from(["and", "or"]), _inner),
)

_terms = st.one_of(
    _compare(_TEXTS, WORDS),
    _compare(["emails", "emails.value", "Emails.Value"], ADDRESSES),
    _compare(["emails.type", "addresses.type"], TYPES),
    _compare(["phoneNumbers.value", "phoneNumbers"], ["1", "22"]),
    _compare(["addresses.country"], ["US", "fr"]),
    _compare([f"{ENTERPRISE}:manager.value"], ["m1"]),
    st.builds(lambda name: f"{name} pr", st.sampled_from(_ANYTHING)),
    st.sampled_from(
        ["active eq true", "active eq false", "active ne true", "title eq null", "title ne null"]
    ),
    st.builds(lambda where: f"emails[{where}]", _in_brackets),
    st.builds(
        lambda where, value: f"emails[{where}].value eq {quote(value)}",
        _in_brackets,
        st.sampled_from(ADDRESSES),
    ),
)


def _joined(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operator = st.sampled_from([" and ", " or ", " AND "])
    return st.one_of(
        st.builds(lambda a, op, b: a + op + b, children, operator, children),
        st.builds(
            lambda a, op, b, op2, c: a + op + b + op2 + c,
            children,
            operator,
            children,
            operator,
            children,
        ),
        st.builds(lambda a: f"not ({a})", children),
        st.builds(lambda a: f"({a})", children),
    )


filters = st.recursive(_terms, _joined, max_leaves=6)
