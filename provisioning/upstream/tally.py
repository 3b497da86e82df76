# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How many living users and groups a connection has, counted as they come and go.

A directory is told the total with every page, and counting a million rows takes 50 ms. Writers
queue anyway, so that one row more to write makes nobody wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from peewee import fn

from ..models import Group, Tally, User
from ..storage.db import Gathered, tuples
from ..storage.statements import Statements, parameter

Counted = type[User] | type[Group]


def add(table: Counted, connection: int | None, count: int) -> None:
    """Note that so many came, or went if it is negative, in the transaction in which they do."""
    if connection is not None:
        _COUNTS.add((connection, table.__name__, count))


def living(table: Counted, connection: int) -> int:
    """Return how many there are."""
    return living_ahead(table, connection)()


def living_ahead(table: Counted, connection: int) -> Callable[[], int]:
    """The same, asked together with what is asked next; to be read after that."""
    found = _LIVING.ahead((), (connection, table.__name__))

    def living() -> int:
        rows = found()
        return int(rows[0][0]) if rows else 0

    return living


def of_all(table: Counted) -> int:
    """Return how many there are of all connections."""
    found = _OF_ALL.rows((), (table.__name__,))
    return int(found[0][0] or 0)


def _write(counts: Sequence[tuple[int, str, int]]) -> None:
    sums: Counter[tuple[int, str]] = Counter()
    for connection, kind, count in counts:
        sums[connection, kind] += count
    for each, count in sums.items():
        _ADD.say((), (*each, count))


_COUNTS = Gathered(_write)


def all_living() -> dict[tuple[int, str], int]:
    """Return how many there are of each connection and kind (User, Group)."""
    rows = Tally.select(Tally.connection, Tally.kind, Tally.living)
    return {(connection, kind): int(count) for connection, kind, count in tuples(rows)}


_ADD = Statements(
    lambda: (
        Tally.insert(
            {
                Tally.connection: parameter(0),
                Tally.kind: parameter(1),
                Tally.living: parameter(2),
            }
        )
        .on_conflict(
            conflict_target=[Tally.connection, Tally.kind],
            update={Tally.living: Tally.living + parameter(2)},
        )
        .returning()
    )
)
_LIVING = Statements(
    lambda: Tally.select(Tally.living).where(
        Tally.connection == parameter(0), Tally.kind == parameter(1)
    )
)
_OF_ALL = Statements(lambda: Tally.select(fn.SUM(Tally.living)).where(Tally.kind == parameter(0)))
