# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Schemas that an installation adds to people and groups, kept as they were given.

What a schema means is the business of the door that speaks its language; here it is a document
under a name. Functions never commit: the caller holds `db.transaction()`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import audit
from ..audit import Actor, Event
from ..errors import NotFound, Taken, WrongState
from ..models import CustomSchema, Group, User
from ..naming import fold
from ..storage.db import tuples

Version = tuple[tuple[int, int], ...]

_HOLDERS: dict[str, type[User] | type[Group]] = {"User": User, "Group": Group}


def add(
    urn: str, document: str, *, resource_type: str, required: bool, actor: Actor
) -> CustomSchema:
    """Keep a schema for `User` or `Group`. Raises Taken."""
    if CustomSchema.select().where(CustomSchema.urn_key == fold(urn)).exists():
        raise Taken(f"There is already a schema {urn}.", "id")
    row = CustomSchema.create(
        urn=urn,
        urn_key=fold(urn),
        resource_type=resource_type,
        required=required,
        document=document,
    )
    audit.record(actor, Event.SCHEMA_ADDED, urn=urn, resource_type=resource_type)
    return row


def remove(urn: str, actor: Actor) -> CustomSchema:
    """Forget a schema that nobody uses. Raises NotFound, and WrongState if somebody does."""
    row: CustomSchema | None = CustomSchema.get_or_none(CustomSchema.urn_key == fold(urn))
    if row is None:
        raise NotFound(f"There is no schema {urn}.")
    table = _HOLDERS[row.resource_type]
    using = table.select().where(
        table.deleted_at.is_null(), table.document.contains(f'"{row.urn}":')
    )
    count = using.count()
    if count:
        raise WrongState(
            f"{count} of the {row.resource_type}s hold values of {row.urn}: clear them first."
        )
    row.delete_instance()
    audit.record(actor, Event.SCHEMA_REMOVED, urn=row.urn, resource_type=row.resource_type)
    return row


def every() -> Sequence[CustomSchema]:
    """Return all of them, the oldest first."""
    return list(CustomSchema.select().order_by(CustomSchema.id))


def version() -> Version:
    """Return what differs whenever the schemas do: a few numbers, read in microseconds."""
    rows = CustomSchema.select(CustomSchema.id, CustomSchema.created_at).order_by(CustomSchema.id)
    return tuple((int(pk), int(at)) for pk, at in tuples(rows))
