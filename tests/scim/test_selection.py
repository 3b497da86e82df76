# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The database finds exactly what reading every document finds, in the same order."""

from __future__ import annotations

import json
import random
import uuid
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scim.selection
from provisioning import audit, directory, groups
from provisioning.models import Connection, Group, SecurityKey, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from scim.errors import InvalidFilter, TooMany
from scim.filters import parse
from scim.matching import matches
from scim.projection import projection
from scim.resource_types import GROUP, KEYWRIGHT_USER, SECURITY_KEY, USER
from scim.resources import as_dict, derive, render
from scim.rows import read, select
from scim.schema import ResourceType
from scim.selection import Selection, Sort
from tests.fakes.queries import counted
from tests.scim.samples import ADDRESSES, ENTERPRISE, EXAMPLES, TYPES, WORDS, filters

BASE = "http://localhost:5005/scim/v2"


def key(user: User | None, kind: str, state: str, name: str, at: int) -> SecurityKey:
    return SecurityKey.create(
        resource_id=str(uuid.uuid4()),
        user=user,
        kind=kind,
        state=state,
        name=name,
        method="admin",
        user_handle=b"h",
        created_at=at,
        activated_at=at + 5 if state == "active" else None,
        model="YubiKey 5 NFC" if kind == "usb_key" else None,
    )


@pytest.fixture
def connection(services: Services) -> Connection:
    """A directory with people, nested groups and keys, and another one beside it."""
    rng = random.Random(7)
    with transaction():
        mine = Connection.create(name="mine")
        other = Connection.create(name="other")
        people = [
            directory.create_user(person(rng, place), connection=mine, actor=audit.CLI)
            for place in range(24)
        ]
        directory.create_user(
            {"userName": "elsewhere", "active": True}, connection=other, actor=audit.CLI
        )
        gone = directory.create_user(
            {"userName": "gone", "active": True}, connection=mine, actor=audit.CLI
        )
        directory.delete_user(gone, audit.CLI)
        made = [
            groups.create_group({"displayName": name, **extra}, connection=mine, actor=audit.CLI)
            for name, extra in [
                ("Staff", {"externalId": "g1"}),
                ("Nurses", {}),
                ("Night shift", {}),
                ("Empty", {"externalId": "G1"}),
            ]
        ]
        add = groups.add_members
        add(made[2], [p.resource_id for p in people[:3]], actor=audit.CLI)
        add(made[1], [made[2].resource_id, people[4].resource_id], actor=audit.CLI)
        add(made[0], [made[1].resource_id, people[5].resource_id], actor=audit.CLI)
        for place, state in enumerate(["draft", "pending", "active", "revoked", "active"]):
            kind = "usb_key" if place % 2 else "contactless_card"
            key(people[place], kind, state, f"Key {place}", 1_000 * place)
        key(people[4], "passkey", "suspended", "Phone", 9_000)
        key(None, "passkey", "draft", "Nobody's", 9_000)
    return mine


def person(rng: random.Random, place: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "userName": f"{rng.choice(WORDS)}{place}",
        "active": rng.random() < 0.7,
    }
    for name in ("displayName", "title"):
        if rng.random() < 0.6:
            document[name] = rng.choice(WORDS)
    if rng.random() < 0.5:
        document["externalId"] = f"{rng.choice(WORDS)}{place}"
    if rng.random() < 0.7:
        document["name"] = {"familyName": rng.choice(WORDS)}
    if rng.random() < 0.7:
        document["emails"] = [
            {"value": address, "type": rng.choice(TYPES)}
            for address in rng.sample(ADDRESSES[1:], rng.randint(1, 2))
        ]
        if rng.random() < 0.3:
            document["emails"].append({"type": "work", "display": "without a value"})
    if rng.random() < 0.5:
        document[ENTERPRISE] = {"department": rng.choice(WORDS)}
    return document


def everything(type_: ResourceType, connection: Connection) -> dict[int, dict[str, Any]]:
    rows = read(type_, select(type_, connection.id).tuples())
    derived = derive(type_, rows, projection(type_), connection, BASE)
    return {row.pk: as_dict(type_, row, derived, BASE) for row in rows}


def agree(type_: ResourceType, connection: Connection, all_: dict[int, Any], text: str) -> int:
    expression = parse(text, type_)
    expected = [pk for pk, document in sorted(all_.items()) if matches(expression, document)]
    total, rows = Selection(type_, connection, BASE, expression).slice(0, 200)
    assert [row.pk for row in rows] == expected, text
    assert total == len(expected), text
    return total


@pytest.mark.req("P4")
@pytest.mark.req("P6")
@pytest.mark.req("S7")
def test_the_database_finds_the_users_that_reading_all_of_them_finds(
    connection: Connection,
) -> None:
    all_ = everything(USER, connection)
    assert len(all_) == 24
    hits: list[int] = []

    @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
    @given(text=filters)
    def check(text: str) -> None:
        hits.append(agree(USER, connection, all_, text))

    check()
    assert any(0 < count < 24 for count in hits)


