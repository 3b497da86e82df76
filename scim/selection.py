# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which resources a query returns, how many there are, and in what order.

Columns answer what they can (`lookups`). What they cannot answer is answered by reading the
documents of the rows that are left, in batches and up to a limit: right, bounded, and slower.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import total_ordering
from itertools import islice
from typing import Any

from peewee import chunked

from provisioning.models import Connection

from .cursors import Edge, SortKey
from .errors import TooMany
from .expressions import Expression, attributes_of, instant
from .lookups import sort_column
from .matching import key, matches, values
from .plans import Found, Plan, plan
from .projection import projection
from .resource_types import KEYWRIGHT_USER
from .resources import as_dict, derive
from .rows import Row, fetch, read
from .schema import AttributePath, ResourceType, Type

MAX_SCANNED = 100_000
_BATCH = 500
_KEPT = 256  # characters of a sort key that a cursor holds


@dataclass(frozen=True)
class Sort:
    """`sortBy` and `sortOrder`; None where this type has not the attribute."""

    path: AttributePath | None
    descending: bool = False


@dataclass(frozen=True)
class Selection:
    """The resources of one type that a query asks for."""

    type: ResourceType
    connection: Connection
    base: str
    filter: Expression | None = None
    sort: Sort | None = None
    # By row id, as it was when the row was read: who moves meanwhile takes no page's end along.
    _sorted_by: dict[int, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def slice(self, offset: int, limit: int) -> tuple[int, list[Row]]:
        """Return how many there are, and those on the page. Raises TooMany, InvalidFilter."""
        plan_ = self._plan()
        ordered = self.sort is None or sort_column(self.type, self.sort.path) is not None
        if not plan_.exact or not ordered:
            found = self.ranked()
            wanted = [pk for _, pk in found[offset : offset + limit]]
            return len(found), self.fetch(wanted)
        path = self.sort.path if self.sort is not None else None
        rows = self._read(plan_.page(path, self._descending, offset, limit + 1)) if limit else []
        if 0 < len(rows) <= limit or (limit and not offset and not rows):
            return offset + len(rows), rows
        return plan_.count(), rows[:limit]

    def after(self, edge: Edge | None, limit: int) -> list[Row]:
        """Return the rows behind an edge, or the first ones: by keyset where a column sorts.

        Then a page costs the same wherever it is. Raises TooMany, InvalidFilter.
        """
        plan_, path = self._plan(), self.sort.path if self.sort is not None else None
        if self.sort is not None and (not plan_.exact or self._column is None):
            found = self.places()
            start = bisect_right(found, self._rank(edge), key=self._rank) if edge else 0
            return self._first([each.pk for each in found[start:]], limit)
        if path is not None and edge is None:
            return self._read(plan_.page(path, self._descending, 0, limit))
        if path is not None and edge is not None:
            return self._read(plan_.after(path, self._descending, edge, limit))
        last = edge.pk if edge is not None else 0
        if plan_.exact:
            return read(self.type, plan_.batch(last, limit))
        matching = (
            row
            for row, document in self._documents(plan_, last)
            if self.filter is None or matches(self.filter, document)
        )
        return list(islice(matching, limit))

    def edge(self, row: Row) -> Edge:
        """Return the edge that a row makes when a page ends with it."""
        if self.sort is None:
            return Edge(None, row.pk)
        if row.pk in self._sorted_by:
            value = self._sorted_by[row.pk]
            return Edge((value is None, value if value is not None else ""), row.pk)
        derived = derive(self.type, [row], self._needed(), self.connection, self.base)
        document = as_dict(self.type, row, derived, self.base)
        return Edge(_cut(_sort_key(self.sort.path, document)), row.pk)

    def places(self) -> list[Edge]:
        """Return every match in order, ties by row id, by reading the documents."""
        found = [Edge(_cut(key), pk) for key, pk in self.ranked()]
        if self.sort is not None:
            found.sort(key=self._rank)
        return found

    def count(self) -> int:
        """Return how many there are. Raises TooMany, InvalidFilter."""
        plan_ = self._plan()
        return plan_.count() if plan_.exact else len(self.ranked())

    def ranked(self) -> list[tuple[SortKey, int]]:
        """Return sort key and row id of every match, in order, by reading the documents."""
        plan_ = self._plan()
        found = [
            (_sort_key(self.sort.path if self.sort else None, document), row.pk)
            for row, document in self._documents(plan_)
            if plan_.exact or self.filter is None or matches(self.filter, document)
        ]
        if self.sort is not None:
            found.sort(key=lambda each: each[0], reverse=self._descending)
        return found

    def fetch(self, pks: list[int]) -> list[Row]:
        """Return rows by their ids, in the order given."""
        return fetch(self.type, self.connection, pks)

    def _first(self, pks: list[int], limit: int) -> list[Row]:
        """Return so many rows; one that went since the ids were read is no end of the list."""
        rows: list[Row] = []
        for part in chunked(pks, limit):
            rows += self.fetch(list(part))
            if len(rows) >= limit:
                break
        return rows[:limit]

    def _read(self, found: Found) -> list[Row]:
        """Read a page, and remember what it was sorted by."""
        if self._column is None:
            return read(self.type, found)
        rows = list(found)
        self._sorted_by.update((row[0], row[-1]) for row in rows)
        return read(self.type, [row[:-1] for row in rows])

    def _rank(self, edge: Edge) -> Rank:
        return rank(edge, descending=self._descending)

    @property
    def _column(self) -> Any | None:
        return sort_column(self.type, self.sort.path) if self.sort is not None else None

    @property
    def _descending(self) -> bool:
        return self.sort is not None and self.sort.descending

    def _plan(self) -> Plan:
        return plan(self.type, self.connection, self.base, self.filter)

    def _documents(self, plan_: Plan, last: int = 0) -> Iterator[tuple[Row, dict[str, object]]]:
        """Read what the columns let through behind a row id, a batch at a time, by keyset."""
        scanned = 0
        needed = self._needed()
        while True:
            batch = read(self.type, plan_.batch(last, _BATCH))
            scanned += len(batch)
            if scanned > MAX_SCANNED:
                raise TooMany(
                    "This query reads more resources than the server is willing to: "
                    "filter by userName, externalId, emails or id."
                )
            derived = derive(self.type, batch, needed, self.connection, self.base)
            for row in batch:
                yield row, as_dict(self.type, row, derived, self.base)
            if len(batch) < _BATCH:
                return
            last = batch[-1].pk

    def _needed(self) -> Any:
        """Load groups or keys for a scan only when the query reads them."""
        names = set(attributes_of(self.filter)) if self.filter is not None else set()
        if self.sort is not None and self.sort.path is not None:
            names.add(str(self.sort.path.whole))
        if "meta" in names:  # an entity tag covers what is derived
            names |= {"groups", KEYWRIGHT_USER}
        if "schemas" in names:
            names.add(KEYWRIGHT_USER)
        return projection(self.type, ["id", *names])


@total_ordering
@dataclass(frozen=True)
class Rank:
    """An edge as something to sort by: descending turns the key around, never the tie-break."""

    key: SortKey
    tie: tuple[int, ...]
    descending: bool

    def __lt__(self, other: Rank) -> bool:
        if self.key == other.key:
            return self.tie < other.tie
        return (self.key < other.key) is not self.descending


def rank(edge: Edge, type_: int = 0, *, descending: bool) -> Rank:
    """Return what an edge is sorted by among others, perhaps of several types."""
    return Rank(edge.key or (True, ""), (type_, edge.pk), descending)


def _cut(key: SortKey) -> SortKey:
    """Keep a cursor short: behind its first 256 characters a text no longer decides the order."""
    missing, value = key
    return (missing, value[:_KEPT]) if isinstance(value, str) else key


def _sort_key(path: AttributePath | None, document: dict[str, object]) -> SortKey:
    """Return what a resource is sorted by: the primary or first value; none comes last."""
    if path is None:
        return True, ""
    if path.attribute.multi_valued:
        holder: Any = document.get(path.extension, {}) if path.extension else document
        elements = holder.get(path.attribute.name) or []
        chosen = next(
            (e for e in elements if isinstance(e, dict) and e.get("primary") is True),
            elements[0] if elements else None,
        )
        path = path if path.sub is not None else path.to("value") or path
        value = chosen.get(path.leaf.name) if isinstance(chosen, dict) else chosen
    else:
        value = next(iter(values(document, path)), None)
    if value is None or isinstance(value, dict | list):
        return True, ""
    if path.leaf.type is Type.DATE_TIME:
        return False, instant(str(value))
    if isinstance(value, bool | int | float):
        return False, float(value)
    return False, key(path.leaf, str(value))
