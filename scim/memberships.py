# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is derived from other rows: a user's groups and keys, a group's members.

Always for many resources at once, so that a page costs the same number of queries as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from peewee import SQL, CharField, ModelSelect, TextField, fn

from provisioning.lifecycle import KeyState
from provisioning.models import Connection, Group, Member, SecurityKey, User

from .resource_types import GROUP, SECURITY_KEY, USER
from .rows import Row, select
from .statements import ListStatements, Statements, parameter
from .timestamps import iso

Elements = dict[int, list[dict[str, object]]]


def groups_of(users: Sequence[int], connection: Connection, base: str) -> Elements:
    """Return `groups` of users by row id: direct ones first, then those through nesting.

    Only groups that this connection may see; who is in none at all is left out.
    """
    return _groups(users, _DIRECT.rows(users), connection, base)


def keys_of(users: Sequence[int], base: str) -> Elements:
    """Return `securityKeys` of users by row id, oldest first; drafts are nobody's yet."""
    return _keys(_KEYS.rows(users), base)


def groups_and_keys_of(
    users: Sequence[int], connection: Connection, base: str
) -> tuple[Elements, Elements]:
    """Return both by one statement: nearly every reader of a user wants them."""
    return _told_apart(users, _BOTH.rows(users), connection, base)


def user_with_both(
    wanted: str, connection: Connection, base: str
) -> tuple[Row, Elements, Elements] | None:
    """Return a living user by their id, and both, by one statement; None if there is none."""
    found = _USER_WITH_BOTH.rows((), (connection.id, wanted))
    own = [row[_END:] for row in found if row[0] is None]
    if not own:
        return None
    user = Row._make(own[0])
    others = [row[:_END] for row in found if row[0] is not None]
    return user, *_told_apart([user.pk], others, connection, base)


def _told_apart(
    users: Sequence[int], rows: Iterable[tuple[Any, ...]], connection: Connection, base: str
) -> tuple[Elements, Elements]:
    rows = sorted(rows, key=itemgetter(0))  # the row ids of memberships and of keys
    direct = [row[1:_SPLIT] for row in rows if row[1] is not None]
    held = [row[_SPLIT:] for row in rows if row[1] is None]
    return _groups(users, direct, connection, base), _keys(held, base)


def _groups(
    users: Iterable[int], rows: Iterable[tuple[Any, ...]], connection: Connection, base: str
) -> Elements:
    found: dict[int, dict[int, str]] = {pk: {} for pk in users}
    names: dict[int, tuple[str, str]] = {}
    holders: dict[int, set[int]] = {}
    kind = "direct"
    while True:
        above: dict[int, set[int]] = {}
        for inner, pk, group_id, name, owner in rows:
            if owner == connection.id:
                names[pk] = (group_id, name)
            for user in {inner} if kind == "direct" else holders[inner]:
                if pk not in found[user]:
                    found[user][pk] = kind
                    above.setdefault(pk, set()).add(user)
        if not above:
            break
        holders, kind = above, "indirect"
        rows = _INDIRECT.rows(list(above))
    return {
        user: [
            {
                "value": names[pk][0],
                "$ref": f"{base}{GROUP.endpoint}/{names[pk][0]}",
                "display": names[pk][1],
                "type": how,
            }
            for pk, how in groups.items()
            if pk in names
        ]
        for user, groups in found.items()
        if groups
    }


def _keys(rows: Iterable[tuple[Any, ...]], base: str) -> Elements:
    found: Elements = {}
    for user, key_id, name, kind, state, reason, model, activated_at, used_at in rows:
        element = {
            "value": key_id,
            "$ref": f"{base}{SECURITY_KEY.endpoint}/{key_id}",
            "display": name,
            "kind": kind,
            "state": state,
            "reason": reason,
            "model": model,
            "activatedAt": iso(activated_at) if activated_at is not None else None,
            "lastUsedAt": iso(used_at) if used_at is not None else None,
        }
        present = {part: value for part, value in element.items() if value is not None}
        found.setdefault(user, []).append(present)
    return found


def member_counts(groups: Iterable[int]) -> dict[int, int]:
    """Return how many members groups have, by row id."""
    return dict(_COUNTS.rows(list(groups)))


