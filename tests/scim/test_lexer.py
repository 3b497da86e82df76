# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Tokens: literals keep their type, and no text costs more than its length."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim.errors import InvalidFilter
from scim.lexer import tokenise
from tests.scim.samples import EXAMPLES, filters


def pairs(text: str) -> list[tuple[str, object]]:
    return [(token.type, token.value) for token in tokenise(text)]


@pytest.mark.req("P4")
def test_a_filter_becomes_the_parsers_tokens() -> None:
    assert pairs('urn:ietf:params:scim:schemas:core:2.0:User:name.givenName Co "a\\"\\u00e9"') == [
        ("SCHEMA_URI", "urn:ietf:params:scim:schemas:core:2.0:User"),
        ("ATTRNAME", "name"),
        ("SUBATTR", "givenName"),
        ("CO", "co"),
        ("COMP_VALUE", 'a"é'),
    ]
    assert pairs("emails[type pr].value eq null") == [
        ("ATTRNAME", "emails"),
        ("LBRACKET", "["),
        ("ATTRNAME", "type"),
        ("PR", "pr"),
        ("RBRACKET", "]"),
        ("SUBATTR", "value"),
        ("EQ", "eq"),
        ("NULL", None),
    ]


@pytest.mark.req("S3")
@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("true", True),
        ("False", False),
        ('"true"', "true"),
        ("12", 12),
        ('"12"', "12"),
        ("-1.5e3", -1500.0),
        ("0", 0),
        ("-0", 0),
        ('""', ""),
        ('"\\\\"', "\\"),
        ('"\\n"', "\n"),
    ],
)
def test_a_literal_keeps_its_type(literal: str, value: object) -> None:
    found = pairs(f"x eq {literal}")[-1][1]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("name", ["trueName", "nullable", "notes", "ordinal", "equal", "$ref"])
def test_a_name_may_begin_like_a_keyword(name: str) -> None:
    assert pairs(f'{name} eq "x"')[0] == ("ATTRNAME", name)


@pytest.mark.req("P4")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        'a eq "x',
        "a eq 'x'",
        'a eq "x\n"',
        'a eq "\\x"',
        "a eq 01",
        "a eq 1x",
        "a = 1",
        "a.b.c eq 1",
        "a. eq 1",
        ".a eq 1 ;",
        'a eq "\\ud800"',
        'a eq "\\u0000"',
        "é eq 1",
        "a eq 1e999",
        "a eq 99999999999999999999",
        "urn:x: eq 1",
        "a:b:c eq 1",
        "\x00",
    ],
)
def test_what_no_token_matches_is_refused(text: str) -> None:
    with pytest.raises(InvalidFilter):
        tokenise(text)


@pytest.mark.req("R5")
@pytest.mark.parametrize(
    "text",
    [
        'a eq "' + "x" * 4_096 + '"',
        "(" * 13 + "a pr" + ")" * 13,
        "a[" * 13 + "b pr" + "]" * 13,
        " or ".join(["a pr"] * 33),
        "(" * 4_000,
        '"' * 4_001,
        '"\\' * 2_000,
        "a.b" * 1_300,
        "-" * 4_000,
        "not(" * 1_000,
    ],
)
def test_a_filter_over_a_cap_is_refused_at_once(text: str) -> None:
    times = []
    for _ in range(3):  # garbage of other tests may be collected in the midst of one
        started = time.thread_time()
        with pytest.raises(InvalidFilter):
            tokenise(text)
        times.append(time.thread_time() - started)
    assert min(times) < 0.05


@pytest.mark.req("R5")
def test_a_filter_at_the_caps_is_read() -> None:
    assert tokenise("(" * 12 + "a pr" + ")" * 12)
    assert tokenise(" or ".join(["a pr"] * 32))


@settings(max_examples=EXAMPLES)
@given(text=st.text(max_size=60) | st.text('()[]."\\ aeqprnot1-:$', max_size=60))
def test_no_text_makes_it_fail_in_another_way(text: str) -> None:
    try:
        tokens = tokenise(text)
    except InvalidFilter:
        return
    assert all(0 <= token.index <= token.end <= len(text) for token in tokens)


@settings(max_examples=EXAMPLES)
@given(text=filters)
def test_blanks_between_tokens_mean_nothing(text: str) -> None:
    spaced = text.replace(" and ", "\t and \r\n ").replace("(", " ( ").replace(")", " ) ")
    assert pairs(spaced) == pairs(text)
