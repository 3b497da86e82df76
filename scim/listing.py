# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Queries: parameters or a SearchRequest in, a ListResponse out (RFC 7644 §3.4.2, §3.4.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from provisioning.errors import InvalidValue

from . import walks
from .caller import Caller
from .cursors import Place, bound_to
from .errors import InvalidCount, InvalidFilter, InvalidPath, InvalidSyntax
from .expressions import Expression, unknown_to
from .filters import parse
from .projection import projection
from .resources import texts
from .schema import ResourceType, Returned
from .selection import Selection, Sort
from .walks import Page

DEFAULT_COUNT = 100
MAX_COUNT = 200
LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
SEARCH_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

_MOST = 2**62
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")  # `int` takes underscores and the digits of every script


@dataclass(frozen=True)
class Listing:
    """What a query asks for; with a `cursor`, which is empty for the first page, by cursor."""

    filter: str | None = None
    sort_by: str | None = None
    descending: bool = False
    start_index: int = 1
    count: int = DEFAULT_COUNT
    attributes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    cursor: str | None = None


def from_parameters(parameters: Mapping[str, str]) -> Listing:
    """Read the query parameters, named in lower case. Raises InvalidValue and InvalidCount."""
    cursor = parameters.get("cursor")
    return Listing(
        filter=parameters.get("filter"),
        sort_by=parameters.get("sortby") or None,
        descending=_descending(parameters.get("sortorder")),
        start_index=_start(parameters.get("startindex"), cursor),
        count=_count(parameters.get("count"), cursor),
        attributes=names(parameters.get("attributes")),
        excluded=names(parameters.get("excludedattributes")),
        cursor=cursor,
    )


def from_search(body: Mapping[str, object]) -> Listing:
    """Read a SearchRequest. Raises InvalidSyntax, InvalidValue and InvalidCount."""
    given = {name.lower(): value for name, value in body.items()}
    urns = given.get("schemas")
    if urns is not None and not (
        isinstance(urns, list) and SEARCH_URN.lower() in [str(urn).lower() for urn in urns]
    ):
        raise InvalidSyntax(f"schemas does not name {SEARCH_URN}.")
    cursor = _text(given, "cursor")
    return Listing(
        filter=_text(given, "filter"),
        sort_by=_text(given, "sortBy") or None,
        descending=_descending(_text(given, "sortOrder")),
        start_index=_start(given.get("startindex"), cursor),
        count=_count(given.get("count"), cursor),
        attributes=_texts(given, "attributes"),
        excluded=_texts(given, "excludedAttributes"),
        cursor=cursor,
    )


