# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Paging by cursor (RFC 9865): each resource once and in order, and no cursor but our own."""

from __future__ import annotations

import base64
import random
import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scim.cursors
import scim.plans
from provisioning.clock import now_ms
from provisioning.models import Group
from scim.cursors import TIMEOUT, Cursors, Edge, Place, bound_to
from scim.errors import ExpiredCursor, InvalidCursor
from scim.listing import MAX_COUNT
from tests.scim.pushing import Directory, connect
from tests.scim.samples import EXAMPLES
from tests.scim.test_listing import SEARCH, ask, names
from tests.scim.test_routes import refused

NAMES = ["cy", "ann", "Bob", "dee", "éva", "fay", "gus"]
SORTS: list[dict[str, str]] = [
    {},
    {"sortBy": "userName"},
    {"sortBy": "userName", "sortOrder": "descending"},
    {"sortBy": "id"},
    {"sortBy": "externalId"},
    {"sortBy": "externalId", "sortOrder": "descending"},
    {"sortBy": "active", "sortOrder": "descending"},
    {"sortBy": "meta.created"},
    {"sortBy": "meta.lastModified", "sortOrder": "descending"},
    {"sortBy": "title"},
    {"sortBy": "title", "sortOrder": "descending"},
    {"sortBy": "name.familyName"},
]
FILTERS: list[dict[str, str]] = [
    {},
    {"filter": "active eq true"},
    {"filter": 'not (userName eq "ann")'},
    {"filter": 'title sw "t"'},
]


def walk(directory: Directory, path: str, **parameters: object) -> list[dict[str, Any]]:
    """Return the pages from the first to the last."""
    pages = [ask(directory, path, cursor="", **parameters)]
    while "nextCursor" in pages[-1]:
        assert re.fullmatch(r"[A-Za-z0-9._~-]+", pages[-1]["nextCursor"])
        assert len(pages) < 50, "the walk does not end"
        pages.append(ask(directory, path, cursor=pages[-1]["nextCursor"], **parameters))
    return pages


def found(pages: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for page in pages for each in page["Resources"]]


@pytest.fixture
def people(directory: Directory) -> list[dict[str, Any]]:
    more: list[dict[str, Any]] = [
        {"externalId": f"x{place}"} if place % 2 else {} for place in range(len(NAMES))
    ]
    return [
        directory.user(name, title=f"t{place % 3}", active=place != 3, **more[place])
        for place, name in enumerate(NAMES)
    ]


@pytest.mark.req("RFC9865")
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_pages_by_cursor_and_by_index_are_the_same(
    directory: Directory, people: list[Any], count: int
) -> None:
    for sort in SORTS:
        for filter_ in FILTERS:
            by_index = ask(directory, "/Users", **sort, **filter_)
            pages = walk(directory, "/Users", count=count, **sort, **filter_)
            assert found(pages) == found([by_index]), (sort, filter_)
            assert {page["totalResults"] for page in pages} == {by_index["totalResults"]}
            assert all(page["itemsPerPage"] == count for page in pages[:-1])
            assert "startIndex" not in pages[0]


@pytest.mark.req("RFC9865")
def test_every_door_to_a_query_takes_a_cursor(directory: Directory, people: list[Any]) -> None:
    directory.group("staff", people[0]["id"])
    directory.group("board")
    everything = found([ask(directory, "/")])
    assert len(everything) == 9
    assert found(walk(directory, "/", count=2)) == everything
    for sort in ({"sortBy": "displayName"}, {"sortBy": "meta.created", "sortOrder": "descending"}):
        assert found(walk(directory, "/", count=2, **sort)) == found([ask(directory, "/", **sort)])
    for path, wanted in (("", everything), ("/Users", everything[:7]), ("/Groups", everything[7:])):
        ids, cursor = [], ""
        while cursor is not None:
            body = {"schemas": [SEARCH], "cursor": cursor, "count": 2}
            answer = directory("POST", f"{path}/.search", body).get_json(force=True)
            ids += found([answer])
            cursor = answer.get("nextCursor")
        assert ids == wanted


