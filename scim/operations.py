# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A PATCH body to operations with resolved targets, one attribute each (RFC 7644 §3.5.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

from provisioning.errors import InvalidValue

from .errors import Immutable, InvalidFilter, InvalidSyntax, NoTarget, TooLarge
from .expressions import And, Comparison, Expression, Operator, Or, typed
from .paths import Target, parse_path
from .quirks import Dialect, Quirk
from .resource_types import MEMBERS, PASSWORD, URNS
from .schema import Attribute, AttributePath, ResourceType

URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS = 5_000


@unique
class Op(StrEnum):
    """What an operation does to its target."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


_OPS = {op.value: op for op in Op}


@dataclass(frozen=True)
class Operation:
    """One change of one target. `value` is as the client sent it; None for a removal."""

    op: Op
    target: Target
    value: object = None


def parse_operations(
    type_: ResourceType, body: Mapping[str, object], resource_id: str, dialect: Dialect
) -> list[Operation]:
    """Return the operations of a PatchOp message, in order.

    `resource_id` may be sent as `id` beside what changes (Okta does); any other one is refused.
    Raises InvalidSyntax, InvalidPath, InvalidValue, NoTarget, Immutable and TooLarge.
    """
    message = {name.lower(): value for name, value in body.items()}
    schemas = message.get("schemas")
    urns = [str(urn).lower() for urn in schemas] if isinstance(schemas, list) else []
    lacking = schemas is None and dialect.allows(Quirk.MISSING_SCHEMAS)
    if URN.lower() not in urns and not lacking:
        raise InvalidSyntax(f"schemas does not name {URN}.")
    listed = message.get("operations")
    if not isinstance(listed, list) or not listed:
        raise InvalidSyntax("Operations is a list of one or more operations.")
    if len(listed) > MAX_OPERATIONS:
        raise TooLarge(f"A PATCH takes at most {MAX_OPERATIONS} operations.")
    reader = _Reader(type_, resource_id, dialect)
    return [operation for given in listed for operation in reader.operations(given)]


class _Reader:
    def __init__(self, type_: ResourceType, resource_id: str, dialect: Dialect) -> None:
        self._type = type_
        self._id = resource_id
        self._dialect = dialect

    def operations(self, given: object) -> Iterator[Operation]:
        if not isinstance(given, Mapping):
            raise InvalidSyntax("An operation is an object.")
        parts = {str(name).lower(): value for name, value in given.items()}
        op = self._op(parts.get("op"))
        path, value = parts.get("path"), parts.get("value")
        if path is not None and not isinstance(path, str):
            raise InvalidSyntax("An operation's path is a text.")
        if op is not Op.REMOVE and "value" not in parts:
            raise InvalidValue(f"{op} needs a value.", "value")
        if path is None or not path.strip() or self._is_schema(path):
            if op is Op.REMOVE:
                raise NoTarget("remove needs a path.")
            yield from self._whole(op, value)
            return
        if self._is_own_id(path, value):
            return
        target = parse_path(self._type, path, self._dialect)
        if target is not None:
            yield from self._on(op, target, value)

    def _op(self, name: object) -> Op:
        if isinstance(name, str):
            op = _OPS.get(name.lower())
            if op is not None and (name == op or self._dialect.allows(Quirk.OPERATION_CASE)):
                return op
        raise InvalidSyntax("An operation's op is add, remove or replace.")

    def _whole(self, op: Op, value: object) -> Iterator[Operation]:
        """Split an operation without a path: its keys are names, or paths (Entra)."""
        if not isinstance(value, Mapping):
            raise InvalidValue("Without a path, an operation's value is an object.", "value")
        for name, part in value.items():
            if name.lower() == "schemas" or self._is_own_id(name, part):
                continue
            if self._is_schema(name):
                yield from self._whole(op, part)
                continue
            target = self._named(name)
            if target is None:
                self._dialect.note_unknown(name)
            elif target.read_only and self._dialect.allows(Quirk.READ_ONLY_IN_VALUE):
                continue
            else:
                yield from self._on(op, target, part)

    def _named(self, name: str) -> Target | None:
        """Return what a key names; what it might name but no schema has is None."""
        if "[" in name:
            return parse_path(self._type, name, self._dialect)
        extension = self._type.extension(self._dialect.urn(name))
        if extension is not None:
            return Target(None, extension)
        path = self._type.resolve(self._dialect.name(self._type, name))
        return _plain(self._type, path) if path is not None else None

    def _on(self, op: Op, target: Target, value: object) -> Iterator[Operation]:
        """Yield what an operation does, attribute by attribute."""
        if target.attribute is None and op is not Op.REMOVE and target.extension is not None:
            yield from self._extension(op, target, value)
        elif target.attribute is not URNS:
            if op is Op.REMOVE and value not in (None, ""):
                target = self._listed(target, value)
            if target.attribute is not PASSWORD:
                yield Operation(op, target, None if op is Op.REMOVE else value)

    def _extension(self, op: Op, target: Target, value: object) -> Iterator[Operation]:
        if value is None:
            if op is Op.REPLACE:
                yield Operation(Op.REMOVE, target)
            return
        if not isinstance(value, Mapping) or target.extension is None:
            raise InvalidValue(f"{target} is an object.", str(target))
        for name, part in value.items():
            attribute = target.extension.find(name)
            if attribute is None:
                self._dialect.note_unknown(f"{target.extension.urn}:{name}")
            elif not (attribute.read_only and self._dialect.allows(Quirk.READ_ONLY_IN_VALUE)):
                yield Operation(op, Target(attribute, target.extension), part)

    def _listed(self, target: Target, value: object) -> Target:
        """Read `remove members` with a value as "remove these": all of Entra's removals.

        The words of the RFC would empty the group, so without the flag it is refused.
        """
        attribute = target.attribute
        if attribute is None or not attribute.multi_valued or target.where or target.sub:
            return target  # the value says what is there already
        if not self._dialect.allows(Quirk.LISTED_REMOVALS):
            if value == []:
                return target
            raise InvalidValue("remove takes no value: name what goes by the path.", "value")
        given = value if isinstance(value, list) else [value]
        wanted = [self._same_as(attribute, target, element) for element in given]
        return Target(attribute, target.extension, Or(tuple(wanted)))

    def _same_as(self, attribute: Attribute, target: Target, element: object) -> Expression:
        given = self._dialect.value(attribute, element, element=True)
        urn = target.extension.urn if target.extension else None
        if not attribute.is_complex and isinstance(given, str | bool | int | float):
            return _equal(AttributePath(attribute, None, urn), given)
        if not isinstance(given, Mapping):
            raise InvalidValue(f"{attribute.name} holds objects.", attribute.name)
        parts = {
            sub.name: part
            for name, part in given.items()
            if (sub := attribute.sub(name)) is not None and part not in (None, [], {})
        }
        if "value" in parts:  # the rest is how the directory shows it
            names = ["value"] if attribute is MEMBERS else ["value", "type"]
            parts = {name: parts[name] for name in names if name in parts}
        terms = [
            _equal(AttributePath(attribute, attribute.sub(name), urn), part)
            for name, part in parts.items()
        ]
        if not terms:
            raise InvalidValue(f"An element of {attribute.name} names nothing.", attribute.name)
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _is_schema(self, name: str) -> bool:
        """The type's own schema, as a path or a key, is the resource itself."""
        return name.strip().lower() == self._type.schema.urn.lower()

    def _is_own_id(self, name: str, value: object) -> bool:
        """`id` may be sent if it is the resource's own (S4)."""
        if name.strip().lower() != "id":
            return False
        if value != self._id:
            raise Immutable("id is read-only.")
        return True


def _equal(path: AttributePath, value: object) -> Comparison:
    try:
        return Comparison(path, Operator.EQ, typed(path, Operator.EQ, value))
    except InvalidFilter as error:  # it stands in a value
        raise InvalidValue(f"{path} is {path.leaf.type}.", path.attribute.name) from error


def _plain(type_: ResourceType, path: AttributePath) -> Target:
    extension = type_.extension(path.extension) if path.extension else None
    return Target(path.attribute, extension, sub=path.sub)
