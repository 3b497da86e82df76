# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Queries through the real app: pages, order, several types at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

import scim.resources
from provisioning.upstream import tally
from scim import lookups, ranges
from scim.listing import MAX_COUNT
from tests.fakes.queries import counted, plans
from tests.scim.pushing import Directory
from tests.scim.test_routes import refused

PAGES: list[tuple[dict[str, int], int, list[str]]] = [
    ({}, 1, ["cy", "ann", "Bob", "dee", "éva"]),
    ({"startIndex": 2, "count": 2}, 2, ["ann", "Bob"]),
    ({"startIndex": 0, "count": 1}, 1, ["cy"]),
    ({"startIndex": -5, "count": 1}, 1, ["cy"]),
    ({"startIndex": 5}, 5, ["éva"]),
    ({"startIndex": 6}, 6, []),
    ({"count": 0}, 1, []),
    ({"count": -3}, 1, []),
    ({"count": 10**18}, 1, ["cy", "ann", "Bob", "dee", "éva"]),
    ({"startIndex": 10**18}, 10**18, []),
]

WRONG: list[tuple[dict[str, str], str]] = [
    ({"count": "x"}, "invalidValue"),
    ({"startIndex": "1.5"}, "invalidValue"),
    ({"count": "9" * 100}, "invalidValue"),
    ({"count": "1_0"}, "invalidValue"),
    ({"count": "٣"}, "invalidValue"),
    ({"startIndex": " 2"}, "invalidValue"),
    ({"sortBy": "nope"}, "invalidPath"),
    ({"sortBy": "password"}, "invalidPath"),
    ({"sortBy": "name"}, "invalidPath"),
    ({"sortBy": "x" * 9000}, "invalidPath"),
    ({"sortBy": "userName", "sortOrder": "up"}, "invalidValue"),
    ({"filter": ""}, "invalidFilter"),
    ({"filter": "x" * 5000}, "invalidFilter"),
    ({"filter": 'nope eq "x"'}, "invalidFilter"),
    ({"filter": " or ".join(["title pr"] * 33)}, "invalidFilter"),
]

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


