# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""PATCH, pure: a document and operations make a new document (RFC 7644 §3.5.2).

All or nothing: the given document is never touched. Operations on a group's members are not
applied here but returned, because members are rows that nobody loads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import orjson

from provisioning.errors import InvalidValue

from .errors import Immutable, NoTarget, TooLarge
from .expressions import And, Comparison, Expression, Operator
from .matching import element_matches
from .members import MemberChange, member_change
from .operations import Op, Operation
from .paths import Target
from .quirks import Dialect, Quirk
from .resource_types import MEMBERS
from .schema import Attribute
from .values import Json, clean, clean_element, clean_parts, merge_twins, twin_key

# Elements that one PATCH goes through, those of each operation counted: seconds, and the writers'
# queue stands still meanwhile.
MAX_LOOKED_AT = 250_000


@dataclass(frozen=True)
class Patched:
    """The new document, and what is to happen to the members, in order."""

    document: Json
    members: tuple[MemberChange, ...] = ()


def apply(document: Json, operations: Sequence[Operation], dialect: Dialect) -> Patched:
    """Apply operations one after the other. Raises what is wrong with the first wrong one."""
    # A copy by way of JSON costs a tenth of `copy.deepcopy`.
    patch = _Patch(orjson.loads(orjson.dumps(document)), dialect)
    members: list[MemberChange] = []
    for operation in operations:
        if operation.target.attribute is MEMBERS:
            members.append(member_change(operation, dialect))
        else:
            patch.apply(operation)
    return Patched(patch.document, tuple(members))