@pytest.mark.req("P4")
def test_an_empty_name_is_found_though_another_one_is_shown(connection: Connection) -> None:
    with transaction():
        for place, name in enumerate(["", " "]):
            named = {"userName": f"empty{place}", "active": True, "name": {"formatted": "Zoe"}}
            user = {**named, "displayName": name}
            directory.create_user(user, connection=connection, actor=audit.CLI)
    all_ = everything(USER, connection)
    for term in ('eq ""', 'eq " "', 'lt "m"', 'le ""', 'ge ""', 'gt ""', 'sw ""', 'co ""'):
        agree(USER, connection, all_, f"displayName {term}")
        agree(USER, connection, all_, f"not (displayName {term})")
        agree(USER, connection, all_, f'displayName {term} and title pr or id eq "x"')
    assert agree(USER, connection, all_, 'displayName eq ""') == 2


USER_FILTERS = [
    'groups.display eq "staff"',
    'groups.display sw "N"',
    'groups eq "nothing"',
    "groups pr",
    'groups[display eq "Staff" and type eq "direct"]',
    'not (groups.display eq "Nurses")',
    'groups[type eq "indirect"]',
    'groups.display eq "Empty"',
    f'{KEYWRIGHT_USER}:securityKeys.state eq "active"',
    f"{KEYWRIGHT_USER}:securityKeys pr",
    f'not ({KEYWRIGHT_USER}:securityKeys[state eq "active" and kind eq "contactless_card"])',
    f'{KEYWRIGHT_USER}:securityKeys.display eq "phone"',
    f'{KEYWRIGHT_USER}:securityKeys.activatedAt gt "1970-01-01T00:00:02Z"',
    'schemas eq "urn:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:User"',
    f'schemas eq "{KEYWRIGHT_USER}"',
    'meta.resourceType eq "User"',
    'meta.lastModified gt "2020-01-01T00:00:00Z"',
    'meta.created lt "2020-01-01T00:00:00Z"',
    "externalId pr",
    "not (externalId pr)",
    'userName co "%"',
    'userName sw "a_"',
    'userName ew "1"',
    'emails.value ew ".org"',
    "emails[not (value pr)]",
    "emails pr",
    'displayName eq "ann"',
    'displayName ne "ann"',
]


@pytest.mark.req("S15")
@pytest.mark.req("P6")
def test_groups_keys_and_meta_are_found_by_rows(connection: Connection) -> None:
    all_ = everything(USER, connection)
    for text in USER_FILTERS:
        agree(USER, connection, all_, text)


GROUP_FILTERS = [
    'displayName eq "STAFF"',
    'displayName co "n"',
    'externalId eq "G1"',
    "externalId pr",
    "members pr",
    "not (members pr)",
    'members.type eq "Group"',
    'members.display eq "Nurses"',
    'members[type eq "User" and display co "a"]',
    'members[type eq "group" and display sw "n"]',
    'not (members[type eq "User"])',
    'members.type ne "Group"',
    "meta pr",
    "id pr",
    'schemas eq "urn:ietf:params:scim:schemas:core:2.0:Group"',
    'meta.version eq "W/\\"2\\""',
    'meta.resourceType eq "User"',
    'displayName gt "n"',
]


@pytest.mark.req("P2")
def test_groups_are_found_without_loading_members(connection: Connection) -> None:
    all_ = everything(GROUP, connection)
    for text in GROUP_FILTERS:
        agree(GROUP, connection, all_, text)


def test_a_group_is_found_by_a_member_and_by_its_address(connection: Connection) -> None:
    all_ = everything(GROUP, connection)
    named = User.select().where(User.user_name_key.endswith("4"))
    member = named.order_by(User.id).first().resource_id
    assert agree(GROUP, connection, all_, f'members eq "{member}"') == 1
    assert agree(GROUP, connection, all_, f'members.value eq "{member}" and id pr') == 1
    assert agree(GROUP, connection, all_, f'members[value eq "{member.upper()}"]') == 0
    staff = Group.get(Group.display_name == "Staff").resource_id
    assert agree(GROUP, connection, all_, f'meta.location eq "{BASE}/Groups/{staff}"') == 1
    for other in (staff, f"{BASE}/Users/{staff}", f"/Groups/{staff}", f"{BASE}/Groups/x/{staff}"):
        assert agree(GROUP, connection, all_, f'meta.location eq "{other}"') == 0
    version = f'W/"{Group.get(Group.display_name == "Staff").version}"'
    assert agree(GROUP, connection, all_, f"meta.version eq {json.dumps(version)}") >= 1
    for other in (version.replace('"', '"0', 1), 'W/"٢"', version.removeprefix("W/"), "1"):
        assert agree(GROUP, connection, all_, f"meta.version eq {json.dumps(other)}") == 0
    assert agree(USER, connection, everything(USER, connection), f'groups.value eq "{staff}"') == 5


def test_what_rows_cannot_answer_about_groups_is_refused(connection: Connection) -> None:
    for text in ('members.$ref co "x"', 'meta.location co "x"'):
        with pytest.raises(InvalidFilter):
            agree(GROUP, connection, {}, text)


