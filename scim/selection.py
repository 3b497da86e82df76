# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which resources a query returns, how many there are, and in what order.

Columns answer what they can (`lookups`). What they cannot answer is answered by reading the
documents of the rows that are left, in batches and up to a limit: right, bounded, and slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from provisioning.models import Connection

from .errors import TooMany
from .expressions import Expression, attributes_of, instant
from .lookups import sort_column
from .matching import key, matches, values
from .plans import Plan, plan
from .projection import projection
from .resource_types import KEYWRIGHT_USER_SCHEMA
from .resources import as_dict, derive
from .rows import Row, fetch, read
from .schema import AttributePath, ResourceType, Type

MAX_SCANNED = 100_000
_BATCH = 500

SortKey = tuple[bool, str | Decimal | float]


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

    def slice(self, offset: int, limit: int) -> tuple[int, list[Row]]:
        """Return how many there are, and those on the page. Raises TooMany, InvalidFilter."""
        plan_ = self._plan()
        ordered = self.sort is None or sort_column(self.type, self.sort.path) is not None
        if not plan_.exact or not ordered:
            found = self.ranked()
            wanted = [pk for _, pk in found[offset : offset + limit]]
            return len(found), self.fetch(wanted)
        path = self.sort.path if self.sort is not None else None
        rows = (
            read(self.type, plan_.page(path, self._descending, offset, limit + 1)) if limit else []
        )
        if 0 < len(rows) <= limit or (limit and not offset and not rows):
            return offset + len(rows), rows
        return plan_.count(), rows[:limit]

    def ranked(self) -> list[tuple[SortKey, int]]:
        """Return sort key and row id of every match, in order, by reading the documents."""
        plan_ = self._plan()
        found = [
            (_sort_key(self.sort.path if self.sort else None, document), pk)
            for pk, document in self._documents(plan_)
            if plan_.exact or self.filter is None or matches(self.filter, document)
        ]
        if self.sort is not None:
            found.sort(key=lambda each: each[0], reverse=self._descending)
        return found

    def fetch(self, pks: list[int]) -> list[Row]:
        """Return rows by their ids, in the order given."""
        return fetch(self.type, self.connection, pks)

    @property
    def _descending(self) -> bool:
        return self.sort is not None and self.sort.descending

    def _plan(self) -> Plan:
        return plan(self.type, self.connection, self.base, self.filter)

    def _documents(self, plan_: Plan) -> Iterator[tuple[int, dict[str, object]]]:
        """Read what the columns let through, a batch at a time, by keyset."""
        last = scanned = 0
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
                yield row.pk, as_dict(self.type, row, derived, self.base)
            if len(batch) < _BATCH:
                return
            last = batch[-1].pk

    def _needed(self) -> Any:
        """Load groups or keys for a scan only when the query reads them."""
        names = set(attributes_of(self.filter)) if self.filter is not None else set()
        if self.sort is not None and self.sort.path is not None:
            names.add(self.sort.path.attribute.name)
        if "meta" in names:  # an entity tag covers what is derived
            names |= {"groups", "securityKeys"}
        own = {attribute.name for attribute in KEYWRIGHT_USER_SCHEMA.attributes}
        return projection(
            self.type,
            ["id", *(f"{KEYWRIGHT_USER_SCHEMA.urn}:{n}" if n in own else n for n in names)],
        )


def _sort_key(path: AttributePath | None, document: dict[str, object]) -> SortKey:
    """Return what a resource is sorted by: the primary or first value; none comes last."""
    if path is None:
        return True, ""
    if path.attribute.multi_valued:
        holder: Any = document.get(path.extension, {}) if path.extension else document
        elements = [e for e in holder.get(path.attribute.name) or [] if isinstance(e, dict)]
        chosen = next(
            (e for e in elements if e.get("primary") is True), elements[0] if elements else {}
        )
        path = path if path.sub is not None else path.to("value") or path
        value = chosen.get(path.leaf.name)
    else:
        value = next(iter(values(document, path)), None)
    if value is None or isinstance(value, dict | list):
        return True, ""
    if path.leaf.type is Type.DATE_TIME:
        return False, instant(str(value))
    if isinstance(value, bool | int | float):
        return False, float(value)
    return False, key(path.leaf, str(value))
