# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whom a batch can be made of: found by search, a group with its nested ones, or all New."""

from __future__ import annotations

from collections.abc import Sequence

from peewee import Expression

from .. import groups as all_groups
from .. import nesting
from ..lifecycle import UserStatus
from ..models import Batch, BatchItem, Group, Member, User
from ..pages import people
from .batches import MOST

FOUND = 20
_GROUPS = 200


def by_id(resource_ids: Sequence[str]) -> list[User]:
    """Return these living users in the order of their names; unknown ids are left out."""
    wanted = list(dict.fromkeys(resource_ids))[:MOST]
    return _in_order(User.resource_id.in_(wanted)) if wanted else []


def all_new() -> list[User]:
    """Return the active users without any key, as many as fit a batch."""
    return _in_order(User.status == UserStatus.NEW)


def count_new() -> int:
    """Return how many are New."""
    return people.counts()[UserStatus.NEW]


def of_group(resource_id: str) -> list[User]:
    """Return a group's active people, nested groups included. Raises NotFound."""
    group = all_groups.get_group(resource_id)
    inside = Member.select(Member.user).where(
        Member.group.in_(list(nesting.below({group.id}))), Member.user.is_null(False)
    )
    return _in_order(User.id.in_(inside))


def groups() -> list[tuple[str, str]]:
    """Return the groups to choose from, by name."""
    rows = (
        Group.select(Group.resource_id, Group.display_name)
        .where(Group.deleted_at.is_null())
        .order_by(Group.display_name_key, Group.id)
        .limit(_GROUPS)
    )
    return [(row.resource_id, row.display_name) for row in rows]


def candidates(batch: Batch, search: str) -> list[User]:
    """Return active people that a search finds and that are not in the batch yet."""
    if not search.strip():
        return []
    inside = BatchItem.select(BatchItem.user).where(BatchItem.batch == batch)
    found = people.are_found(User.id, search) & User.id.not_in(inside)
    return _in_order(found, FOUND)


def _in_order(which: Expression, most: int = MOST) -> list[User]:
    return list(
        User.select()
        .where(which, User.deleted_at.is_null(), User.active == True)  # noqa: E712 - peewee's
        .order_by(User.display_name_key, User.id)
        .limit(most)
    )
