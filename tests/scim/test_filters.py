# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Filter text to expression: precedence, names, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim.errors import InvalidFilter
from scim.expressions import And, Comparison, Element, Expression, Never, Not, Or, Present
from scim.filters import parse, parse_element
from scim.lexer import tokenise
from scim.resource_types import ALL, ENTERPRISE_USER, GROUP, SECURITY_KEY, USER
from tests.scim.samples import EXAMPLES


def shown(expression: Expression) -> str:
    """Write an expression with all its parentheses."""
    match expression:
        case Comparison(path, op, value):
            return f"{path} {op} {value}"
        case Present(path):
            return f"{path} pr"
        case Element(path, where):
            return f"{path}[{shown(where)}]"
        case Not(term):
            return f"not({shown(term)})"
        case And(terms):
            return "(" + " & ".join(shown(term) for term in terms) + ")"
        case Or(terms):
            return "(" + " | ".join(shown(term) for term in terms) + ")"
        case Never():
            return "never"


@pytest.mark.req("P5")
@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("title pr or id pr and active pr", "(title pr | (id pr & active pr))"),
        ("title pr and id pr or active pr", "((title pr & id pr) | active pr)"),
        ("(title pr or id pr) and active pr", "((title pr | id pr) & active pr)"),
        (
            "title pr or id pr and active pr or name pr and locale pr",
            "(title pr | (id pr & active pr) | (name pr & locale pr))",
        ),
        ("not (title pr or id pr and active pr)", "not((title pr | (id pr & active pr)))"),
        ("not (title pr) and id pr", "(not(title pr) & id pr)"),
        (
            "emails[type pr or value pr and primary pr]",
            "emails[(emails.type pr | (emails.value pr & emails.primary pr))]",
        ),
        ("((title pr))", "title pr"),
        ("title pr and (id pr and active pr)", "(title pr & (id pr & active pr))"),
    ],
)
def test_and_binds_closer_than_or(text: str, meaning: str) -> None:
    assert shown(parse(text, USER)) == meaning


@pytest.mark.req("S2")
@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ('USERNAME eq "x"', "userName eq x"),
        ('urn:IETF:params:scim:schemas:core:2.0:user:UserName eq "x"', "userName eq x"),
        (
            f'{ENTERPRISE_USER.upper()}:MANAGER.VALUE eq "x"',
            f"{ENTERPRISE_USER}:manager.value eq x",
        ),
        ('emails eq "x"', "emails.value eq x"),
        ("emails pr", "emails pr"),
        ('title ne "x"', "not(title eq x)"),
        ("title eq null", "not(title pr)"),
        ("title ne null", "title pr"),
        ('active eq "False"', "active eq False"),
        ('meta.created ge "2026-01-01T00:00:00.0000001Z"', "meta.created ge 1767225600000.0001000"),
    ],
)
def test_names_compare_without_case_and_values_get_a_type(text: str, meaning: str) -> None:
    assert shown(parse(text, USER)) == meaning


@pytest.mark.req("P8")
def test_entras_value_path_with_a_comparison_behind_it_is_read() -> None:
    assert shown(parse('emails[type eq "work"].value eq "x"', USER)) == (
        "emails[(emails.type eq work & emails.value eq x)]"
    )
    assert shown(parse('emails[type eq "work"].value ne "x" and id pr', USER)) == (
        "(emails[(emails.type eq work & not(emails.value eq x))] & id pr)"
    )


@pytest.mark.req("P4")
@pytest.mark.req("R5")
@pytest.mark.parametrize(
    "text",
    [
        'favouriteColour eq "red"',
        'id eq "1" and favouriteColour eq "red"',
        'userName regex "x"',
        'name.colour eq "x"',
        'userName.x eq "y"',
        'urn:unknown:User:userName eq "x"',
        "userName",
        "userName eq",
        'eq "x"',
        "not title pr",
        "title pr and",
        "or title pr",
        "(title pr",
        "title pr)",
        "title pr id pr",
        "()",
        "[]",
        "emails[]",
        "emails[type pr",
        "emails[type pr]]",
        'name eq "x"',
        "active gt true",
        'active co "t"',
        'x509Certificates.value gt "x"',
        "userName eq 1",
        "userName eq true",
        'active eq "yes"',
        "active eq 1",
        "title gt null",
        'meta.created eq "yesterday"',
        'meta.created eq "2026-02-30T00:00:00Z"',
        'meta.created co "2026"',
        'addresses eq "x"',
        'emails[emails.type eq "x"]',
        'emails[addresses[type eq "x"]]',
        'name[familyName eq "x"]',
        'userName[value eq "x"]',
        'emails.value[type eq "x"]',
        'emails[type eq "x"] eq "y"',
        'emails[type eq "x"].colour pr',
        'password eq "x"',
        "password pr",
        'emails[colour eq "x"]',
        f'emails[{ENTERPRISE_USER}:department eq "x"]',
    ],
)
def test_what_cannot_be_asked_is_refused_and_never_left_out(text: str) -> None:
    with pytest.raises(InvalidFilter):
        parse(text, USER)


@pytest.mark.req("P7")
def test_over_several_types_an_attribute_of_another_one_is_false() -> None:
    text = 'displayName eq "x" or members pr'
    assert shown(parse(text, USER, lenient=True)) == "(displayName eq x | never)"
    assert shown(parse(text, GROUP, lenient=True)) == "(displayName eq x | members pr)"
    assert shown(parse("members[type pr].value pr", SECURITY_KEY, lenient=True)) == "never"


def test_what_stands_between_brackets_is_read_alone() -> None:
    emails = USER.resolve("emails")
    assert emails is not None
    assert shown(parse_element('type eq "work"', emails)) == "emails.type eq work"
    with pytest.raises(InvalidFilter):
        parse_element('type eq "work"] or emails[type eq "x"', emails)


_words = st.lists(
    st.sampled_from(
        [
            "title",
            "emails",
            "active",
            "members",
            "eq",
            "pr",
            "and",
            "or",
            "not",
            "(",
            ")",
            "[",
            "]",
            ".value",
            '"x"',
            "true",
            "12",
            "type",
            "name.givenName",
        ]
    ),
    max_size=12,
).map(" ".join)


@settings(max_examples=EXAMPLES)
@given(text=_words, type_=st.sampled_from(ALL), lenient=st.booleans())
def test_no_text_makes_it_fail_in_another_way(text: str, type_: object, lenient: bool) -> None:
    try:
        tokenise(text)
        expression = parse(text, type_, lenient=lenient)  # type: ignore[arg-type]
    except InvalidFilter:
        return
    assert shown(expression)
