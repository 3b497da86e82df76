# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Connections: what one upstream directory may do here, and how it leaves.

Functions never commit: the caller holds `db.transaction()`. Tokens have their own module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Any

import orjson
from peewee import ModelSelect, fn

from .. import audit
from ..audit import Actor, Event
from ..clock import now_ms
from ..errors import InvalidValue, NotFound, Taken, WrongState
from ..event_streams import streams
from ..event_streams.streams import StreamState
from ..groups import MAX_NAME as MAX_NAME_OF_GROUP
from ..models import Connection, Group, Token, User
from ..models.directories import FILES
from ..naming import look_up_key
from ..storage.db import tuples
from . import guard, tally, tokens

MAX_NAME = 64


@unique
class Profile(StrEnum):
    """Which leniencies a directory gets; `scim.quirks` says what each of them holds."""

    TOLERANT = "tolerant"
    STRICT = "strict"
    ENTRA = "entra"
    OKTA = "okta"
    ONELOGIN = "onelogin"


@unique
class Scope(StrEnum):
    """What a directory may write."""

    WRITE = "write"
    USERS = "users"
    READ = "read"


@unique
class PatchReply(StrEnum):
    """What a PATCH is answered with, unless the request names attributes (RFC 7644 §3.5.2)."""

    USUAL = "usual"  # 200 and the user; 204 for groups, which Entra wants
    BODY = "body"  # 200 and the resource, groups as well
    EMPTY = "empty"  # 204


@dataclass(frozen=True)
class Terms:
    """What an owner may change about a connection."""

    name: str
    scope: str
    profile: str
    patch_reply: str
    unique_group_names: bool
    merges_bulk: bool


@dataclass(frozen=True)
class Holdings:
    """What belongs to a connection, in numbers."""

    users: int
    groups: int
    tokens: int


def get(connection_id: int) -> Connection:
    """Return a connection; raises NotFound."""
    found = Connection.get_or_none(Connection.id == connection_id, Connection.profile != FILES)
    if found is None:
        raise NotFound("There is no such directory.")
    return found


def by_name(name: str) -> Connection:
    """Return a connection by its name; raises NotFound."""
    found = Connection.get_or_none(Connection.name == name.strip(), Connection.profile != FILES)
    if found is None:
        raise NotFound(f"There is no connection {name}.")
    return found


def terms_of(connection: Connection) -> Terms:
    """Return what holds for a connection now."""
    return Terms(
        connection.name,
        connection.scope,
        connection.profile,
        connection.patch_reply,
        connection.unique_group_names,
        connection.merges_bulk,
    )


def change(connection: Connection, wanted: Terms, actor: Actor) -> list[str]:
    """Make these terms hold, from the directory's next request on; return what is other now.

    Raises InvalidValue, Taken, or WrongState where groups that share a name stand in the way.
    """
    wanted = replace(wanted, name=wanted.name.strip())
    before = terms_of(connection)
    changes = {
        name: [getattr(before, name), value]
        for name, value in vars(wanted).items()
        if value != getattr(before, name)
    }
    if not changes:
        return []
    _check(wanted)
    if "name" in changes and Connection.select().where(Connection.name == wanted.name).exists():
        raise Taken(f"There is already a connection {wanted.name}.", "name")
    if "unique_group_names" in changes and wanted.unique_group_names:
        _make_unique(connection)
    for name in changes:
        setattr(connection, name, getattr(wanted, name))
    connection.save()
    audit.record(actor, Event.CONNECTION_CHANGED, connection=before.name, changes=changes)
    return sorted(changes)


def holdings(connection: Connection) -> Holdings:
    """Return what belongs to it; nothing is counted row by row."""
    return Holdings(
        users=tally.living(User, connection.id),
        groups=tally.living(Group, connection.id),
        tokens=tokens.living(connection).count(),
    )


def retire(connection: Connection, actor: Actor) -> int:
    """Let the directory in no more, and tell it nothing; its people and groups stay as they are.

    Return how many tokens were revoked. Raises WrongState if it is retired already.
    """
    if connection.retired_at is not None:
        raise WrongState(f"{connection.name} is retired already.")
    living = list(Token.select().where(Token.connection == connection, Token.revoked_at.is_null()))
    for token in living:
        tokens.revoke(token.public_id, actor)
    for stream in streams.every(connection):
        if stream.state == StreamState.ACTIVE:
            streams.set_state(stream, StreamState.STOPPED, actor)
    connection.retired_at = now_ms()
    connection.save()
    audit.record(actor, Event.CONNECTION_RETIRED, connection=connection.name, tokens=len(living))
    return len(living)


