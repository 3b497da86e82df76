# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""PATCH paths, `[URN:]attribute[filter][.subAttribute]` or an extension's URN (RFC 7644 §3.5.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InvalidPath
from .expressions import Expression
from .filters import parse_element
from .lexer import MAX_LENGTH
from .quirks import Dialect, Quirk
from .schema import Attribute, AttributePath, ResourceType, Schema, split_urn

# `attribute`, then perhaps `[filter]`, then perhaps `.subAttribute`; a filter may hold brackets
# in its texts only, so the last one closes it.
_SELECTION = re.compile(r"([^\[\]]+)\[(.*)\](?:\.([A-Za-z$][\w$-]*))?", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class Target:
    """What an operation works on: an attribute, some of its elements, a part, or an extension."""

    attribute: Attribute | None
    extension: Schema | None = None
    where: Expression | None = None
    sub: Attribute | None = None

    @property
    def read_only(self) -> bool:
        """Whether only the server writes there."""
        if self.attribute is None:
            return self.extension is not None and all(
                attribute.read_only for attribute in self.extension.attributes
            )
        return self.attribute.read_only or (self.sub is not None and self.sub.read_only)

    def __str__(self) -> str:
        name = self.attribute.name if self.attribute else ""
        prefix = self.extension.urn + (":" if name else "") if self.extension else ""
        suffix = f".{self.sub.name}" if self.sub else ""
        return f"{prefix}{name}{'[…]' if self.where else ''}{suffix}"


def parse_path(type_: ResourceType, text: str, dialect: Dialect) -> Target | None:
    """Return what a path names, or None when its schema is unknown and may be passed over.

    Raises InvalidPath, and InvalidFilter for what stands between brackets.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidPath(f"A path has at most {MAX_LENGTH} characters.")
    text = text.strip()
    extension = type_.extension(dialect.urn(text))
    if extension is not None:
        return Target(None, extension)
    selection = _SELECTION.fullmatch(text)
    name, where, sub = selection.groups() if selection else (text, None, None)
    path = type_.resolve(dialect.name(type_, name))
    if path is None:
        _pass_over(type_, name, dialect)
        return None
    return _target(type_, path, where, sub)


def _target(type_: ResourceType, path: AttributePath, where: str | None, sub: str | None) -> Target:
    extension = type_.extension(path.extension) if path.extension else None
    if where is None:
        return Target(path.attribute, extension, sub=path.sub)
    if path.sub is not None or not path.attribute.multi_valued:
        raise InvalidPath(f"{path} cannot be selected from.")
    # A wrong filter is told as one, in a path, too (RFC 7644 §3.12, table 9).
    expression = parse_element(where, path)
    part = path.to(sub) if sub else None
    if sub and part is None:
        raise InvalidPath(f"{path} has no part {sub}.")
    return Target(path.attribute, extension, expression, part.sub if part else None)


def _pass_over(type_: ResourceType, name: str, dialect: Dialect) -> None:
    """Pass over a custom attribute under a schema of the directory's own, as bodies do (R9)."""
    urn, _ = split_urn(name)
    if urn is None or type_.knows(urn) or not dialect.allows(Quirk.UNKNOWN_SCHEMA_PATHS):
        raise InvalidPath(f"{type_.name} has no attribute {name}.")
    dialect.note_unknown(name)
