# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`attributes` and `excludedAttributes`: what a response holds (RFC 7644 §3.9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from provisioning.errors import InvalidValue

from .schema import Attribute, AttributePath, ResourceType, Returned

# (extension URN or None, attribute, sub-attribute or None for the whole attribute), in lower case
_Name = tuple[str | None, str, str | None]


@dataclass(frozen=True)
class Projection:
    """What one request wants of resources of one type.

    With `included` only those attributes and the ones that are always returned; otherwise all
    that are returned by default, less `excluded`.
    """

    type: ResourceType
    included: frozenset[_Name] | None = None
    excluded: frozenset[_Name] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether the default representation is wanted."""
        return self.included is None and not self.excluded

    def wants(self, attribute: str, extension: str | None = None) -> bool:
        """Say whether any part of an attribute will be returned, before it is loaded."""
        urn = extension.lower() if extension else None
        name = attribute.lower()
        if self.included is not None:
            return any((urn, name) == each[:2] for each in self.included)
        return (urn, name, None) not in self.excluded

    def apply(self, resource: Mapping[str, object]) -> dict[str, object]:
        """Return the wanted part of a resource; `schemas` names what is left (S5, S12)."""
        kept: dict[str, object] = {}
        for path in self.type.paths():
            holder = resource.get(path.extension) if path.extension else resource
            if not isinstance(holder, Mapping) or path.attribute.name not in holder:
                continue
            value = self._part(path, holder[path.attribute.name])
            if value is None:
                continue
            if path.extension is None:
                kept[path.attribute.name] = value
            else:
                inner = kept.setdefault(path.extension, {})
                if isinstance(inner, dict):
                    inner[path.attribute.name] = value
        urns = resource.get("schemas")
        if isinstance(urns, list):
            kept["schemas"] = [u for u in urns if u in kept or not self.type.extension(str(u))]
        return kept

    def _part(self, path: AttributePath, value: object) -> object:
        attribute = path.attribute
        urn = path.extension.lower() if path.extension else None
        name = attribute.name.lower()
        if attribute.returned is Returned.ALWAYS:
            return value
        if attribute.returned is Returned.NEVER:
            return None
        if self.included is None:
            if attribute.returned is Returned.REQUEST or (urn, name, None) in self.excluded:
                return None
            dropped = {sub for u, n, sub in self.excluded if (u, n) == (urn, name) and sub}
            dropped |= attribute.hidden
            return _without(value, dropped) if dropped else value
        if (urn, name, None) in self.included:
            return _without(value, set(attribute.hidden)) if attribute.hidden else value
        wanted = {sub for u, n, sub in self.included if (u, n) == (urn, name) and sub}
        wanted -= {s.name.lower() for s in attribute.sub_attributes if s.returned is Returned.NEVER}
        return _only(attribute, value, wanted) if wanted else None


def projection(
    type_: ResourceType, attributes: Iterable[str] = (), excluded: Iterable[str] = ()
) -> Projection:
    """Read the two parameters; names that this type has not are passed over.

    Raises InvalidValue when both are given: they exclude each other.
    """
    included, less = list(attributes), list(excluded)
    if included and less:
        raise InvalidValue("attributes and excludedAttributes exclude each other.", "attributes")
    if included:
        return Projection(type_, included=_names(type_, included))
    return Projection(type_, excluded=_names(type_, less))


def _names(type_: ResourceType, texts: Iterable[str]) -> frozenset[_Name]:
    names: set[_Name] = set()
    for text in texts:
        text = text.strip()
        extension = type_.extension(text)
        if extension is not None:
            names |= {
                (extension.urn.lower(), attribute.name.lower(), None)
                for attribute in extension.attributes
            }
        path = type_.resolve(text)
        if path is not None:
            urn = path.extension.lower() if path.extension else None
            sub = path.sub.name.lower() if path.sub else None
            names.add((urn, path.attribute.name.lower(), sub))
    return frozenset(names)


def _without(value: object, dropped: set[str]) -> object:
    if isinstance(value, list):
        return [part for each in value if (part := _without(each, dropped))] or None
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if name.lower() not in dropped} or None
    return value


def _only(attribute: Attribute, value: object, wanted: set[str]) -> object:
    if isinstance(value, list):
        return [part for each in value if (part := _only(attribute, each, wanted))] or None
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if name.lower() in wanted} or None
    return value
