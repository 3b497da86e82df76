# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A group's members as clients write them, turned into changes of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto, unique

from provisioning.errors import InvalidValue

from .errors import Immutable, TooLarge
from .expressions import Comparison, Expression, Operator, Or
from .operations import Op, Operation
from .quirks import Dialect
from .resource_types import MEMBERS

MAX_MEMBERS = 100_000
MAX_READINGS = 10  # removals in one request for which the members must be read


@unique
class Change(Enum):
    """What happens to the rows."""

    ADD = auto()
    REMOVE = auto()
    REMOVE_MATCHING = auto()
    REPLACE = auto()


@dataclass(frozen=True)
class MemberChange:
    """One step: the resource ids it names, or the filter that finds them."""

    change: Change
    ids: tuple[str, ...] = ()
    where: Expression | None = None


def member_ids(value: object, dialect: Dialect) -> tuple[str, ...]:
    """Return the ids in a `members` value, each once, in order.

    Only `value` counts: `$ref`, `type` and `display` follow from it. Raises InvalidValue, and
    TooLarge over 100,000 (R6).
    """
    value = dialect.value(MEMBERS, value)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidValue("members is a list.", "members")
    if len(value) > MAX_MEMBERS:
        raise TooLarge(f"A request names at most {MAX_MEMBERS} members.")
    return tuple(dict.fromkeys(_id(element, dialect) for element in value))


def member_change(operation: Operation, dialect: Dialect) -> MemberChange:
    """Return what an operation on `members` does to the rows."""
    target = operation.target
    if target.sub is not None:
        # Taken for `members`, a change of `members.value` would exchange or empty the group.
        raise Immutable(f"{target} is immutable: add members, or remove them.")
    if target.where is not None:
        if operation.op is not Op.REMOVE:
            raise Immutable(f"{target} is immutable: remove the member and add another.")
        ids = _named_by(target.where)
        if ids is not None:
            return MemberChange(Change.REMOVE, ids)
        return MemberChange(Change.REMOVE_MATCHING, where=target.where)
    if operation.op is Op.REMOVE:
        return MemberChange(Change.REPLACE)
    given = operation.value
    ids = member_ids(given if given is None or isinstance(given, list) else [given], dialect)
    return MemberChange(Change.ADD if operation.op is Op.ADD else Change.REPLACE, ids)


def joined(changes: Iterable[MemberChange]) -> list[MemberChange]:
    """Join neighbours of one kind: directories send one operation per member."""
    steps: list[MemberChange] = []
    for change in changes:
        last = steps[-1] if steps else None
        if (
            last is not None
            and last.change is change.change
            and change.change in (Change.ADD, Change.REMOVE)
        ):
            steps[-1] = replace(last, ids=last.ids + change.ids)
        else:
            steps.append(change)
    if sum(step.change is Change.REMOVE_MATCHING for step in steps) > MAX_READINGS:
        raise TooLarge(f"A request removes members by a filter at most {MAX_READINGS} times.")
    if sum(len(step.ids) for step in steps) > MAX_MEMBERS:
        raise TooLarge(f"A request names at most {MAX_MEMBERS} members.")
    return steps


def _id(element: object, dialect: Dialect) -> str:
    if not isinstance(element, Mapping):
        element = dialect.value(MEMBERS, element, element=True)
    if not isinstance(element, Mapping):
        raise InvalidValue("A member is an object with a value.", "members")
    value = element.get("value")
    if value is None:
        value = next((part for name, part in element.items() if name.lower() == "value"), None)
    if not isinstance(value, str) or not value:
        raise InvalidValue("A member's value is the id of a user or a group.", "members")
    return value


def _named_by(where: Expression) -> tuple[str, ...] | None:
    """Return the ids that a filter of `value eq` terms names, or None if it asks more."""
    terms = where.terms if isinstance(where, Or) else (where,)
    ids = []
    for term in terms:
        if (
            not isinstance(term, Comparison)
            or term.op is not Operator.EQ
            or term.path.leaf.name != "value"
            or not isinstance(term.value, str)
        ):
            return None
        ids.append(term.value)
    return tuple(ids)
