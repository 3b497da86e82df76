# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is derived from other rows: a user's groups and keys, a group's members.

Always for many resources at once, so that a page costs the same number of queries as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from peewee import ModelSelect, fn

from provisioning.lifecycle import KeyState
from provisioning.models import Connection, Group, Member, SecurityKey, User
from provisioning.nesting import MAX_NESTING

from .resource_types import GROUP, SECURITY_KEY, USER
from .statements import ListStatements
from .timestamps import iso

Elements = dict[int, list[dict[str, object]]]


def groups_of(users: Iterable[int], connection: Connection, base: str) -> Elements:
    """Return `groups` of users by row id: direct ones first, then those through nesting.

    Only groups that this connection may see.
    """
    found: dict[int, dict[int, str]] = {pk: {} for pk in users}
    names: dict[int, tuple[str, str]] = {}
    holders: dict[int, set[int]] = {}
    wanted: list[int] = list(found)
    kind = "direct"
    for _ in range(MAX_NESTING):
        above: dict[int, set[int]] = {}
        for inner, pk, group_id, name, owner in _ABOVE.rows(wanted, kind):
            if owner == connection.id:
                names[pk] = (group_id, name)
            for user in {inner} if kind == "direct" else holders[inner]:
                if pk not in found[user]:
                    found[user][pk] = kind
                    above.setdefault(pk, set()).add(user)
        if not above:
            break
        wanted, holders, kind = list(above), above, "indirect"
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
    }


def keys_of(users: Iterable[int], base: str) -> Elements:
    """Return `securityKeys` of users by row id, oldest first; drafts are nobody's yet."""
    found: Elements = {}
    for user, key_id, name, kind, state, reason, model, activated_at, used_at in _KEYS.rows(
        list(users)
    ):
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


def _above(ids: list[Any], _: Any, kind: str) -> ModelSelect[Any]:
    child: Any = Member.user if kind == "direct" else Member.subgroup
    return (
        Member.select(child, Group.id, Group.resource_id, Group.display_name, Group.connection)
        .join(Group, on=(Member.group == Group.id))
        .where(child.in_(ids))
        .order_by(Member.id)
    )


def _keys(ids: list[Any], _: Any) -> ModelSelect[Any]:
    key = SecurityKey
    return (
        key.select(
            key.user,
            key.resource_id,
            key.name,
            key.kind,
            key.state,
            key.reason,
            key.model,
            key.activated_at,
            key.last_used_at,
        )
        .where(key.user.in_(ids), key.state != KeyState.DRAFT)
        .order_by(key.id)
    )


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


_ABOVE = ListStatements(_above)
_KEYS = ListStatements(_keys)
_COUNTS = ListStatements(_counts)
_MEMBERS = ListStatements(_members)
