# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Queries: parameters or a SearchRequest in, a ListResponse out (RFC 7644 §3.4.2, §3.4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from provisioning.errors import InvalidValue

from .caller import Caller
from .errors import InvalidFilter, InvalidPath, InvalidSyntax
from .expressions import Expression, Never
from .filters import parse
from .projection import projection
from .resources import Resource, render
from .rows import Row
from .schema import ResourceType, Returned
from .selection import Selection, Sort

DEFAULT_COUNT = 100
MAX_COUNT = 200
LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
SEARCH_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

_MOST = 2**62

# Rows in the order in which they are sent, each with the place of its type.
_Page = list[tuple[int, Row]]


@dataclass(frozen=True)
class Listing:
    """What a query asks for."""

    filter: str | None = None
    sort_by: str | None = None
    descending: bool = False
    start_index: int = 1
    count: int = DEFAULT_COUNT
    attributes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


def from_parameters(parameters: Mapping[str, str]) -> Listing:
    """Read the query parameters. Raises InvalidValue."""
    return Listing(
        filter=parameters.get("filter"),
        sort_by=parameters.get("sortBy") or None,
        descending=_descending(parameters.get("sortOrder")),
        start_index=_start(parameters.get("startIndex")),
        count=_count(parameters.get("count")),
        attributes=names(parameters.get("attributes")),
        excluded=names(parameters.get("excludedAttributes")),
    )


def from_search(body: Mapping[str, object]) -> Listing:
    """Read a SearchRequest. Raises InvalidSyntax and InvalidValue."""
    given = {name.lower(): value for name, value in body.items()}
    urns = given.get("schemas")
    if urns is not None and not (
        isinstance(urns, list) and SEARCH_URN.lower() in [str(urn).lower() for urn in urns]
    ):
        raise InvalidSyntax(f"schemas does not name {SEARCH_URN}.")
    return Listing(
        filter=_text(given, "filter"),
        sort_by=_text(given, "sortBy"),
        descending=_descending(_text(given, "sortOrder")),
        start_index=_start(given.get("startindex")),
        count=_count(given.get("count")),
        attributes=_texts(given, "attributes"),
        excluded=_texts(given, "excludedAttributes"),
    )


def names(text: str | None) -> tuple[str, ...]:
    """Split a comma-separated list of attribute names."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def answer(caller: Caller, types: Sequence[ResourceType], listing: Listing) -> bytes:
    """Return the ListResponse of a query over one type or several.

    Over several, they follow one another in the order given unless sorted.
    """
    filters = [_filter(type_, listing, lenient=len(types) > 1) for type_ in types]
    if listing.filter is not None and all(isinstance(each, Never) for each in filters):
        # No type has the attribute at all: parse once more, to say so.
        parse(listing.filter, types[0])
    sorts = _sorts(types, listing)
    selections = [
        Selection(type_, caller.connection, caller.base, expression, sort)
        for type_, expression, sort in zip(types, filters, sorts, strict=True)
    ]
    offset = listing.start_index - 1
    if len(types) > 1 and listing.sort_by is not None:
        total, page = _merged(selections, offset, listing)
    else:
        total, page = _in_turn(selections, offset, listing.count)
    rendered = _rendered(caller, selections, page, listing)
    return list_response([each.body for each in rendered], total, listing.start_index)


def list_response(resources: Sequence[bytes], total: int, start_index: int = 1) -> bytes:
    """Return the message; itemsPerPage is how many there are in it (§3.4.2)."""
    head = orjson.dumps(
        {
            "schemas": [LIST_URN],
            "totalResults": total,
            "startIndex": start_index,
            "itemsPerPage": len(resources),
        }
    )
    return head[:-1] + b',"Resources":[' + b",".join(resources) + b"]}"


def _filter(type_: ResourceType, listing: Listing, *, lenient: bool) -> Expression | None:
    if listing.filter is None:
        return None
    if not listing.filter.strip():
        raise InvalidFilter("The filter is empty.")
    return parse(listing.filter, type_, lenient=lenient)


def _sorts(types: Sequence[ResourceType], listing: Listing) -> list[Sort | None]:
    if listing.sort_by is None:
        return [None for _ in types]
    paths = [type_.resolve(listing.sort_by) for type_ in types]
    if not any(paths):
        raise InvalidPath("sortBy names no attribute.")
    for path in paths:
        if path is not None and path.attribute.returned is Returned.NEVER:
            raise InvalidPath("sortBy names an attribute that is never returned.")
        if path is not None and path.leaf.is_complex and path.to("value") is None:
            raise InvalidPath(f"{path} has parts: sort by one of them.")
    return [Sort(path, listing.descending) for path in paths]


def _in_turn(selections: Sequence[Selection], offset: int, count: int) -> tuple[int, _Page]:
    total = 0
    page: _Page = []
    for place, selection in enumerate(selections):
        there, rows = selection.slice(max(0, offset - total), count - len(page))
        total += there
        page += [(place, row) for row in rows]
    return total, page


def _merged(selections: Sequence[Selection], offset: int, listing: Listing) -> tuple[int, _Page]:
    ranked = [
        (key, place, pk)
        for place, selection in enumerate(selections)
        for key, pk in selection.ranked()
    ]
    ranked.sort(key=lambda each: each[0], reverse=listing.descending)
    wanted = ranked[offset : offset + listing.count]
    rows = {
        (place, row.pk): row
        for place, selection in enumerate(selections)
        for row in selection.fetch([pk for _, where, pk in wanted if where == place])
    }
    return len(ranked), [(place, rows[place, pk]) for _, place, pk in wanted if (place, pk) in rows]


def _rendered(
    caller: Caller, selections: Sequence[Selection], page: _Page, listing: Listing
) -> list[Resource]:
    """Render a page type by type and put it back in order; it ends where a type's part ends."""
    waiting = []
    for place, selection in enumerate(selections):
        shape = projection(selection.type, listing.attributes, listing.excluded)
        rows = [row for where, row in page if where == place]
        waiting.append(iter(render(selection.type, rows, shape, caller.connection, caller.base)))
    found: list[Resource] = []
    for place, _ in page:
        resource = next(waiting[place], None)
        if resource is None:
            break
        found.append(resource)
    return found


def _text(given: Mapping[str, object], name: str) -> str | None:
    value = given.get(name.lower())
    if value is not None and not isinstance(value, str):
        raise InvalidValue(f"{name} is a text.", name)
    return value


def _texts(given: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = given.get(name.lower())
    if value is None:
        return ()
    if isinstance(value, str):
        return names(value)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidValue(f"{name} is a list of names.", name)
    return tuple(value)


def _descending(order: str | None) -> bool:
    if order is not None and order.lower() not in ("ascending", "descending"):
        raise InvalidValue("sortOrder is ascending or descending.", "sortOrder")
    return order is not None and order.lower() == "descending"


def _start(value: object) -> int:
    return max(1, _integer(value, "startIndex", 1))


def _count(value: object) -> int:
    return min(MAX_COUNT, max(0, _integer(value, "count", DEFAULT_COUNT)))


def _integer(value: object, name: str, default: int) -> int:
    if value is None or value == "":
        return default
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = int(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(f"{name} is a whole number.", name)
    return max(-_MOST, min(_MOST, value))
