# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Groups and members for pages: search, member counts and keyset pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from peewee import ModelSelect, Tuple, fn

from ..models import Connection, Group, Member, User
from ..naming import fold
from ..storage.db import tuples
from ..storage.indexes import unindexed
from . import people

PAGE = 50
_LOOKED_AT = 100  # when somebody to add is looked for


@dataclass(frozen=True)
class Line:
    """One group in a list."""

    resource_id: str
    name: str
    source: str | None
    updated_at: int
    members: int


@dataclass(frozen=True)
class MemberLine:
    """One member in a list; `status` only for users, `sub` is the userName."""

    resource_id: str
    is_user: bool
    name: str
    sub: str
    status: str


def count() -> int:
    """Return how many living groups there are."""
    return int(Group.select().where(Group.deleted_at.is_null()).count())


def page(
    search: str = "", *, after: str | None = None, without: Sequence[str] = (), size: int = PAGE
) -> tuple[list[Line], bool]:
    """Return groups by name, those in `without` left out, and whether more follow."""
    query = _found(search, without)
    edge = Group.get_or_none(Group.resource_id == after) if after else None
    if edge is not None:
        here = Tuple(Group.display_name_key, Group.id)
        query = query.where(here > Tuple(edge.display_name_key, edge.id))
    rows = list(tuples(query.order_by(Group.display_name_key, Group.id).limit(size + 1)))
    members = _member_counts([row[0] for row in rows[:size]])
    lines = [Line(*(*row[1:], members.get(row[0], 0))) for row in rows[:size]]
    return lines, len(rows) > size


def how_many(search: str, without: Sequence[str] = ()) -> int:
    """Return how many groups match."""
    return int(_found(search, without).count())


def named(ids: Sequence[str]) -> list[Line]:
    """Return these groups in the given order; those that are gone are left out."""
    if not ids:
        return []
    query = _columns().where(Group.resource_id.in_(list(ids)), Group.deleted_at.is_null())
    found = {row[1]: Line(*(*row[1:], 0)) for row in tuples(query)}
    return [found[resource_id] for resource_id in ids if resource_id in found]


def member_count(group: Group) -> int:
    """Return how many members a group has."""
    return int(Member.select().where(Member.group == group).count())


def members(
    group: Group, search: str = "", *, after: int = 0, size: int = PAGE
) -> tuple[list[MemberLine], int]:
    """Return members in order of joining, and the row to go on after (0: no more).

    A search finds the beginnings of userName and of every word of the shown name.
    """
    inner = Group.alias()
    query = (
        Member.select(
            Member.id,
            User.resource_id,
            User.display_name,
            User.user_name,
            User.status,
            inner.resource_id,
            inner.display_name,
        )
        .left_outer_join(User, on=(Member.user == User.id))
        .switch(Member)
        .left_outer_join(inner, on=(Member.subgroup == inner.id))
    )
    # The page's own rows first: joined before they are put in order, all members would be read.
    wanted = Member.select(Member.id).where(Member.group == group, Member.id > after)
    key = fold(search)
    if key:
        # On the membership's own columns, so that only those found are joined.
        named = Group.select(Group.id).where(Group.display_name_key.startswith(key))
        wanted = wanted.where(people.are_found(Member.user, search) | Member.subgroup.in_(named))
    ids = [row_id for (row_id,) in tuples(wanted.order_by(Member.id).limit(size + 1))]
    rows = list(tuples(query.where(Member.id.in_(ids)).order_by(Member.id))) if ids else []
    lines = [
        MemberLine(row[1], True, row[2], row[3], row[4])
        if row[1] is not None
        else MemberLine(row[5], False, row[6], "", "")
        for row in rows[:size]
    ]
    return lines, rows[size - 1][0] if len(rows) > size else 0


def candidates(group: Group, search: str, size: int = 20) -> list[MemberLine]:
    """Return people and groups that a search finds and that are not in the group yet.

    Of the first hundred that it finds: where all of those are in, a longer search finds the others.
    """
    users = _user_lines().order_by(User.display_name_key, User.id)
    others = _group_lines().where(Group.id != group.id)
    others = others.order_by(Group.display_name_key, Group.id)
    key = fold(search)
    if key:
        # By the index of names: SQLite would sort all whom it finds.
        users = users.where(people.are_found(unindexed(User.id), search))
        others = others.where(Group.display_name_key.contains(key))
    found = [MemberLine(row[0], True, *row[1:]) for row in tuples(users.limit(_LOOKED_AT))]
    found += [MemberLine(*row, "", "") for row in _with_kind(others.limit(_LOOKED_AT // 2))]
    inside = _inside(group, [line.resource_id for line in found])
    new = [line for line in found if line.resource_id not in inside]
    return [line for line in new if line.is_user][:size] + [
        line for line in new if not line.is_user
    ][: size // 2]


def _inside(group: Group, ids: list[str]) -> set[str]:
    """Return those of these resource ids that are members of the group."""
    mine = Member.group == group
    # Not joined, as SQLite would begin with all members of the group.
    people = dict(tuples(User.select(User.id, User.resource_id).where(User.resource_id.in_(ids))))
    others = dict(
        tuples(Group.select(Group.id, Group.resource_id).where(Group.resource_id.in_(ids)))
    )
    users = Member.select(Member.user).where(mine, Member.user.in_(list(people)))
    nested = Member.select(Member.subgroup).where(mine, Member.subgroup.in_(list(others)))
    inside = {people[pk] for (pk,) in tuples(users)}
    return inside | {others[pk] for (pk,) in tuples(nested)}


def lines_of(ids: Sequence[str]) -> list[MemberLine]:
    """Return these people and groups, people first."""
    if not ids:
        return []
    wanted = list(ids)
    users = _user_lines().where(User.resource_id.in_(wanted))
    others = _group_lines().where(Group.resource_id.in_(wanted))
    found = [MemberLine(row[0], True, *row[1:]) for row in tuples(users)]
    return found + [MemberLine(*row, "", "") for row in _with_kind(others)]


def _user_lines() -> ModelSelect[User]:
    return User.select(User.resource_id, User.display_name, User.user_name, User.status).where(
        User.deleted_at.is_null()
    )


def _group_lines() -> ModelSelect[Group]:
    return Group.select(Group.resource_id, Group.display_name).where(Group.deleted_at.is_null())


def _with_kind(query: ModelSelect[Group]) -> list[tuple[str, bool, str]]:
    return [(resource_id, False, name) for resource_id, name in tuples(query)]


def _columns() -> ModelSelect[Group]:
    return Group.select(
        Group.id, Group.resource_id, Group.display_name, Connection.name, Group.updated_at
    ).left_outer_join(Connection)


def _found(search: str, without: Sequence[str]) -> ModelSelect[Group]:
    query = _columns().where(Group.deleted_at.is_null())
    key = fold(search)
    if key:
        query = query.where(Group.display_name_key.contains(key))
    return query.where(Group.resource_id.not_in(list(without))) if without else query


def _member_counts(ids: list[int]) -> dict[int, int]:
    if not ids:
        return {}
    query = (
        Member.select(Member.group, fn.COUNT(Member.id))
        .where(Member.group.in_(ids))
        .group_by(Member.group)
    )
    return dict(tuples(query))
