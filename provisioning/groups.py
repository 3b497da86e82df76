# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Groups and memberships. Membership is rows: no verb here loads a group's members.

Functions never commit: the caller holds `db.transaction()`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from peewee import IntegrityError, chunked

from . import audit, nesting
from .audit import Actor, Event
from .clock import now_ms
from .errors import InvalidValue, NotFound, Taken
from .event_streams import events
from .ids import new_id
from .models import Connection, Group, Member, User
from .naming import look_up_key
from .storage.db import tuples
from .storage.indexes import unindexed
from .storage.statements import ListStatements, Statements, insert, models, parameter, update
from .upstream import tally

Document = Mapping[str, object]

MAX_NAME = 256
_CHUNK = 512  # rows per statement, well under every database's limit on parameters


@dataclass(frozen=True)
class MemberRef:
    """A member as others see it: its resource id, `User` or `Group`, and its shown name."""

    resource_id: str
    type: str
    display: str


def create_group(document: Document, *, connection: Connection | None, actor: Actor) -> Group:
    """Make an empty group. Raises InvalidValue with the field, and Taken (displayName, externalId).

    For an externalId Taken comes from the index (S6) and ends the caller's transaction.
    """
    group = Group(resource_id=new_id(), connection=connection)
    _derive(group, document)
    _check_free(group)
    try:
        insert(group)
    except IntegrityError as error:
        raise _taken(group, error) from error
    tally.add(Group, group.connection_id, 1)
    events.note(events.Kind.CREATED, group, after=document)
    audit.record(
        actor, Event.GROUP_CREATED, group=group.resource_id, display_name=group.display_name
    )
    return group


def replace_group(group: Group, document: Document, *, actor: Actor, whole: bool = False) -> bool:
    """Store a new document (members are not part of it). False when nothing changed.

    `whole`: who asks gave all of it, and not only what changes.
    """
    before = orjson.loads(group.document)
    if before == document:
        return False
    shown, name = group.display_name, group.display_name_key
    _derive(group, document)
    if group.display_name_key != name:
        _check_free(group)
    _touch(group)
    try:
        update(group)
    except IntegrityError as error:
        raise _taken(group, error) from error
    if group.display_name != shown:
        _touch_those_with(Member.subgroup == group)
    kind = events.Kind.REPLACED if whole else events.Kind.CHANGED
    events.note(kind, group, before, document)
    audit.record(
        actor, Event.GROUP_CHANGED, group=group.resource_id, display_name=group.display_name
    )
    return True


def delete_group(group: Group, actor: Actor) -> None:
    """Empty the group and leave a tombstone; its name is free again."""
    _touch_those_with(Member.subgroup == group)
    Member.delete().where((Member.group == group) | (Member.subgroup == group)).execute()
    _touch(group)
    group.deleted_at = group.updated_at
    update(group, "deleted_at", "updated_at", "version", refusable=False)
    tally.add(Group, group.connection_id, -1)
    events.note(events.Kind.DELETED, group)
    audit.record(
        actor, Event.GROUP_DELETED, group=group.resource_id, display_name=group.display_name
    )


def get_group(resource_id: str, connection: Connection | None = None) -> Group:
    """Return a living group; with a connection only what that connection provisioned."""
    owner = (connection.id,) if connection is not None else ()
    found = models(Group, _LIVING.rows((bool(owner),), (resource_id, *owner)))
    if not found:
        raise NotFound(f"There is no group {resource_id}.")
    if connection is not None:
        found[0].connection = connection
    return found[0]


def document_of(group: Group) -> dict[str, object]:
    """Return the stored document as a fresh dict; members are not part of it."""
    document: dict[str, object] = orjson.loads(group.document)
    return document