@pytest.mark.req("RFC9865")
def test_without_a_cursor_the_answer_is_by_index(directory: Directory, people: list[Any]) -> None:
    body = ask(directory, "/Users", count=2)
    assert (body["startIndex"], "nextCursor" in body) == (1, False)


@pytest.mark.req("RFC9865")
def test_the_last_page_has_no_cursor_and_an_empty_answer_is_one(directory: Directory) -> None:
    assert walk(directory, "/Users") == [
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": 0,
            "itemsPerPage": 0,
            "Resources": [],
        }
    ]
    directory.user("ann")
    directory.user("bob")
    assert [len(page["Resources"]) for page in walk(directory, "/Users", count=2)] == [2]


@pytest.mark.req("RFC9865")
def test_nothing_is_missed_or_doubled_when_others_come_and_go(
    directory: Directory, people: list[dict[str, Any]]
) -> None:
    for sort in SORTS:
        pages = [ask(directory, "/Users", cursor="", count=2, **sort)]
        stay = {each["id"] for each in people}
        # One that was sent already goes, and so does one that was not; somebody comes.
        gone = pages[0]["Resources"][0]["id"]
        directory("DELETE", f"/Users/{gone}")
        later = next(i for i in stay if i not in found(pages) and i != gone)
        directory("DELETE", f"/Users/{later}")
        came = directory.user("hal" + "".join(sort.values()), title="t1")["id"]
        while "nextCursor" in pages[-1]:
            cursor = pages[-1]["nextCursor"]
            pages.append(ask(directory, "/Users", cursor=cursor, count=2, **sort))
        ids = found(pages)
        assert len(ids) == len(set(ids)), sort
        assert set(ids) - {came} == stay - {later}, sort
        directory("DELETE", f"/Users/{came}")
        people[:] = [each for each in people if each["id"] not in (gone, later)]
        people += [directory.user(f"new{n}{sort}", title="t2") for n in range(2)]