def names(text: str | None) -> tuple[str, ...]:
    """Split a comma-separated list of attribute names."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def answer(caller: Caller, types: Sequence[ResourceType], listing: Listing) -> bytes:
    """Return the ListResponse of a query over one type or several.

    Over several, they follow one another in the order given unless sorted.
    """
    filters = [_filter(type_, listing, lenient=len(types) > 1) for type_ in types]
    if listing.filter is not None and len(types) > 1:
        _check_names(filters)
    sorts = _sorts(types, listing)
    selections = [
        Selection(type_, caller.connection, caller.base, expression, sort)
        for type_, expression, sort in zip(types, filters, sorts, strict=True)
    ]
    if listing.cursor is not None:
        return _by_cursor(caller, selections, listing, listing.cursor)
    offset = listing.start_index - 1
    if len(types) > 1 and listing.sort_by is not None:
        total, page = _merged(selections, offset, listing)
    else:
        total, page = _in_turn(selections, offset, listing.count)
    rendered = _rendered(caller, selections, page, listing)
    return list_response(rendered, total, listing.start_index)


def list_response(
    resources: Sequence[str], total: int, start_index: int | None = 1, following: str = ""
) -> bytes:
    """Return the message; itemsPerPage is how many there are in it (§3.4.2).

    By cursor there is no index, and the cursor of the following page unless this is the last.
    """
    message: dict[str, object] = {"schemas": [LIST_URN], "totalResults": total}
    if start_index is not None:
        message["startIndex"] = start_index
    message["itemsPerPage"] = len(resources)
    if following:
        message["nextCursor"] = following
    head = orjson.dumps(message).decode()
    return f'{head[:-1]},"Resources":[{",".join(resources)}]}}'.encode()


def _filter(type_: ResourceType, listing: Listing, *, lenient: bool) -> Expression | None:
    if listing.filter is None:
        return None
    if not listing.filter.strip():
        raise InvalidFilter("The filter is empty.")
    return parse(listing.filter, type_, lenient=lenient)


def _check_names(filters: Sequence[Expression | None]) -> None:
    """Refuse a name that no type has: `not (nope eq 1)` would be everything (§3.4.2.1)."""
    lacking = [set(unknown_to(each)) for each in filters if each is not None]
    for name in sorted(set.intersection(*lacking)):
        raise InvalidFilter(f"No resource type has an attribute {name}.")


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


def _by_cursor(
    caller: Caller, selections: Sequence[Selection], listing: Listing, cursor: str
) -> bytes:
    """Answer by cursor: one row more than asked for tells whether another page follows."""
    query = bound_to(
        caller.connection.id,
        [each.type.name for each in selections],
        listing.filter,
        listing.sort_by,
        listing.descending,
        listing.count,
    )
    place = caller.door.cursors.open(cursor, query) if cursor else None
    limit = listing.count + 1
    if len(selections) > 1 and listing.sort_by is not None:
        total, found = walks.merged(selections, place, limit, descending=listing.descending)
    else:
        found = walks.in_turn(selections, place, limit)
        total = len(found) if len(found) < limit else -1
    if place is not None:
        total = place.total
    elif total < 0:
        total = sum(each.count() for each in selections)
    page = found[: listing.count]
    rendered = _rendered(caller, selections, page, listing)
    following = ""
    if len(rendered) < len(found):
        last, row = page[len(rendered) - 1]
        following = caller.door.cursors.seal(Place(last, selections[last].edge(row), total), query)
    return list_response(rendered, total, None, following)


def _in_turn(selections: Sequence[Selection], offset: int, count: int) -> tuple[int, Page]:
    total = 0
    page: Page = []
    for place, selection in enumerate(selections):
        there, rows = selection.slice(max(0, offset - total), count - len(page))
        total += there
        page += [(place, row) for row in rows]
    return total, page


def _merged(selections: Sequence[Selection], offset: int, listing: Listing) -> tuple[int, Page]:
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
    caller: Caller, selections: Sequence[Selection], page: Page, listing: Listing
) -> list[str]:
    """Render a page type by type and put it back in order; it ends where a type's part ends."""
    waiting = []
    for place, selection in enumerate(selections):
        shape = projection(selection.type, listing.attributes, listing.excluded)
        rows = [row for where, row in page if where == place]
        found = texts(selection.type, rows, shape, caller.connection, caller.base)
        if len(selections) == 1:
            return found
        waiting.append(iter(found))
    bodies: list[str] = []
    for place, _ in page:
        body = next(waiting[place], None)
        if body is None:
            break
        bodies.append(body)
    return bodies


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
    word = (order or "ascending").lower()  # empty is not given, as for `sortBy`
    if word not in ("ascending", "descending"):
        raise InvalidValue("sortOrder is ascending or descending.", "sortOrder")
    return word == "descending"


def _start(value: object, cursor: str | None) -> int:
    if cursor is not None and value not in (None, ""):
        raise InvalidValue("startIndex and cursor exclude each other.", "startIndex")
    return max(1, _integer(value, "startIndex", 1))


def _count(value: object, cursor: str | None) -> int:
    if cursor is None:
        return min(MAX_COUNT, max(0, _integer(value, "count", DEFAULT_COUNT)))
    try:
        count = _integer(value, "count", DEFAULT_COUNT)
    except InvalidValue:
        count = 0
    if count < 1:
        raise InvalidCount(f"With a cursor, count is 1 to {MAX_COUNT}.")
    return min(MAX_COUNT, count)  # "regardless of what is specified" (RFC 9865 §4)


def _integer(value: object, name: str, default: int) -> int:
    if value is None or value == "":
        return default
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(f"{name} is a whole number.", name)
    return max(-_MOST, min(_MOST, value))
