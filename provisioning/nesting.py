# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How groups lie in each other: who is in a group through another one, and how deep that may go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import InvalidValue
from .models import Group, Member, User
from .storage.db import tuples

MAX_NESTING = 8


@dataclass(frozen=True)
class GroupRef:
    """A group that a user is in; `type` is `direct` or `indirect` (RFC 7643 §4.1.2)."""

    resource_id: str
    display: str
    type: str


def groups_of(user: User) -> list[GroupRef]:
    """Return a user's groups, direct and through nesting, direct ones first."""
    return groups_of_many([user]).get(user.id, [])


def groups_of_many(users: Sequence[User]) -> dict[int, list[GroupRef]]:
    """The same for a page of users, in a number of queries that the page size does not change."""
    found: dict[int, dict[int, str]] = {user.id: {} for user in users}
    if not users:
        return {}
    holders: dict[int, set[int]] = {}
    direct = Member.select(Member.user, Member.group).where(Member.user.in_(list(found)))
    for user_id, group_id in tuples(direct):
        found[user_id][group_id] = "direct"
        holders.setdefault(group_id, set()).add(user_id)
    for _ in range(MAX_NESTING):
        rows = Member.select(Member.subgroup, Member.group).where(
            Member.subgroup.in_(list(holders))
        )
        above: dict[int, set[int]] = {}
        for child, parent in tuples(rows) if holders else ():
            for user_id in holders[child]:
                if parent not in found[user_id]:
                    found[user_id][parent] = "indirect"
                    above.setdefault(parent, set()).add(user_id)
        if not above:
            break
        holders = above
    ids = {group_id for groups in found.values() for group_id in groups}
    names = (
        {
            group.id: (group.resource_id, group.display_name)
            for group in Group.select().where(Group.id.in_(list(ids)))
        }
        if ids
        else {}
    )
    return {
        user_id: [
            GroupRef(*names[group_id], kind)
            for group_id, kind in sorted(groups.items(), key=lambda item: (item[1], item[0]))
        ]
        for user_id, groups in found.items()
    }


def above(ids: set[int]) -> set[int]:
    """Return the row ids of these groups and of all that they are nested in."""
    return set().union(*_levels(ids, up=True)) if ids else set()


def below(group: Group) -> set[int]:
    """Return the row ids of a group and of all that are nested in it."""
    return set().union(*_levels({group.id}, up=False))


def check(group: Group, subgroup: int) -> None:
    """Raise InvalidValue if a group may not come into another: a circle, or too deep (R6)."""
    above = _levels({group.id}, up=True)
    below = _levels({subgroup}, up=False)
    if any(subgroup in level for level in above) or subgroup == group.id:
        raise InvalidValue("A group cannot be a member of itself.", "members")
    if len(above) + len(below) > MAX_NESTING:
        raise InvalidValue(f"Groups nest at most {MAX_NESTING} deep.", "members")


def _levels(start: set[int], *, up: bool) -> list[set[int]]:
    """Return the groups above (or below) by level, the start first; bounded by MAX_NESTING."""
    known, come = (Member.subgroup, Member.group) if up else (Member.group, Member.subgroup)
    levels, seen = [start], set(start)
    while len(levels) <= MAX_NESTING:
        rows = Member.select(come).where(known.in_(list(levels[-1])), come.is_null(False))
        following = {row[0] for row in tuples(rows)} - seen
        if not following:
            break
        seen |= following
        levels.append(following)
    return levels
