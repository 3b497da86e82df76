# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Walking through what a query finds, page by page behind a place (RFC 9865).

Each resource comes once and in order, whatever comes and goes in the meantime: a page starts
behind what the one before ended with, and not at a number that others can shift.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from peewee import chunked

from .cursors import Edge, Place
from .rows import Row
from .selection import Rank, Selection, rank

# Rows in the order in which they are sent, each with the place of its type.
Page = list[tuple[int, Row]]


def in_turn(selections: Sequence[Selection], place: Place | None, limit: int) -> Page:
    """Return the rows behind a place where the types follow one another."""
    first, edge = (place.type, place.edge) if place is not None else (0, None)
    page: Page = []
    for number in range(first, len(selections)):
        if len(page) == limit:
            break
        rows = selections[number].after(edge, limit - len(page))
        page += [(number, row) for row in rows]
        edge = None
    return page


def merged(
    selections: Sequence[Selection], place: Place | None, limit: int, *, descending: bool
) -> tuple[int, Page]:
    """Return how many there are and the rows behind a place where several types are sorted."""

    def ranked(each: tuple[int, Edge]) -> Rank:
        return rank(each[1], each[0], descending=descending)

    found = sorted(
        ((number, edge) for number, each in enumerate(selections) for edge in each.places()),
        key=ranked,
    )
    start = (
        bisect_right(found, ranked((place.type, place.edge)), key=ranked)
        if place is not None
        else 0
    )
    page: Page = []
    for part in chunked(found[start:], limit):  # what went in the meantime is no end of the list
        if len(page) >= limit:
            break
        rows = {
            (number, row.pk): row
            for number, each in enumerate(selections)
            for row in each.fetch([edge.pk for where, edge in part if where == number])
        }
        page += [(n, rows[n, edge.pk]) for n, edge in part if (n, edge.pk) in rows]
    return len(found), page[:limit]
