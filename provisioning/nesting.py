# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How groups lie in each other: who is in a group through another one, and how deep that may go.

Only `check` knows the limit: whoever reads follows what is there to its end, so that no two
readers disagree about who is in a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import InvalidValue
from .models import Group, Member, User
from .storage.db import tuples
from .storage.statements import ListStatements

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
    while holders:
        rows = Member.select(Member.subgroup, Member.group).where(
            Member.subgroup.in_(list(holders))
        )
        above: dict[int, set[int]] = {}
        for child, parent in tuples(rows):
            for user_id in holders[child]:
                if parent not in found[user_id]:
                    found[user_id][parent] = "indirect"
                    above.setdefault(parent, set()).add(user_id)
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
    return _reached(ids, _ABOVE)


def below(ids: set[int]) -> set[int]:
    """Return the row ids of these groups and of all that are nested in them."""
    return _reached(ids, _BELOW)


def check(group: Group, subgroups: set[int]) -> None:
    """Raise InvalidValue if groups may not come into another: a circle, or too deep (R6)."""
    over, under = _levels({group.id}, _ABOVE), _levels(subgroups, _BELOW)
    if any(group.id in level for level in under):
        raise InvalidValue("A group cannot be a member of itself.", "members")
    if len(over) + len(under) > MAX_NESTING:
        raise InvalidValue(f"Groups nest at most {MAX_NESTING} deep.", "members")


def _reached(start: set[int], step: ListStatements) -> set[int]:
    """Return all groups on one side of these, however deep: what is there counts."""
    reached, level = set(start), set(start)
    while level:
        level = {pk for (pk,) in step.rows(list(level))} - reached
        reached |= level
    return reached


def _levels(start: set[int], step: ListStatements) -> list[set[int]]:
    """Return the groups that lie so many steps away, by the number of steps, the start first.

    A group stands on each level that some path to it has, so that there are as many levels as
    the longest path has groups: a shorter one may be taken away, and what it hid stays. One
    level more than may be is enough to know.
    """
    levels = [start]
    while len(levels) <= MAX_NESTING:
        following = {pk for (pk,) in step.rows(list(levels[-1]))}
        if not following:
            break
        levels.append(following)
    return levels


_ABOVE = ListStatements(lambda ids, _: Member.select(Member.group).where(Member.subgroup.in_(ids)))
_BELOW = ListStatements(
    lambda ids, _: Member.select(Member.subgroup).where(
        Member.group.in_(ids), Member.subgroup.is_null(False)
    )
)
