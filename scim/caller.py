# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who asks: the connection behind a token, its dialect, and what it may write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from peewee import EXCLUDED

from provisioning.audit import Actor
from provisioning.errors import Forbidden, Stale, Taken
from provisioning.models import Connection, UnknownAttribute

from .door import Door
from .quirks import PROFILES, Dialect
from .resource_types import USER
from .resources import etag_matches
from .schema import ResourceType

MAX_UNKNOWN = 200  # names counted for one connection


@dataclass(frozen=True)
class Caller:
    """One request's connection. `base` is the address that locations start with."""

    connection: Connection
    base: str
    dialect: Dialect = field(compare=False)
    door: Door = field(compare=False)
    taken: list[Taken] = field(default_factory=list, compare=False)  # what something else holds

    @property
    def actor(self) -> Actor:
        """Whom the audit log names."""
        return _actor(self.connection.id, self.connection.name)

    def check_may_write(self, type_: ResourceType) -> None:
        """Raise Forbidden unless the connection's scope lets it write this type."""
        scope = self.connection.scope
        if scope == "read":
            raise Forbidden("This connection may only read.")
        if scope == "users" and type_ is not USER:
            raise Forbidden("This connection may write users only.")

    def pass_over(self, types: Sequence[ResourceType], names: Iterable[str]) -> None:
        """Note which of the names that shape an answer none of the types has (R9)."""
        for name in names:
            if not any(type_.resolve(name) or type_.knows(name) for type_ in types):
                self.dialect.note_unknown(name)

    def note_unknown(self) -> None:
        """Count what no schema knows, by name (R9), in the caller's transaction.

        A directory has a few such names; one that invents more does not fill the table.
        """
        if not self.dialect.unknown:
            return
        mine = UnknownAttribute.connection == self.connection.id
        held = {row.name for row in UnknownAttribute.select(UnknownAttribute.name).where(mine)}
        room = max(0, MAX_UNKNOWN - len(held))
        new = [name for name in self.dialect.unknown if name not in held][:room]
        rows = [
            {"connection": self.connection.id, "name": name, "seen": seen}
            for name, seen in self.dialect.unknown.items()
            if name in held or name in new
        ]
        if rows:
            (
                UnknownAttribute.insert_many(rows)
                .on_conflict(
                    conflict_target=[UnknownAttribute.connection, UnknownAttribute.name],
                    update={UnknownAttribute.seen: UnknownAttribute.seen + EXCLUDED.seen},
                )
                .execute()
            )


@lru_cache(maxsize=64)
def _actor(connection: int, name: str) -> Actor:
    return Actor("connection", str(connection), name)


def make_caller(connection: Connection, door: Door) -> Caller:
    """Return the caller for a connection; an unknown profile is read as the tolerant one."""
    profile = PROFILES.get(connection.profile, PROFILES["tolerant"])
    return Caller(connection, door.base, Dialect(profile), door)


def check_version(if_match: str | None, version: int) -> None:
    """Raise Stale unless the If-Match header, if any, allows a write (RFC 7644 §3.14)."""
    if if_match is not None and not etag_matches(if_match, version):
        raise Stale("The resource has changed since: read it again.")