def add_members(group: Group, ids: Sequence[str], *, actor: Actor) -> int:
    """Add users and groups by resource id; return how many were not members before.

    Raises InvalidValue for an id that nothing has, a cycle or nesting deeper than eight (R6).
    """
    users, groups = _resolve(ids, group.connection)
    if groups:
        nesting.check(group, groups)
    rows: list[tuple[int | None, int | None]] = [(user, None) for user in users]
    rows += [(None, subgroup) for subgroup in groups]
    added, now = 0, now_ms()
    while rows:
        size = min(_CHUNK, 1 << (len(rows).bit_length() - 1))  # few lengths: each is a statement
        part, rows = rows[:size], rows[size:]
        added += _ADD.change((size,), [group.id, now, *(pk for row in part for pk in row)])
    return _changed(group, added, "added", actor)


def remove_members(group: Group, ids: Sequence[str], *, actor: Actor) -> int:
    """Remove members by resource id; ids that are no members are no error (idempotent)."""
    users, groups = _found(list(dict.fromkeys(ids)), None)
    removed = _REMOVE.change(list(users.values()), "user", scope=group.id)
    removed += _REMOVE.change(list(groups.values()), "subgroup", scope=group.id)
    return _changed(group, removed, "removed", actor)


def remove_all_members(group: Group, *, actor: Actor) -> int:
    """Empty the group by one statement."""
    removed = Member.delete().where(Member.group == group).execute()
    return _changed(group, removed, "removed", actor)


def leave_all(user: User) -> list[int]:
    """Take a user out of every group by one statement; return the row ids of those groups."""
    left = [group for (group,) in _LEAVE.rows((), (user.id,))]
    if left:
        _touch_all(left)
    return left


def show_renamed(user: User) -> None:
    """Note that groups show a member's new name: who asks "changed since?" hears of it."""
    _touch_those_with(Member.user == user)


def rejoin(user: User, ids: Sequence[int], actor: Actor) -> None:
    """Put a user back into those of these groups that are there still."""
    for group in list(Group.select().where(Group.id.in_(ids), Group.deleted_at.is_null())):
        added = _ADD.change((1,), (group.id, now_ms(), user.id, None))
        _changed(group, added, "added", actor)


def replace_members(group: Group, ids: Sequence[str], *, actor: Actor) -> int:
    """Make exactly these the members; return how many rows were added or removed."""
    users, groups = _resolve(ids, group.connection)
    old = Member.select(Member.id, Member.user, Member.subgroup).where(Member.group == group)
    gone = [
        row_id
        for row_id, user, subgroup in tuples(old)
        if user not in users and subgroup not in groups
    ]
    for batch in chunked(gone, _CHUNK):
        Member.delete().where(Member.id.in_(batch)).execute()
    _changed(group, len(gone), "removed", actor)
    return len(gone) + add_members(group, ids, actor=actor)


def members(group: Group) -> Iterator[MemberRef]:
    """Stream the members in order of joining; those who were deleted are not among them."""
    subgroup = Group.alias()
    rows = (
        Member.select(
            User.resource_id, User.display_name, subgroup.resource_id, subgroup.display_name
        )
        .left_outer_join(User, on=(Member.user == User.id))
        .switch(Member)
        .left_outer_join(subgroup, on=(Member.subgroup == subgroup.id))
        .where(Member.group == group)
        .order_by(Member.id)
    )
    for user_id, user_name, group_id, group_name in rows.tuples().iterator():
        if user_id is not None:
            yield MemberRef(user_id, "User", user_name)
        else:
            yield MemberRef(group_id, "Group", group_name)


def _derive(group: Group, document: Document) -> None:
    name = document.get("displayName")
    name = name.strip() if isinstance(name, str) else ""
    if not name:
        raise InvalidValue("A group needs a display name.", "displayName")
    external_id = document.get("externalId")
    group.display_name = name
    group.display_name_key = look_up_key(name, "displayName", MAX_NAME)
    group.external_id = external_id if isinstance(external_id, str) and external_id else None
    look_up_key(group.external_id or "", "externalId")
    owner = group.connection
    group.twin = "" if owner is None or owner.unique_group_names else group.resource_id
    group.document = orjson.dumps(document).decode()


def _check_free(group: Group) -> None:
    if group.twin:
        return
    owner = group.connection_id
    twins = _TWINS.rows((owner is None,), (group.display_name_key, owner))
    if any(pk != group.id for (pk,) in twins):
        raise _taken(group)