KEY_FILTERS = [
    'state eq "active"',
    'kind ne "usb_key"',
    "model pr",
    'displayName eq "KEY 1"',
    'user.display co "a"',
    "activatedAt pr",
    'activatedAt ge "1970-01-01T00:00:02.005Z"',
    'meta.created gt "1970-01-01T00:00:03Z"',
    'user pr and not (state eq "revoked")',
    "reason pr",
]


def test_keys_are_found_and_drafts_are_not(connection: Connection) -> None:
    all_ = everything(SECURITY_KEY, connection)
    assert len(all_) == 5
    for text in KEY_FILTERS:
        agree(SECURITY_KEY, connection, all_, text)


SORTS = [
    "userName",
    "displayName",
    "title",
    "emails",
    "emails.type",
    "name.familyName",
    "externalId",
    "active",
    "meta.created",
    "meta.lastModified",
    "id",
    f"{ENTERPRISE}:department",
]


@pytest.mark.req("P9")
def test_pages_follow_the_order_asked_for(connection: Connection) -> None:
    for name, descending in product(SORTS, (False, True)):
        selection = Selection(USER, connection, BASE, None, Sort(USER.resolve(name), descending))
        ranked = selection.ranked()
        pages = [row.pk for offset in range(0, 30, 5) for row in selection.slice(offset, 5)[1]]
        assert pages == [pk for _, pk in ranked], (name, descending)
        assert len(ranked) == 24
        keys = [found for found, _ in ranked]
        assert keys == sorted(keys, reverse=descending), (name, descending)


@pytest.mark.req("P9")
def test_no_value_comes_last_and_first_in_descending_order(connection: Connection) -> None:
    for name in ("externalId", "title"):
        for descending in (False, True):
            selection = Selection(
                USER, connection, BASE, None, Sort(USER.resolve(name), descending)
            )
            _, rows = selection.slice(0, 200)
            there = [f'"{name}":' in row.document for row in rows]
            assert there == sorted(there, reverse=not descending)
            assert True in there
            assert False in there


@pytest.mark.req("P3")
def test_pages_neither_repeat_nor_skip(connection: Connection) -> None:
    selection = Selection(USER, connection, BASE, parse("active eq true", USER))
    total, everyone = selection.slice(0, 200)
    pages = [row.pk for offset in range(0, 30, 3) for row in selection.slice(offset, 3)[1]]
    assert pages == [row.pk for row in everyone]
    assert {selection.slice(offset, 3)[0] for offset in range(0, 30, 3)} == {total}
    assert selection.slice(0, 0) == (total, [])
    assert selection.slice(10**15, 5) == (total, [])


@pytest.mark.req("P4")
def test_a_filter_without_a_column_reads_so_much_and_no_more(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim.selection, "MAX_SCANNED", 20)
    monkeypatch.setattr(scim.selection, "_BATCH", 7)
    with pytest.raises(TooMany):
        Selection(USER, connection, BASE, parse('title eq "x"', USER)).slice(0, 5)
    narrowed = parse('title pr and userName ew "7"', USER)
    assert Selection(USER, connection, BASE, narrowed).slice(0, 5)[0] <= 2


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["userName", "externalId", "emails.value", "id", "displayName"]),
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
def test_any_text_may_be_sought(services: Services, name: str, text: str) -> None:
    if not Connection.select().exists():
        Connection.create(name="mine")
    connection = Connection.get()
    for op in ("eq", "co", "sw", "ew", "gt"):
        expression = parse(f"{name} {op} {json.dumps(text, ensure_ascii=False)}", USER)
        assert Selection(USER, connection, BASE, expression).slice(0, 5) == (0, [])


def test_a_page_costs_the_same_number_of_queries_as_one_row(
    connection: Connection,
) -> None:
    counts = []
    for limit in (1, 200):
        with counted() as asked:
            _, rows = Selection(USER, connection, BASE).slice(0, limit)
            render(USER, rows, projection(USER), connection, BASE)
        counts.append(len(asked))
    assert counts[1] <= counts[0] + 3  # one for each level of nesting, none for each row
    assert 3 <= counts[1] < 10


@pytest.mark.req("RFC9865")
@pytest.mark.parametrize("by", ["userName", "meta.lastModified", "externalId", "active"])
def test_who_moves_after_a_page_was_read_takes_nobody_along(
    connection: Connection, by: str
) -> None:
    for descending in (False, True):
        selection = Selection(USER, connection, BASE, None, Sort(USER.resolve(by), descending))
        order = [row.pk for row in selection.after(None, 100)]
        page = selection.after(None, 3)
        with transaction():
            last = User.get_by_id(page[-1].pk)
            moved = {**directory.document_of(last), "userName": f"zz{descending}", "active": False}
            directory.replace_user(last, moved, actor=audit.CLI)
            User.update(external_id=f"~{descending}").where(User.id == last).execute()
        rest = selection.after(selection.edge(page[-1]), 100)
        assert set(order[3:]) <= {row.pk for row in rest}