class _Patch:
    """A document being changed."""

    def __init__(self, document: Json, dialect: Dialect) -> None:
        self.document = document
        self._dialect = dialect
        self._looked_at = 0
        self._referred: set[Attribute] = set()

    def apply(self, operation: Operation) -> None:
        target, attribute = operation.target, operation.target.attribute
        if target.read_only:
            raise Immutable(f"{target} is read-only.")
        if operation.op is Op.REMOVE and target.sub is not None and target.sub.required:
            raise Immutable(f"{target} is required.")
        if attribute is None:
            self._extension(operation)
            return
        holder = self._holder(target)
        if attribute.multi_valued:
            found = self._multi_valued(operation, attribute, holder.get(attribute.name))
        elif operation.op is Op.REMOVE:
            found = self._without(target, attribute, holder.get(attribute.name))
        else:
            found = self._written(operation, attribute, holder.get(attribute.name))
        if found is None and attribute.required:
            raise Immutable(f"{attribute.name} is required.")
        _put(holder, attribute.name, found)
        self._keep(target, holder)

    def _extension(self, operation: Operation) -> None:
        """Remove a whole extension; values for one come here attribute by attribute."""
        if operation.target.extension is not None:
            self.document.pop(operation.target.extension.urn, None)

    def _holder(self, target: Target) -> Json:
        if target.extension is None:
            return self.document
        holder = self.document.get(target.extension.urn)
        return holder if isinstance(holder, dict) else {}

    def _keep(self, target: Target, holder: Json) -> None:
        """Keep `schemas` true: an extension is there exactly when it holds something (S12)."""
        if target.extension is not None:
            _put(self.document, target.extension.urn, holder or None)

    def _without(self, target: Target, attribute: Attribute, old: object) -> object:
        if target.sub is None or not isinstance(old, dict):
            return None
        return {name: part for name, part in old.items() if name != target.sub.name} or None

    def _written(self, operation: Operation, attribute: Attribute, old: object) -> object:
        """Return a single-valued attribute after an add or replace: parts merge (§3.5.2.3)."""
        given = self._given(operation, attribute)
        if isinstance(given, Mapping) and given and isinstance(old, dict):
            return self._joined_parts(attribute, old, self._parts(operation, attribute, given))
        new = clean(attribute, given, self._dialect)
        return old if new is None and operation.op is Op.ADD else new

    def _given(self, operation: Operation, attribute: Attribute) -> object:
        """Return what an operation gives an attribute, or an element of it."""
        sub = operation.target.sub
        given = {sub.name: operation.value} if sub else operation.value
        if not attribute.is_complex:
            return given
        return self._dialect.value(attribute, given, element=True)

    def _joined_parts(self, attribute: Attribute, old: Json, parts: Json) -> object:
        """Return old and new parts as one; what was said of another value is not said of a new one.

        A request may bring the new value's own reference before it or after it.
        """
        if "$ref" in parts:
            self._referred.add(attribute)
        merged = _merged(attribute, old, parts)
        if "value" not in old or merged.get("value") == old["value"]:
            return merged or None
        if "value" not in merged:
            return None  # a manager who is nobody has no name either
        if attribute.sub("$ref") is None:
            return merged
        given = {*parts, "$ref"} if attribute in self._referred else parts.keys()
        return {name: part for name, part in merged.items() if name in given or name not in _SAID}

    def _parts(self, operation: Operation, attribute: Attribute, given: object) -> Json:
        """Return the parts that an operation gives; an add of no value changes none (§3.5.2.1)."""
        parts = clean_parts(attribute, given, self._dialect)
        if operation.op is Op.ADD:
            return {name: part for name, part in parts.items() if part is not None}
        return parts

    def _multi_valued(self, operation: Operation, attribute: Attribute, old: object) -> object:
        elements = list(old) if isinstance(old, list) else []
        self._looked_at += len(elements)
        if self._looked_at > MAX_LOOKED_AT:
            raise TooLarge("These are too many changes of lists as long as these: send fewer.")
        target = operation.target
        if target.where is not None or target.sub is not None:
            return self._selected(operation, attribute, elements)
        if operation.op is Op.REMOVE:
            return None
        given = operation.value if isinstance(operation.value, list) else [operation.value]
        new = clean(attribute, given, self._dialect)
        if operation.op is Op.REPLACE:
            return new
        return self._joined(attribute, elements, new if isinstance(new, list) else [])

    def _joined(self, attribute: Attribute, old: list[object], new: list[object]) -> object:
        """Return the elements after an add: one that is there already is not added again."""
        there = {twin_key(attribute, element): place for place, element in enumerate(old)}
        touched: list[int] = []
        for element in new:
            place = there.get(twin_key(attribute, element))
            if place is None:
                old.append(element)
                touched.append(len(old) - 1)
            else:
                twin = old[place]
                if isinstance(twin, dict) and isinstance(element, dict):
                    kept = {name: twin[name] for name in ("value", "type") if name in twin}
                    old[place] = {**twin, **element, **kept}
                touched.append(place)
        return self._settled(attribute, old, touched)

    def _selected(
        self, operation: Operation, attribute: Attribute, elements: list[object]
    ) -> object:
        """Work on the elements that a path's filter selects, or on a part of every element."""
        target = operation.target
        places = [
            place
            for place, element in enumerate(elements)
            if target.where is None or element_matches(target.where, element)
        ]
        if operation.op is Op.REMOVE:
            return self._removed(target, elements, places)
        if not places:
            element = self._described(operation, attribute)
            return self._joined(attribute, elements, [element] if element is not None else [])
        given = self._given(operation, attribute)
        if not attribute.is_complex or not isinstance(given, Mapping) or not given:
            new = clean_element(attribute, given, self._dialect)
            if new is None:
                is_add = operation.op is Op.ADD
                return elements if is_add else self._removed(target, elements, places)
            for place in places:
                elements[place] = new
            return self._settled(attribute, elements, [])
        parts = self._parts(operation, attribute, given)
        chosen, touched = set(places), []
        kept: list[object] = []
        for place, element in enumerate(elements):
            if place in chosen and isinstance(element, dict):
                merged = _merged(attribute, element, parts)
                if not _says_something(merged, element):
                    continue
                touched.append(len(kept))
                element = merged
            kept.append(element)
        return self._settled(attribute, kept, touched if _makes_primary(parts) else [])

    def _removed(self, target: Target, elements: list[object], places: list[int]) -> object:
        chosen, sub = set(places), target.sub
        kept: list[object] = []
        for place, element in enumerate(elements):
            if place in chosen and sub is None:
                continue
            if place in chosen and sub is not None and isinstance(element, dict):
                left = {name: part for name, part in element.items() if name != sub.name}
                if not _says_something(left, element):
                    continue
                element = left
            kept.append(element)
        return kept or None

    def _described(self, operation: Operation, attribute: Attribute) -> object:
        """Make the element that an unmatched filter describes (Entra relies on it).

        Only `eq` terms joined by `and` describe one. Raises NoTarget otherwise.
        """
        target = operation.target
        parts: Json = {}
        if target.where is not None:
            may = operation.op is Op.ADD or self._dialect.allows(Quirk.UPSERT_ON_REPLACE)
            described = _equalities(target.where) if may else None
            if described is None:
                raise NoTarget(f"{target} selects nothing.")
            parts = described
        given = {target.sub.name: operation.value} if target.sub else operation.value
        new = clean_element(attribute, given, self._dialect)
        if new is None:
            return None  # nothing was to be cleared
        if attribute.is_complex and not isinstance(new, dict):
            raise InvalidValue(f"{attribute.name} is an object.", attribute.name)
        element = new
        if isinstance(new, dict):
            element = clean_element(attribute, {**parts, **new}, self._dialect)
        if target.where is not None and not element_matches(target.where, element):
            if operation.op is Op.REPLACE:
                raise NoTarget(f"{target} selects nothing.")
            raise InvalidValue(f"The value contradicts the filter of {target}.", attribute.name)
        return element

    def _settled(self, attribute: Attribute, elements: list[object], touched: list[int]) -> object:
        """Let the element that was just made primary be the only one (§3.5.2)."""
        marked = {place for place in touched if _makes_primary(elements[place])}
        if marked:
            for place, element in enumerate(elements):
                if place not in marked and isinstance(element, dict) and _makes_primary(element):
                    elements[place] = {**element, "primary": False}
        return merge_twins(attribute, elements, self._dialect) or None


_SAID = frozenset({"$ref", "display", "displayName"})  # of a value: they follow from it
_LABELS = frozenset({"type", "primary", "display"})


def _merged(attribute: Attribute, old: Json, parts: Json) -> Json:
    """Put parts over others: what is given as no value goes, what is not given stays."""
    for sub in attribute.required_parts:
        if sub.name in parts and parts[sub.name] is None:
            raise Immutable(f"{attribute.name}.{sub.name} is required.")
    return {name: part for name, part in {**old, **parts}.items() if part is not None}


def _says_something(element: Json, before: Json) -> bool:
    """Whether an element that lost parts is one still: a label without its value is nothing."""
    held = before.keys() - _LABELS
    return bool(element) and not (held and not element.keys() - _LABELS)


def _makes_primary(element: object) -> bool:
    return isinstance(element, dict) and element.get("primary") is True


def _put(holder: Json, name: str, value: object) -> None:
    if value is None:
        holder.pop(name, None)
    else:
        holder[name] = value


def _equalities(where: Expression) -> Json | None:
    """Return the parts that `eq` terms joined by `and` give, or None if it says more."""
    terms = where.terms if isinstance(where, And) else (where,)
    parts: Json = {}
    for term in terms:
        if not isinstance(term, Comparison) or term.op is not Operator.EQ:
            return None
        is_instant = isinstance(term.value, Decimal)
        parts[term.path.leaf.name] = term.literal if is_instant else term.value
    return parts
