# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A filter's shape is kept; the values that come and go are not."""

from __future__ import annotations

import pytest

from provisioning.models import Connection
from provisioning.services import Services
from scim.filters import parse
from scim.plans import plan
from scim.resource_types import GROUP, SECURITY_KEY, USER
from scim.schema import ResourceType


def texts(text: str, type_: ResourceType = USER) -> tuple[str, ...] | None:
    return plan(type_, Connection(id=1), "base", parse(text, type_)).texts


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('userName eq "ANN"', ("ann",)),
        ('externalId eq "A"', ("A",)),
        ('id eq "A"', ("A",)),
        ('displayName eq "Ann"', ("ann",)),
        ('emails eq "A@b"', ("a@b",)),
        ('emails[type eq "work"].value eq "A@b"', ("a@b",)),
        ('userName eq "a" and not (externalId eq "b") or active eq true', ("a", "b")),
        ("externalId pr", ()),
    ],
)
def test_what_directories_ask_is_kept_by_its_shape(
    services: Services, text: str, values: tuple[str, ...]
) -> None:
    assert texts(text) == values


@pytest.mark.parametrize(
    "text",
    [
        'title eq "x"',
        'userName co "a"',
        'groups.value eq "g"',
        'meta.created gt "2026-01-01T00:00:00Z"',
        'userName eq "a" and title pr',
    ],
)
def test_what_they_do_not_ask_is_not(services: Services, text: str) -> None:
    assert texts(text) is None


def test_constants_of_a_type_are_never_parameters(services: Services) -> None:
    assert texts('members[value eq "a" and type eq "User"]', GROUP) is None
    assert texts('meta.resourceType eq "Group"', GROUP) is None
    assert texts('members eq "a" and displayName eq "B"', GROUP) == ("a", "b")
    assert texts('state eq "active"', SECURITY_KEY) is None


def test_an_exact_filter_needs_no_second_look(services: Services) -> None:
    for text, exact in (
        ('userName eq "a"', True),
        ('emails.value eq "a"', True),
        ('not (id eq "a")', True),
        ('emails[type eq "work"].value eq "a"', False),
        ('displayName eq "a"', False),
        ('title eq "a"', False),
    ):
        assert plan(USER, Connection(id=1), "base", parse(text, USER)).exact is exact, text