def resume(connection: Connection, actor: Actor) -> None:
    """Let a retired directory be connected again; it needs a new token. Raises WrongState."""
    if connection.retired_at is None:
        raise WrongState(f"{connection.name} is not retired.")
    connection.retired_at = None
    connection.save()
    audit.record(actor, Event.CONNECTION_RESUMED, connection=connection.name)


def delete(connection: Connection, actor: Actor) -> Holdings:
    """Forget a retired connection: its people and groups are the panel's own from here on.

    Nobody is suspended by it. Groups whose name the panel's own have already get the
    connection's name behind theirs. Raises WrongState.
    """
    if connection.retired_at is None:
        raise WrongState(f"Retire {connection.name} first.")
    if guard.open_for(connection) is not None:
        raise WrongState("A mass departure of this directory waits for a decision: decide first.")
    if guard.takes_back(connection):
        raise WrongState(
            "A mass departure of this directory is being taken back: wait for its end."
        )
    before = holdings(connection)
    renamed = _rename_clashing(connection)
    mine: dict[str, Any] = {"connection": None}
    User.update(**mine).where(User.connection == connection).execute()
    Group.update(**mine, twin="").where(Group.connection == connection).execute()
    name = connection.name
    connection.delete_instance()
    audit.record(
        actor,
        Event.CONNECTION_DELETED,
        connection=name,
        users=before.users,
        groups=before.groups,
        renamed=renamed,
    )
    return before


def clashes(connection: Connection) -> int:
    """Return how many groups get a longer name when the connection is deleted."""
    return _clashing(connection).count()


def _check(wanted: Terms) -> None:
    if not wanted.name or len(wanted.name) > MAX_NAME:
        raise InvalidValue(f"A connection's name has 1 to {MAX_NAME} characters.", "name")
    for name, words in (("scope", Scope), ("profile", Profile), ("patch_reply", PatchReply)):
        if getattr(wanted, name) not in list(words):
            raise InvalidValue(f"{name} is one of {', '.join(words)}.", name)
    if wanted.merges_bulk and wanted.profile == Profile.STRICT:
        raise InvalidValue(
            "In the strict profile a Bulk POST never changes anybody: choose another profile.",
            "merges_bulk",
        )


def _make_unique(connection: Connection) -> None:
    mine = Group.connection == connection, Group.deleted_at.is_null()
    shared = (
        Group.select(fn.MIN(Group.display_name))
        .where(*mine)
        .group_by(Group.display_name_key)
        .having(fn.COUNT(Group.id) > 1)
    )
    names = sorted(name for (name,) in tuples(shared))
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise WrongState(
            f"Several groups share a name: {', '.join(names[:3])}{more}. Rename them first."
        )
    Group.update(twin="").where(*mine, Group.twin != "").execute()


def _clashing(connection: Connection) -> ModelSelect[Group]:
    """The connection's groups whose name the panel's own, or an older one of its own, have."""
    other = Group.alias()
    held = other.select(other.id).where(
        other.display_name_key == Group.display_name_key,
        other.deleted_at.is_null(),
        other.connection.is_null() | ((other.connection == connection) & (other.id < Group.id)),
    )
    return Group.select().where(
        Group.connection == connection, Group.deleted_at.is_null(), fn.EXISTS(held)
    )


def _rename_clashing(connection: Connection) -> int:
    renamed = 0
    for group in list(_clashing(connection)):
        tail = f" ({connection.name} {group.id})"
        group.display_name = group.display_name[: MAX_NAME_OF_GROUP - len(tail)] + tail
        group.display_name_key = look_up_key(group.display_name, "displayName")
        document = orjson.loads(group.document)
        group.document = orjson.dumps({**document, "displayName": group.display_name}).decode()
        group.version += 1
        group.updated_at = now_ms()
        group.save()
        renamed += 1
    return renamed
