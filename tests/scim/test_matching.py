# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What filters mean, held against scim2-models as an oracle that shares no code with ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from scim2_models import EnterpriseUser, ScimFilter, User

from scim.filters import parse
from scim.matching import matches
from scim.resource_types import USER
from tests.scim.samples import CORE, ENTERPRISE, EXAMPLES, documents, filters

PEOPLE: list[dict[str, Any]] = [
    {
        "userName": "bjensen",
        "title": "Tour Guide",
        "userType": "Employee",
        "active": True,
        "emails": [
            {"value": "bj@example.com", "type": "work", "primary": True},
            {"value": "babs@jensen.org", "type": "home"},
        ],
        "meta": {"created": "2026-01-01T00:00:00.000Z"},
    },
    {
        "userName": "jsmith",
        "active": False,
        "emails": [{"value": "js@example.com"}],
        "name": {"familyName": 'Smi"th'},
        "meta": {"created": "2026-06-01T10:00:00.500Z"},
    },
    {"userName": "100%", "displayName": "a_b", "userType": "Intern", "active": True},
    {"userName": "Ünal", "active": True, "title": ""},
]


def found(text: str) -> list[str]:
    expression = parse(text, USER)
    return [person["userName"] for person in PEOPLE if matches(expression, person)]


@pytest.mark.req("P4")
@pytest.mark.req("P5")
@pytest.mark.req("P6")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('userName eq "BJENSEN"', ["bjensen"]),
        ('USERNAME eq "jsmith"', ["jsmith"]),
        ('userName eq "ÜNAL"', ["Ünal"]),
        ('userName eq "ｊｓｍｉｔｈ"', ["jsmith"]),
        ('name.familyName eq "smi\\"TH"', ["jsmith"]),
        ('userName co "%"', ["100%"]),
        ('displayName co "_"', ["100%"]),
        ('userName sw "b" or userName ew "th"', ["bjensen", "jsmith"]),
        ('title pr or userType eq "Intern" and active eq false', ["bjensen"]),
        ('(title pr or userType eq "Intern") and active eq true', ["bjensen", "100%"]),
        ("not (title pr)", ["jsmith", "100%", "Ünal"]),
        ('userType ne "Employee"', ["jsmith", "100%", "Ünal"]),
        ("not (active eq true)", ["jsmith"]),
        ('active eq "False"', ["jsmith"]),
        ("active eq TRUE", ["bjensen", "100%", "Ünal"]),
        ("title eq null", ["jsmith", "100%", "Ünal"]),
        ('emails[type eq "work"] and emails[type eq "HOME"]', ["bjensen"]),
        ('emails[type eq "work" and value co "jensen.org"]', []),
        ('emails[type eq "home"].value eq "BABS@jensen.org"', ["bjensen"]),
        ('not (emails.type eq "work")', ["jsmith", "100%", "Ünal"]),
        ('emails.value ne "js@example.com"', ["bjensen", "100%", "Ünal"]),
        ('emails co "example"', ["bjensen", "jsmith"]),
        ("emails[primary eq true]", ["bjensen"]),
        ('meta.created eq "2026-01-01T01:00:00+01:00"', ["bjensen"]),
        ('meta.created gt "2026-06-01T10:00:00.4999999Z"', ["jsmith"]),
        ('meta.created le "2026-06-01T10:00:00.5Z"', ["bjensen", "jsmith"]),
        ('userName gt "c" and userName lt "k"', ["jsmith"]),
        ('displayName co " "', []),
    ],
)
def test_a_filter_finds_whom_it_means(text: str, names: list[str]) -> None:
    assert found(text) == names


@pytest.mark.req("P4")
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(document=documents, text=filters)
def test_matching_agrees_with_an_independent_reading(document: dict[str, Any], text: str) -> None:
    schemas = [CORE, *([ENTERPRISE] if ENTERPRISE in document else [])]
    model = User[EnterpriseUser].model_validate({"schemas": schemas, **document})
    expected = ScimFilter[User[EnterpriseUser]](text).match(model)
    assert matches(parse(text, USER), document) is expected