@pytest.mark.req("RFC9865")
@settings(
    max_examples=max(5, EXAMPLES // 8),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    # Seeded: how much there is to draw hangs on ids and times, which are others at each run.
    chance=st.randoms(use_true_random=True),
    count=st.integers(1, 4),
    sort=st.sampled_from(SORTS),
    filter_=st.sampled_from(FILTERS),
)
def test_whatever_happens_between_pages_each_resource_comes_once_and_in_order(
    app: Flask, chance: random.Random, count: int, sort: dict[str, str], filter_: dict[str, str]
) -> None:
    directory = connect(app, uuid4().hex)
    made = 0

    def make() -> str:
        nonlocal made
        made += 1
        name = f"{chance.choice('abcdef')}{directory.connection.id}x{made}"
        family = chance.choice("pqr")
        return str(directory.user(name, title="t" + family, name={"familyName": family})["id"])

    living = [make() for _ in range(chance.randint(0, 9))]
    throughout, seen, cursor = set(living), [], ""
    while cursor is not None:
        page = ask(directory, "/Users", cursor=cursor, count=count, **sort, **filter_)
        seen += page["Resources"]
        cursor = page.get("nextCursor")
        for _ in range(chance.randint(0, 2)):
            if living and chance.random() < 0.5:
                gone = living.pop(chance.randrange(len(living)))
                directory("DELETE", f"/Users/{gone}")
                throughout.discard(gone)
            elif made < 14:
                living.append(make())
    ids = [each["id"] for each in seen]
    assert len(ids) == len(set(ids))
    assert throughout <= set(ids)
    if sort.get("sortBy") == "userName":
        in_order = sorted(names({"Resources": seen}))
        assert names({"Resources": seen}) == (in_order[::-1] if len(sort) > 1 else in_order)


@pytest.mark.req("RFC9865")
def test_a_tampered_cursor_is_refused(directory: Directory, people: list[Any]) -> None:
    cursor = ask(directory, "/Users", cursor="", count=2)["nextCursor"]
    assert ask(directory, "/Users", cursor=cursor, count=2)
    for place in range(len(cursor)):
        other = "A" if cursor[place] != "A" else "B"
        forged = cursor[:place] + other + cursor[place + 1 :]
        refused(directory("GET", f"/Users?count=2&cursor={forged}"), 400, "invalidCursor")
    for forged in (cursor[:-1], cursor + "A", cursor + "=", "A", "é", "0", cursor * 99, "a b", "-"):
        answer = directory("GET", f"/Users?count=2&cursor={quote(forged)}")
        refused(answer, 400, "invalidCursor")
    answer = directory("POST", "/Users/.search", {"cursor": cursor[:-2], "count": 2})
    refused(answer, 400, "invalidCursor")


@pytest.mark.req("RFC9865")
def test_a_cursor_serves_its_own_query_and_directory_only(
    app: Flask, directory: Directory, people: list[Any]
) -> None:
    query = "/Users?count=2&sortBy=userName&filter=active%20eq%20true&cursor="
    cursor = ask(
        directory, "/Users", count=2, sortBy="userName", filter="active eq true", cursor=""
    )["nextCursor"]
    assert directory("GET", query + cursor).status_code == 200
    for change in (
        ("count=2", "count=3"),
        ("userName", "id"),
        ("sortBy=userName&", ""),
        ("count=2", "count=2&sortOrder=descending"),
        ("eq", "ne"),
        ("/Users", "/"),
    ):
        refused(directory("GET", query.replace(*change) + cursor), 400, "invalidCursor")
    refused(connect(app, "Other")("GET", query + cursor), 400, "invalidCursor")


@pytest.mark.req("RFC9865")
def test_a_cursor_hides_whom_it_stands_at(directory: Directory, people: list[Any]) -> None:
    """It stands in URLs, and URLs stand in logs (RFC 7644 §7.5.2)."""
    page = ask(directory, "/Users", cursor="", count=1, sortBy="title")
    place = Cursors(bytes(32)).seal(Place(0, Edge((False, "Ada Lovelace"), 1), 1), b"")
    for cursor in (page["nextCursor"], place):
        sealed = scim.cursors._padded(cursor)
        assert b"lovelace" not in base64.urlsafe_b64decode(sealed).lower()


@pytest.mark.req("RFC9865")
def test_an_old_cursor_has_expired(
    directory: Directory, people: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = ask(directory, "/Users", cursor="", count=2)["nextCursor"]
    now = now_ms()
    monkeypatch.setattr(scim.cursors, "now_ms", lambda: now + TIMEOUT - 1000)
    assert directory("GET", f"/Users?count=2&cursor={cursor}").status_code == 200
    monkeypatch.setattr(scim.cursors, "now_ms", lambda: now + TIMEOUT + 1000)
    refused(directory("GET", f"/Users?count=2&cursor={cursor}"), 400, "expiredCursor")
    refused(directory("GET", f"/Users?count=2&cursor={cursor[:-4]}AAAA"), 400, "invalidCursor")


@pytest.mark.req("RFC9865")
@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5", "9" * 100])
def test_a_count_that_is_none(directory: Directory, count: str) -> None:
    refused(directory("GET", f"/Users?cursor&count={count}"), 400, "invalidCount")
    refused(directory("POST", "/.search", {"cursor": "", "count": count}), 400, "invalidCount")


@pytest.mark.req("RFC9865")
def test_count_is_at_most_the_largest_page(directory: Directory) -> None:
    for number in range(3):
        directory.user(f"u{number}")
    assert len(found(walk(directory, "/Users", count=MAX_COUNT + 1))) == 3


@pytest.mark.req("RFC9865")
def test_index_and_cursor_exclude_each_other(directory: Directory) -> None:
    refused(directory("GET", "/Users?cursor&startIndex=1"), 400, "invalidValue")


@pytest.mark.req("RFC9865")
def test_the_configuration_tells(directory: Directory) -> None:
    told = directory("GET", "/ServiceProviderConfig").get_json(force=True)["pagination"]
    assert told == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 100,
        "maxPageSize": 200,
        "cursorTimeout": 3600,
    }


@pytest.mark.req("RFC9865")
def test_a_page_of_groups_that_ends_early_goes_on(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, people: list[dict[str, Any]]
) -> None:
    for name in "abc":
        directory.group(name, *(each["id"] for each in people))
    monkeypatch.setattr("scim.resources.MAX_MEMBERS_PER_PAGE", 8)
    assert [names(page) for page in walk(directory, "/Groups", count=3)] == [["a"], ["b"], ["c"]]
    assert Group.select().count() == 3


@pytest.mark.req("RFC9865")
def test_long_values_make_no_long_cursor(directory: Directory) -> None:
    made = [directory.user(f"u{n}", title="x" * 4_000 + str(n))["id"] for n in range(3)]
    pages = walk(directory, "/Users", count=1, sortBy="title")
    assert found(pages) == made
    assert max(len(page.get("nextCursor", "")) for page in pages) < 600


_SEALED = Cursors(b"k" * 32)
_GIVEN_OUT = _SEALED.seal(Place(0, Edge((False, "ann"), 7), 9), b"q")


@pytest.mark.req("RFC9865")
@settings(max_examples=EXAMPLES)
@given(
    st.one_of(
        st.text(),
        st.text("ABCXYZabcxyz019-_=+/.~ "),
        st.binary(max_size=80).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
        st.tuples(st.integers(0, len(_GIVEN_OUT) - 1), st.characters()).map(
            lambda change: _GIVEN_OUT[: change[0]] + change[1] + _GIVEN_OUT[change[0] + 1 :]
        ),
        st.integers(0, len(_GIVEN_OUT) - 1).map(lambda length: _GIVEN_OUT[:length]),
    )
)
def test_whatever_is_sent_as_a_cursor_is_ours_or_refused(text: str) -> None:
    if text == _GIVEN_OUT:
        assert _SEALED.open(text, b"q").total == 9
    else:
        with pytest.raises(InvalidCursor):
            _SEALED.open(text, b"q")


def test_a_place_comes_back_as_it_was() -> None:
    cursors = Cursors(b"k" * 32)
    for key in (None, (True, ""), (False, "é"), (False, 2), (False, 1.5), (False, Decimal("1.50"))):
        place = Place(2, Edge(key, 7), 9)
        opened = cursors.open(cursors.seal(place, b"q"), b"q")
        assert opened == place
        assert opened.edge.key is None or type(opened.edge.key[1]) is type((key or ())[1])


def test_only_the_key_that_sealed_it_opens_a_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    cursors, query = Cursors(b"k" * 32), bound_to(1, ["User"])
    cursor = cursors.seal(Place(0, Edge(None, 7), 9), query)
    with pytest.raises(InvalidCursor):
        Cursors(b"l" * 32).open(cursor, query)
    with pytest.raises(InvalidCursor):
        cursors.open(cursor, bound_to(2, ["User"]))
    monkeypatch.setattr(scim.cursors, "TIMEOUT", -1)
    with pytest.raises(ExpiredCursor):
        cursors.open(cursor, query)


@pytest.mark.sqlite
def test_a_sorted_walk_goes_through_the_index_unless_the_directory_is_small(
    app: Flask, directory: Directory, people: list[Any]
) -> None:
    """Seven people of seven are gone through in order; one of many is sorted instead."""
    path = scim.plans.USER.resolve("userName")
    assert path is not None
    assert scim.plans.plan(scim.plans.USER, directory.connection, "", None)._is_walked(path, 2)
    small = connect(app, "Small")
    small.user("zoe")
    assert not scim.plans.plan(scim.plans.USER, small.connection, "", None)._is_walked(path, 2)
    assert found(walk(small, "/Users", count=1, sortBy="userName"))