def ask(directory: Directory, path: str, **parameters: object) -> dict[str, Any]:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
    answer = directory("GET", f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    body = dict(answer.get_json(force=True))
    assert body["itemsPerPage"] == len(body["Resources"])
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    return body


def names(body: dict[str, Any]) -> list[str]:
    return [each.get("userName") or each["displayName"] for each in body["Resources"]]


@pytest.fixture
def people(directory: Directory) -> list[dict[str, Any]]:
    return [
        directory.user(name, title=f"t{place % 3}")
        for place, name in enumerate(["cy", "ann", "Bob", "dee", "éva"])
    ]


@pytest.mark.req("P3")
def test_pages_count_from_one(directory: Directory, people: list[Any]) -> None:
    for parameters, start, found in PAGES:
        for filter_ in ({}, {"filter": "title pr"}, {"filter": "active eq true"}):
            body = ask(directory, "/Users", **parameters, **filter_)
            told = (body["totalResults"], body["startIndex"], names(body))
            assert told == (5, start, found), parameters


@pytest.mark.req("R6")
def test_a_page_has_at_most_two_hundred(directory: Directory) -> None:
    for place in range(MAX_COUNT + 1):
        directory.user(f"u{place}")
    body = ask(directory, "/Users", count=1000)
    assert (body["itemsPerPage"], body["totalResults"]) == (200, 201)
    rest = ask(directory, "/Users", count=1000, startIndex=201)
    assert names(rest) == ["u200"]
    assert ask(directory, "/Users")["itemsPerPage"] == 100


@pytest.mark.req("P3")
@pytest.mark.req("P9")
@pytest.mark.req("R5")
def test_a_wrong_parameter_is_refused(directory: Directory) -> None:
    for parameters, scim_type in WRONG:
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        refused(directory("GET", f"/Users?{query}"), 400, scim_type)


@pytest.mark.req("P9")
def test_order_follows_the_case_rule_and_missing_comes_last(
    directory: Directory, people: list[Any]
) -> None:
    assert names(ask(directory, "/Users", sortBy="userName")) == ["ann", "Bob", "cy", "dee", "éva"]
    assert names(ask(directory, "/Users", sortBy="USERNAME", sortOrder="Descending")) == [
        "éva",
        "dee",
        "cy",
        "Bob",
        "ann",
    ]
    directory.user("zoe")
    assert names(ask(directory, "/Users", sortBy="title"))[-1] == "zoe"
    assert names(ask(directory, "/Users", sortBy="title", sortOrder="descending"))[0] == "zoe"


@pytest.mark.req("P9")
def test_an_empty_order_is_none_asked_for(directory: Directory, people: list[Any]) -> None:
    as_made = names(ask(directory, "/Users"))

    def both(**parameters: str) -> list[str]:
        searched = directory("POST", "/Users/.search", parameters)
        assert searched.status_code == 200, searched.text
        asked = names(ask(directory, "/Users", **parameters))
        assert names(searched.get_json(force=True)) == asked
        return asked

    assert both(sortBy="", sortOrder="descending") == as_made
    assert both(sortBy="", sortOrder="") == as_made
    assert both(sortBy="userName", sortOrder="") == both(sortBy="userName")


@pytest.mark.req("P10")
def test_a_search_in_the_body_asks_the_same(directory: Directory, people: list[Any]) -> None:
    body = {
        "schemas": [SEARCH],
        "FILTER": 'title eq "t0"',
        "sortBy": "userName",
        "sortOrder": "descending",
        "startIndex": 1,
        "count": 1,
        "attributes": ["userName"],
    }
    found = directory("POST", "/Users/.search", body).get_json(force=True)
    assert found["totalResults"] == 2
    assert [set(each) for each in found["Resources"]] == [{"schemas", "id", "userName"}]
    assert names(found) == ["dee"]
    plain = directory("POST", "/Users/.search", {}).get_json(force=True)
    assert plain["totalResults"] == 5


def test_a_search_of_another_kind_or_type_is_refused(directory: Directory) -> None:
    for body in ({"schemas": ["urn:x"]}, {"schemas": "x"}):
        refused(directory("POST", "/.search", body), 400, "invalidSyntax")
    for body in (
        {"filter": 1},
        {"attributes": [1]},
        {"attributes": {"a": 1}},
        {"count": True},
        {"count": 1.5},
        {"startIndex": [1]},
        {"sortBy": 5},
    ):
        refused(directory("POST", "/Users/.search", body), 400, "invalidValue")


@pytest.mark.req("P7")
@pytest.mark.req("P10")
def test_a_query_over_all_types(directory: Directory, people: list[Any]) -> None:
    directory.group("ann's", people[0]["id"])
    directory.group("Zed")
    assert names(ask(directory, "/")) == ["cy", "ann", "Bob", "dee", "éva", "ann's", "Zed"]
    assert names(ask(directory, "/", startIndex=5, count=2)) == ["éva", "ann's"]
    assert names(ask(directory, "/", startIndex=7, count=9)) == ["Zed"]
    assert ask(directory, "/", count=0)["totalResults"] == 7
    assert names(ask(directory, "/", filter='displayName sw "z" or userName eq "BOB"')) == [
        "Bob",
        "Zed",
    ]
    assert names(ask(directory, "/", filter="members pr")) == ["ann's"]
    assert names(ask(directory, "/", filter='meta.resourceType eq "Group"')) == ["ann's", "Zed"]
    refused(directory("GET", "/?filter=nope%20pr"), 400, "invalidFilter")
    refused(directory("GET", "/?sortBy=nope"), 400, "invalidPath")
    found = directory("POST", "/.search", {"attributes": ["userName", "displayName"]})
    assert len(found.get_json(force=True)["Resources"]) == 7


@pytest.mark.req("P9")
def test_an_order_over_all_types_mixes_them(directory: Directory) -> None:
    for name in ("b", "d"):
        directory.user(name, displayName=name)
    for name in ("C", "a"):
        directory.group(name)
    assert names(ask(directory, "/", sortBy="displayName")) == ["a", "b", "C", "d"]
    assert names(ask(directory, "/", sortBy="displayName", count=2, startIndex=2)) == ["b", "C"]
    assert names(ask(directory, "/", sortBy="displayName", sortOrder="descending")) == [
        "d",
        "C",
        "b",
        "a",
    ]
    assert names(ask(directory, "/", sortBy="userName")) == ["b", "d", "C", "a"]


@pytest.mark.req("P3")
def test_a_page_ends_early_when_its_groups_hold_too_many_members(
    directory: Directory, people: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scim.resources, "MAX_MEMBERS_PER_PAGE", 4)
    ids = [person["id"] for person in people]
    for place in range(3):
        directory.group(f"g{place}", *ids[:2])
    directory.group("g3", *ids)
    pages, start = [], 1
    while len(pages) < 9:
        body = ask(directory, "/Groups", startIndex=start)
        assert body["totalResults"] == 4
        if not body["Resources"]:
            break
        pages.append(names(body))
        start += body["itemsPerPage"]
    assert pages == [["g0", "g1"], ["g2"], ["g3"]]
    assert len(ask(directory, "/Groups", excludedAttributes="members")["Resources"]) == 4


@pytest.mark.req("S2")
def test_a_filter_in_the_address_may_hold_anything(directory: Directory) -> None:
    directory.user('we"ird\\+&=é%')
    assert directory.find('userName eq "we\\"ird\\\\+&=é%"') == ['we"ird\\+&=é%']
    body = ask(directory, "/Users", filter='userName eq "we\\"ird\\\\+&=é%"')
    assert body["totalResults"] == 1


@pytest.mark.req("P4")
def test_a_parameter_is_read_in_any_case(directory: Directory, people: list[Any]) -> None:
    assert names(ask(directory, "/Users", FILTER='userName eq "ann"')) == ["ann"]
    found = ask(directory, "/Users", startindex=2, COUNT=1, Attributes="userName")
    assert names(found) == ["ann"]
    assert set(found["Resources"][0]) == {"schemas", "id", "userName"}
    refused(directory("GET", "/Schemas?Filter=x"), 403)


@pytest.mark.req("P4")
def test_of_two_filters_none_is_passed_over(directory: Directory, people: list[Any]) -> None:
    for query in ("filter=active%20pr&filter=title%20pr", "filter=title%20pr&Filter=title%20pr",
                  "count=1&count=2", "cursor=&cursor="):  # fmt: skip
        refused(directory("GET", f"/Users?{query}"), 400, "invalidValue")
    both = directory("GET", f"/Users/{people[0]['id']}?attributes=userName&attributes=active")
    assert {"userName", "active"} <= set(both.get_json(force=True))


@pytest.mark.sqlite
@pytest.mark.parametrize("most", [0, 2, 500])
def test_a_range_finds_the_same_whether_its_people_are_named_or_not(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(ranges, "MAX_NAMED", most)
    for name in ("ada", "adam", "bob", "carl"):
        directory.user(name, displayName=name.title())
    gone = directory.user("adele")["id"]
    directory("DELETE", f"/Users/{gone}")
    since = directory("GET", "/Users?filter=userName%20eq%20%22carl%22").get_json(force=True)
    changed = since["Resources"][0]["meta"]["lastModified"]
    assert directory.find('userName sw "ad"') == ["ada", "adam"]
    assert directory.find('userName sw "ad" and displayName co "m"') == ["adam"]
    assert directory.find('not (userName sw "ad")') == ["bob", "carl"]
    assert directory.find('userName gt "bob"') == ["carl"]
    assert directory.find('displayName sw "ADA"') == ["ada", "adam"]
    assert directory.find('userName sw "nobody"') == []
    assert "carl" in directory.find(f'meta.lastModified ge "{changed}"')
    assert directory.find('meta.lastModified gt "2100-01-01T00:00:00Z"') == []


@pytest.mark.sqlite
def test_what_changed_since_reads_nobody_else(directory: Directory) -> None:
    for n in range(20):
        directory.user(f"p{n}")
    with counted() as statements:
        assert directory.find('meta.lastModified gt "2100-01-01T00:00:00Z"') == []
    asked = [each for each in statements if 'FROM "user"' in each]
    assert "user_updated_at_index (updated_at>?)" in plans(asked)[0]
    assert all("0 = 1" in each for each in asked[1:])


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("own", "plan"),
    [
        (90_000, "SEARCH t1 USING INTEGER PRIMARY KEY (rowid>?)"),
        (20, "SEARCH t2 USING INDEX user_connection_living_id"),
    ],
)
def test_a_large_directorys_keys_are_walked_and_a_small_ones_are_picked(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, own: int, plan: str
) -> None:
    """All people of a large one would be read for each batch anew, else everybody's keys."""
    monkeypatch.setattr(tally, "living", lambda *_: own)
    monkeypatch.setattr(tally, "of_all", lambda *_: 100_000)
    with counted() as statements:
        assert directory.find('displayName eq "Card"', "/SecurityKeys") == []
    (found,) = plans([each for each in statements if 'FROM "security_key"' in each])
    assert plan in found


@pytest.mark.sqlite
def test_whoever_changes_while_a_range_is_read_is_not_in_it(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = directory.user("ada")["id"]
    named = lookups.narrowed

    def and_then_renamed(*given: Any) -> Any:
        found = named(*given)
        rename = {"op": "replace", "path": "userName", "value": "grace"}
        assert directory.patch(f"/Users/{ada}", rename).status_code == 200
        return found

    monkeypatch.setattr(lookups, "narrowed", and_then_renamed)
    assert directory.find('userName sw "ad"') == []


def test_no_key_has_an_external_id(directory: Directory) -> None:
    with counted() as statements:
        assert directory.find('externalId eq "x"', "/SecurityKeys") == []
        assert directory.find("externalId pr", "/SecurityKeys") == []
    asked = [each for each in statements if 'FROM "security_key"' in each]
    assert asked
    assert all("1 = 0" in each for each in asked)
