# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A filter as a tree whose names are resolved and whose values have their attribute's type.

Two readers walk it and must agree: `matching` on a document, `selection` on the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, unique

from .errors import InvalidFilter
from .schema import AttributePath, Type
from .statements import Parameter

Value = str | bool | int | float | Decimal | Parameter

_ORDERED_BY_NOTHING = (Type.BOOLEAN, Type.BINARY)
_DATE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d+))?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)


@unique
class Operator(StrEnum):
    """RFC 7644 §3.4.2.2, table 3. `pr` is `Present`, and `ne` is the negation of `eq`."""

    EQ = "eq"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"

    @property
    def orders(self) -> bool:
        """Whether it asks which of two values comes first."""
        return self in (Operator.GT, Operator.GE, Operator.LT, Operator.LE)

    @property
    def searches(self) -> bool:
        """Whether it looks for a part of a text."""
        return self in (Operator.CO, Operator.SW, Operator.EW)


@dataclass(frozen=True)
class Comparison:
    """Some value at the path stands in this relation to the given one.

    `literal` is the value as the client wrote it: of a dateTime only the instant is compared.
    """

    path: AttributePath
    op: Operator
    value: Value
    literal: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Present:
    """There is a value at the path (RFC 7643 §2.5: null and the empty list are none)."""

    path: AttributePath


@dataclass(frozen=True)
class Element:
    """One and the same element of a multi-valued attribute satisfies all of `where`."""

    path: AttributePath
    where: Expression


@dataclass(frozen=True)
class Not:
    """The term is false; unknown counts as false."""

    term: Expression


@dataclass(frozen=True)
class And:
    """Every term is true."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    """Some term is true."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Never:
    """An attribute that this resource type has not (RFC 7644 §3.4.2.1): false."""

    name: str = ""


Expression = Comparison | Present | Element | Not | And | Or | Never


def attributes_of(expression: Expression) -> Iterator[str]:
    """Yield the top-level attributes that a filter reads, by their whole names."""
    match expression:
        case Comparison(path) | Present(path) | Element(path):
            yield str(path.whole)
        case Not(term):
            yield from attributes_of(term)
        case And(terms) | Or(terms):
            for term in terms:
                yield from attributes_of(term)


def unknown_to(expression: Expression) -> Iterator[str]:
    """Yield the names that a resource type has not, as the filter spells them, in lower case."""
    match expression:
        case Never(name):
            yield name.lower()
        case Not(term):
            yield from unknown_to(term)
        case And(terms) | Or(terms):
            for term in terms:
                yield from unknown_to(term)


def instant(text: str) -> Decimal:
    """Return an xsd:dateTime as exact milliseconds since the epoch (RFC 7643 §2.3.5).

    Any offset and any number of fraction digits; without an offset it is UTC. Raises ValueError.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no dateTime")
    whole, fraction, offset = match.groups()
    seconds = datetime.fromisoformat(whole + ("+00:00" if offset in (None, "Z") else offset))
    return Decimal(int(seconds.timestamp())) * 1000 + Decimal(f"0.{fraction or 0}") * 1000


def typed(path: AttributePath, op: Operator, value: object) -> Value:
    """Return a filter's literal as a value of the attribute's type, or raise InvalidFilter."""
    kind = path.leaf.type
    if kind is Type.COMPLEX:
        raise InvalidFilter(f"{path} has parts: compare one of them.")
    if kind in _ORDERED_BY_NOTHING and op is not Operator.EQ:
        raise InvalidFilter(f"{path} is {kind}: only eq, ne and pr apply.")
    if op.searches and kind not in (Type.STRING, Type.REFERENCE):
        raise InvalidFilter(f"{path} is {kind}: {op} needs text.")
    match kind, value:
        case Type.BOOLEAN, bool():
            return value
        case Type.BOOLEAN, str() if value.lower() in ("true", "false"):
            return value.lower() == "true"
        case ((Type.INTEGER | Type.DECIMAL), (int() | float())) if not isinstance(value, bool):
            return value
        case Type.DATE_TIME, str():
            try:
                return instant(value)
            except (ValueError, OverflowError) as error:
                raise InvalidFilter(f"{value!r} is no date and time.") from error
        case ((Type.STRING | Type.REFERENCE | Type.BINARY), str()):
            return value
    raise InvalidFilter(f"{path} is {kind}: it cannot be compared with {value!r}.")
