# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Ranges of an index that hold few people: those are named one by one.

"What changed since?" has a short answer, for which SQLite would read all that the connection has:
it knows nothing of what is in a table. PostgreSQL does.
"""

from __future__ import annotations

from peewee import ModelSelect

from provisioning.models import User
from provisioning.storage.db import is_sqlite, tuples

from .columns import Condition, Leaf
from .expressions import Comparison, Operator

MAX_NAMED = 500  # people; of more the condition stays as it is

_OPERATORS = frozenset({Operator.SW, Operator.GT, Operator.GE, Operator.LT, Operator.LE})


def narrowed(leaf: Leaf, condition: Condition) -> Condition:
    """Return the condition of a column that has an index, with the people named if they are few."""
    if not is_sqlite() or not isinstance(leaf, Comparison) or leaf.op not in _OPERATORS:
        return condition
    found: ModelSelect[User] = User.select(User.id).where(User.deleted_at.is_null(), condition.sql)
    named = [pk for (pk,) in tuples(found.limit(MAX_NAMED + 1))]
    if len(named) > MAX_NAMED:
        return condition
    # Asked once more, as whoever was named may have changed before the page is read.
    return Condition(User.id.in_(named) & condition.sql, condition.exact)