def members_of(groups: Iterable[int], base: str) -> Elements:
    """Return `members` of groups by row id, in the order in which they joined."""
    found: Elements = {}
    users, nested = f"{base}{USER.endpoint}/", f"{base}{GROUP.endpoint}/"
    for group, user_id, user_name, group_id, group_name in _MEMBERS.rows(list(groups)):
        if user_id is not None:
            element = {
                "value": user_id,
                "$ref": users + user_id,
                "type": USER.name,
                "display": user_name,
            }
        else:
            element = {
                "value": group_id,
                "$ref": nested + group_id,
                "type": GROUP.name,
                "display": group_name,
            }
        found.setdefault(group, []).append(element)
    return found


_GROUP_COLUMNS = (Group.id, Group.resource_id, Group.display_name, Group.connection)
_KEY_COLUMNS = (
    SecurityKey.user,
    SecurityKey.resource_id,
    SecurityKey.name,
    SecurityKey.kind,
    SecurityKey.state,
    SecurityKey.reason,
    SecurityKey.model,
    SecurityKey.activated_at,
    SecurityKey.last_used_at,
)
_SPLIT = 2 + len(_GROUP_COLUMNS)  # where the columns of keys begin, behind row id, user and group
_END = _SPLIT + len(_KEY_COLUMNS)  # and where those of the user


def _nothing(columns: Iterable[Any]) -> list[Any]:
    """Return what stands for columns of others; PostgreSQL wants to know their types."""
    kinds = ("TEXT" if isinstance(each, CharField | TextField) else "BIGINT" for each in columns)
    return [SQL("NULL").cast(kind) for kind in kinds]


def _above(child: Any, ids: list[Any], *columns: Any) -> ModelSelect[Any]:
    query: ModelSelect[Any] = Member.select(*columns).join(Group, on=(Member.group == Group.id))
    return query.where(child.in_(ids))


def _held(ids: list[Any], *columns: Any) -> ModelSelect[Any]:
    query: ModelSelect[Any] = SecurityKey.select(*columns)
    return query.where(SecurityKey.user.in_(ids), SecurityKey.state != KeyState.DRAFT)


def _groups_above(ids: list[Any], child: Any) -> ModelSelect[Any]:
    return _above(child, ids, child, *_GROUP_COLUMNS).order_by(Member.id)


def _both(ids: list[Any], _: Any, *more: Any) -> Any:
    groups = (Member.id, Member.user, *_GROUP_COLUMNS, *_nothing(_KEY_COLUMNS), *more)
    keys = (SecurityKey.id, *_nothing((Member.user, *_GROUP_COLUMNS)), *_KEY_COLUMNS, *more)
    return _above(Member.user, ids, *groups).union_all(_held(ids, *keys))


def _user_with_both() -> Any:
    own = select(USER, parameter(0), User.resource_id == parameter(1))
    user = own.selected_columns
    others = _nothing((Member.id, Member.user, *_GROUP_COLUMNS, *_KEY_COLUMNS))
    both = _both([own.columns(User.id)], None, *_nothing(user))
    return both.union_all(own.columns(*others, *user))


def _counts(ids: list[Any], _: Any) -> ModelSelect[Any]:
    return (
        Member.select(Member.group, fn.COUNT(Member.id))
        .where(Member.group.in_(ids))
        .group_by(Member.group)
    )


def _members(ids: list[Any], _: Any) -> ModelSelect[Any]:
    subgroup = Group.alias()
    return (
        Member.select(
            Member.group,
            User.resource_id,
            User.display_name,
            subgroup.resource_id,
            subgroup.display_name,
        )
        .left_outer_join(User, on=(Member.user == User.id))
        .switch(Member)
        .left_outer_join(subgroup, on=(Member.subgroup == subgroup.id))
        .where(Member.group.in_(ids))
        .order_by(Member.id)
    )


_DIRECT = ListStatements(lambda ids, _: _groups_above(ids, Member.user))
_INDIRECT = ListStatements(lambda ids, _: _groups_above(ids, Member.subgroup))
_KEYS = ListStatements(lambda ids, _: _held(ids, *_KEY_COLUMNS).order_by(SecurityKey.id))
_BOTH = ListStatements(_both)
_USER_WITH_BOTH = Statements(_user_with_both)
_COUNTS = ListStatements(_counts)
_MEMBERS = ListStatements(_members)
