# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a SCIM attribute, schema and resource type are (RFC 7643 §2, §6, §7).

The tables themselves are data, in `resource_types`; they drive the JSON shape, /Schemas,
filters, PATCH paths, sorting and projection. Names and URNs compare without case (§2.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from functools import cached_property, lru_cache


@unique
class Type(StrEnum):
    """RFC 7643 §2.3."""

    STRING = "string"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "dateTime"
    BINARY = "binary"
    REFERENCE = "reference"
    COMPLEX = "complex"


@unique
class Mutability(StrEnum):
    """RFC 7643 §7: who may write an attribute, and when."""

    READ_ONLY = "readOnly"
    READ_WRITE = "readWrite"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "writeOnly"


@unique
class Returned(StrEnum):
    """RFC 7643 §7: when an attribute is part of a response."""

    ALWAYS = "always"
    NEVER = "never"
    DEFAULT = "default"
    REQUEST = "request"


@unique
class Uniqueness(StrEnum):
    """RFC 7643 §7: among what a value is unique."""

    NONE = "none"
    SERVER = "server"
    GLOBAL = "global"


@dataclass(frozen=True, repr=False, eq=False)
class Attribute:
    """One row of an attribute table, with the characteristics of RFC 7643 §7.

    Equal to itself only, as the tables are there once: paths are hashed for every query.
    """

    name: str
    description: str
    type: Type = Type.STRING
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = Mutability.READ_WRITE
    returned: Returned = Returned.DEFAULT
    uniqueness: Uniqueness = Uniqueness.NONE
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    sub_attributes: tuple[Attribute, ...] = ()

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @cached_property
    def _by_name(self) -> dict[str, Attribute]:
        # As it is spelled in the schema, too: so most clients send it.
        return {n: sub for sub in self.sub_attributes for n in (sub.name, sub.name.lower())}

    def sub(self, name: str) -> Attribute | None:
        """Return the sub-attribute of this name, in any case, or None."""
        found = self._by_name.get(name)
        return found if found is not None else self._by_name.get(name.lower())

    @cached_property
    def is_complex(self) -> bool:
        """Whether its values are objects."""
        return self.type is Type.COMPLEX

    @cached_property
    def takes_text(self) -> bool:
        """Whether its value is one text, whatever it says."""
        return self.type in (Type.STRING, Type.REFERENCE) and not self.multi_valued

    @cached_property
    def read_only(self) -> bool:
        """Whether only the server writes it."""
        return self.mutability is Mutability.READ_ONLY

    @cached_property
    def writable(self) -> bool:
        """Whether a client's value of it is kept."""
        return self.mutability in (Mutability.READ_WRITE, Mutability.IMMUTABLE)

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Sub-attributes that nobody gets unasked or at all, in lower case."""
        return frozenset(sub.name.lower() for sub in self.sub_attributes if sub.is_hidden)

    @cached_property
    def required_parts(self) -> tuple[Attribute, ...]:
        """Sub-attributes that a value must have."""
        return tuple(s for s in self.sub_attributes if s.required and not s.read_only)

    @property
    def is_hidden(self) -> bool:
        """Whether it is no part of the default representation (RFC 7643 §7, "returned")."""
        return self.returned in (Returned.NEVER, Returned.REQUEST)

    @property
    def folds(self) -> bool:
        """Whether its text compares without case."""
        return self.type in (Type.STRING, Type.REFERENCE) and not self.case_exact


@dataclass(frozen=True, eq=False)
class Schema:
    """A schema: a URN and a table of attributes (RFC 7643 §7)."""

    urn: str
    name: str
    description: str
    attributes: tuple[Attribute, ...]

    @cached_property
    def _by_name(self) -> dict[str, Attribute]:
        return {attribute.name.lower(): attribute for attribute in self.attributes}

    def find(self, name: str) -> Attribute | None:
        """Return the attribute of this name, in any case, or None."""
        return self._by_name.get(name.lower())

    @cached_property
    def needed(self) -> tuple[Attribute, ...]:
        """The attributes without which a client may not send it."""
        return tuple(a for a in self.attributes if a.required and not a.read_only)


@dataclass(frozen=True, repr=False)
class AttributePath:
    """Where values stand in a resource: an attribute, or one of its sub-attributes.

    `extension` is the extension's URN, under which the attribute lies, or None.
    """

    attribute: Attribute
    sub: Attribute | None = None
    extension: str | None = None

    @property
    def leaf(self) -> Attribute:
        """The attribute whose type and case rule apply."""
        return self.sub or self.attribute

    @property
    def whole(self) -> AttributePath:
        """The path to the whole attribute."""
        return replace(self, sub=None) if self.sub is not None else self

    def to(self, name: str) -> AttributePath | None:
        """Return the path to a sub-attribute, or None if there is no such one."""
        sub = self.attribute.sub(name)
        return replace(self, sub=sub) if sub is not None and self.sub is None else None

    def __str__(self) -> str:
        prefix = f"{self.extension}:" if self.extension else ""
        suffix = f".{self.sub.name}" if self.sub else ""
        return f"{prefix}{self.attribute.name}{suffix}"

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class ResourceType:
    """An endpoint, its schema and the extensions its resources may carry (RFC 7643 §6).

    Extensions that an installation adds come to it while the process runs; see `adopt`.
    """

    name: str
    endpoint: str
    description: str
    schema: Schema
    extensions: tuple[Schema, ...] = ()
    common: tuple[Attribute, ...] = ()
    required: frozenset[str] = frozenset()  # URNs of extensions that each resource carries
    custom: tuple[Schema, ...] = ()
    generation: int = 0  # how often it has changed

    def adopt(self, custom: Iterable[Schema], required: frozenset[str]) -> None:
        """Carry these extensions, and no others, beside the built-in ones from now on."""
        built_in = tuple(each for each in self.extensions if each not in self.custom)
        own = tuple(custom)
        changed = {
            "extensions": (*built_in, *own),
            "custom": own,
            "required": required,
            "generation": self.generation + 1,
        }
        self.__dict__.update(changed)
        # Each was made from the extensions before. Put in place and never taken away, so that no
        # other thread makes one of its own from what it read a moment ago.
        for name, made in vars(type(self)).items():
            if isinstance(made, cached_property):
                self.__dict__[name] = made.func(self)

    @cached_property
    def hides(self) -> bool:
        """Whether documents hold what is no part of the default representation."""
        added = [attribute for schema in self.custom for attribute in schema.attributes]
        return any(attribute.is_hidden or attribute.hidden for attribute in added)

    @cached_property
    def immutable(self) -> tuple[AttributePath, ...]:
        """The attributes, and the parts of single-valued ones, that keep their first value."""
        single = [path for path in self.paths() if not path.attribute.multi_valued]
        parts = [replace(path, sub=sub) for path in single for sub in path.attribute.sub_attributes]
        return tuple(
            path for path in (*self.paths(), *parts) if path.leaf.mutability is Mutability.IMMUTABLE
        )

    @cached_property
    def _core(self) -> dict[str, AttributePath]:
        own = (*self.common, *self.schema.attributes)
        return {attribute.name.lower(): AttributePath(attribute) for attribute in own}

    @cached_property
    def _extensions(self) -> dict[str, Schema]:
        return {schema.urn.lower(): schema for schema in self.extensions}

    def paths(self) -> Iterator[AttributePath]:
        """Yield every top-level attribute: common, core, then those of the extensions."""
        yield from self._core.values()
        for schema in self.extensions:
            for attribute in schema.attributes:
                yield AttributePath(attribute, extension=schema.urn)

    @cached_property
    def writable(self) -> Mapping[str, Attribute]:
        """The top-level attributes of the core that clients write, by their exact names."""
        return {a.name: a for a in (*self.common, *self.schema.attributes) if a.writable}

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of a resource that is spelled as its schemas are."""
        own = (attribute.name for attribute in (*self.common, *self.schema.attributes))
        return frozenset((*own, *(schema.urn for schema in self.extensions)))

    @cached_property
    def urns(self) -> frozenset[str]:
        """The URNs of its schema and of its extensions."""
        return frozenset((self.schema.urn, *(schema.urn for schema in self.extensions)))

    def extension(self, urn: str) -> Schema | None:
        """Return the extension of this URN, in any case, or None."""
        return self._extensions.get(urn.lower())

    def knows(self, urn: str) -> bool:
        """Say whether a URN is this type's schema or one of its extensions."""
        return urn.lower() == self.schema.urn.lower() or self.extension(urn) is not None

    def resolve(self, text: str) -> AttributePath | None:
        """Resolve `[URN:]attribute[.subAttribute]` in any case (RFC 7644 §3.10), or None."""
        # The same few names come with each request. A long one is not worth its place.
        return _resolved(self, self.generation, text) if len(text) <= 128 else self.read(text)

    def read(self, text: str) -> AttributePath | None:
        """The same, read anew."""
        urn, name = split_urn(text)
        name, dot, sub = name.partition(".")
        path: AttributePath | None
        if urn is None or urn.lower() == self.schema.urn.lower():
            path = self._core.get(name.lower())
        else:
            schema = self.extension(urn)
            attribute = schema.find(name) if schema else None
            path = AttributePath(attribute, extension=schema.urn) if schema and attribute else None
        if path is None or not dot:
            return path
        return path.to(sub)


@lru_cache(maxsize=4_096)
def _resolved(type_: ResourceType, generation: int, text: str) -> AttributePath | None:
    return type_.read(text)


def split_urn(text: str) -> tuple[str | None, str]:
    """Split a qualified name at its last colon; the URN is None if there is none.

    The version in a schema URN has a dot (`…:2.0:User:name.givenName`), so the colon decides.
    """
    urn, colon, name = text.rpartition(":")
    return (urn, name) if colon else (None, text)