def _taken(group: Group, error: IntegrityError | None = None) -> Taken:
    # Both databases name the index or its columns, PostgreSQL the values as well, further down.
    if "external_id" in str(error).partition("\n")[0]:
        return Taken(
            "Another group already has this externalId.",
            "externalId",
            kind="Group",
            value=group.external_id or "",
        )
    return Taken(
        f"There is already a group {group.display_name}.",
        "displayName",
        kind="Group",
        value=group.display_name,
    )


def _touch(group: Group) -> None:
    group.version += 1
    group.updated_at = now_ms()


def _touch_those_with(member: Any) -> None:
    _touch_all(Member.select(Member.group).where(member))


def _touch_all(groups: Any) -> None:
    """Give groups a new version by one statement; `groups` are row ids, or a query for them."""
    touched = Group.update(version=Group.version + 1, updated_at=now_ms())
    touched.where(Group.id.in_(groups)).execute()


def _changed(group: Group, count: int, verb: str, actor: Actor) -> int:
    if count:
        _touch(group)
        update(group, "version", "updated_at", refusable=False)
        events.note(events.Kind.CHANGED, group, also=("members",))
        audit.record(
            actor,
            Event.MEMBERS_CHANGED,
            group=group.resource_id,
            display_name=group.display_name,
            change=verb,
            members=count,
        )
    return count


def _resolve(ids: Sequence[str], connection: Connection | None) -> tuple[set[int], set[int]]:
    """Return the row ids of users and of groups; raises InvalidValue naming the unknown one."""
    wanted = list(dict.fromkeys(ids))
    users, groups = _found(wanted, connection)
    for resource_id in wanted:
        if resource_id not in users and resource_id not in groups:
            raise InvalidValue(f"There is no user or group {resource_id}.", "members")
    return set(users.values()), set(groups.values())


def _found(
    ids: Sequence[str], connection: Connection | None
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the row ids of the users and of the groups among these; few are groups."""
    scope = connection.id if connection is not None else None
    users = dict(_BY_RESOURCE_ID.rows(ids, User, connection is not None, scope=scope))
    others = [each for each in ids if each not in users]
    return users, dict(_BY_RESOURCE_ID.rows(others, Group, connection is not None, scope=scope))


def _living(owned: bool) -> Any:
    query = Group.select().where(Group.resource_id == parameter(0), Group.deleted_at.is_null())
    return query.where(Group.connection == parameter(1)) if owned else query


def _twins(of_nobody: bool) -> Any:
    owner = Group.connection.is_null() if of_nobody else Group.connection == parameter(1)
    return Group.select(Group.id).where(
        Group.display_name_key == parameter(0), Group.deleted_at.is_null(), owner
    )


def _by_resource_id(
    ids: list[Any], connection: Any, table: type[User] | type[Group], owned: bool
) -> Any:
    query = table.select(table.resource_id, table.id).where(
        table.resource_id.in_(ids), table.deleted_at.is_null()
    )
    # SQLite would rather walk all that the connection has.
    return query.where(unindexed(table.connection) == connection) if owned else query


def _added(size: int) -> Any:
    rows = [
        {
            "group_id": parameter(0),
            "created_at": parameter(1),
            "user_id": parameter(2 + 2 * row),
            "subgroup_id": parameter(3 + 2 * row),
        }
        for row in range(size)
    ]
    return Member.insert_many(rows).on_conflict_ignore().returning()


def _removed(ids: list[Any], group: Any, column: str) -> Any:
    return Member.delete().where(Member.group == group, getattr(Member, column).in_(ids))


# One member in or out of a group of any size: 0.1 ms of statements.
_LIVING = Statements(_living)
_TWINS = Statements(_twins)
_BY_RESOURCE_ID = ListStatements(_by_resource_id)
_ADD = Statements(_added)
_REMOVE = ListStatements(_removed)
_LEAVE = Statements(
    lambda: Member.delete().where(Member.user == parameter(0)).returning(Member.group)
)
