# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Filters against an oracle: generated stores, and many generated filters asked of each.

Each case is asked three times: of the oracle's models, of the documents (`matching`) and of the
database (`selection`); all three must find the same resources. `make test-oracle` asks 20,000 on
SQLite and as many on PostgreSQL.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from provisioning import audit, groups
from provisioning import directory as core
from provisioning.models import Connection, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from scim import extensions
from scim.errors import InvalidFilter
from scim.filters import parse
from scim.matching import matches
from scim.projection import projection
from scim.quirks import PROFILES, Dialect
from scim.resource_types import CORE_USER, GROUP, USER
from scim.resources import as_dict, derive
from scim.rows import read, select
from scim.schema import ResourceType
from scim.selection import Selection
from scim.values import clean_document
from tests.conformance import oracle
from tests.conformance.oracle import DISAGREEMENTS, Disagreement
from tests.conformance.stores import CREATED, HOSPITAL_SCHEMA, filters, group_filters, stores
from tests.conformance.undone import undone
from tests.scim.samples import EXAMPLES

BASE = "http://localhost:5005/scim/v2"
EACH = min(50, EXAMPLES)  # filters asked of one store: stores are dear, filters are cheap

_QUICK = settings(
    database=None,
    suppress_health_check=list(HealthCheck),
)


def fill(connection: Connection, people: list[dict[str, Any]]) -> None:
    """Put people and nested groups of them into the database."""
    with transaction():
        rows = [
            core.create_user(
                {"active": True, **_cleaned(each)}, connection=connection, actor=audit.CLI
            )
            for each in people
        ]
        night, nurses, staff, _ = (
            groups.create_group(
                {"displayName": name, **more}, connection=connection, actor=audit.CLI
            )
            for name, more in (
                ("Night", {"externalId": "g1"}),
                ("Nurses", {}),
                ("Staff", {"externalId": "G1"}),
                ("Empty", {}),
            )
        )
        add = groups.add_members
        add(night, [row.resource_id for row in rows[:2]], actor=audit.CLI)
        add(nurses, [night.resource_id, rows[-1].resource_id], actor=audit.CLI)
        add(staff, [nurses.resource_id], actor=audit.CLI)
    for place, row in enumerate(rows):
        dates = {"created_at": CREATED + place % 3, "updated_at": CREATED + place % 4}
        User.update(dates).where(User.id == row.id).execute()


@pytest.fixture
def own_attributes() -> Iterator[None]:
    """People may have attributes of an organisation's own."""
    USER.adopt([extensions.read(json.dumps(HOSPITAL_SCHEMA).encode())], frozenset())
    yield
    USER.adopt([], frozenset())


def _cleaned(person: dict[str, Any]) -> dict[str, Any]:
    body = {"schemas": [CORE_USER], **person}
    return clean_document(USER, body, Dialect(PROFILES["tolerant"]))


def everything(type_: ResourceType, connection: Connection) -> dict[int, dict[str, Any]]:
    """All resources of a type as they are sent, by row id."""
    rows = read(type_, select(type_, connection.id).tuples())
    derived = derive(type_, rows, projection(type_), connection, BASE)
    return {row.pk: as_dict(type_, row, derived, BASE) for row in rows}


def ask(
    type_: ResourceType,
    connection: Connection,
    documents: dict[int, dict[str, Any]],
    models: list[Any],
    text: str,
) -> int:
    """Ask all three, and return how many they found."""
    asked = oracle.asked_of_people if type_ is USER else oracle.asked_of_groups
    match = asked(text)
    expected = [pk for pk, model in zip(documents, models, strict=True) if match(model)]
    expression = parse(text, type_)
    found = [pk for pk, document in documents.items() if matches(expression, document)]
    assert found == expected, text
    total, rows = Selection(type_, connection, BASE, expression).slice(0, 200)
    assert [row.pk for row in rows] == sorted(expected), text
    assert total == len(expected), text
    return total


@pytest.mark.req("P4")
@pytest.mark.req("P5")
@pytest.mark.req("P6")
@pytest.mark.req("S7")
@pytest.mark.req("S9")
@pytest.mark.parametrize("type_", [USER, GROUP], ids=["users", "groups"])
def test_the_oracle_the_documents_and_the_database_find_the_same(
    services: Services, own_attributes: None, type_: ResourceType
) -> None:
    connection = Connection.create(name="mine")
    texts = filters if type_ is USER else group_filters
    seen: Counter[str] = Counter()

    # A fifth of the cases ask for groups: they have fewer attributes.
    share = EXAMPLES if type_ is USER else max(EACH, EXAMPLES // 5)

    @settings(_QUICK, max_examples=max(1, -(-share // EACH)), phases=[Phase.generate])
    @given(people=stores)
    def each_store(people: list[dict[str, Any]]) -> None:
        with undone(), oracle.folding():
            fill(connection, people)
            documents = everything(type_, connection)
            of = oracle.people if type_ is USER else oracle.groups
            models = of(documents.values())

            @settings(_QUICK, max_examples=EACH)
            @given(text=texts)
            def each_filter(text: str) -> None:
                found = ask(type_, connection, documents, models, text)
                some = "none" if not found else "all" if found == len(documents) else "some"
                seen[some] += 1

            each_filter()

    each_store()
    print(f"{seen.total()} filters asked of {type_.name}s: {dict(seen)}")
    assert seen.total() >= share
    if share > 20 * EACH:  # of a few stores each may be dull
        assert seen["some"] > seen.total() // 20, "filters that find all or none show little"


@pytest.mark.parametrize("case", DISAGREEMENTS, ids=lambda case: case.filter)
def test_where_the_oracle_errs_the_words_of_the_standard_decide(case: Disagreement) -> None:
    with oracle.folding():
        (model,) = oracle.people([case.document])
        assert oracle.asked_of_people(case.filter)(model) is case.oracle
    if case.found is None:
        with pytest.raises(InvalidFilter):
            parse(case.filter, USER)
    else:
        assert matches(parse(case.filter, USER), case.document) is case.found
    assert case.decided_by
