# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whether a document satisfies a filter: the reading that defines what filters mean here.

PATCH selects elements with it, and queries fall back to it where no column can answer.
A multi-valued attribute matches if any of its values does (RFC 7644 §3.4.2.2); `ne` is the
negation of `eq`, so that `emails ne "x"` means that no address is x.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from operator import eq, ge, gt, le, lt

from provisioning.naming import fold

from .expressions import (
    And,
    Comparison,
    Element,
    Expression,
    Never,
    Not,
    Operator,
    Or,
    Present,
    Value,
    instant,
)
from .schema import Attribute, AttributePath, Type

Document = Mapping[str, object]

_NUMBERS = (int, float, Decimal)


def matches(expression: Expression, document: Document) -> bool:
    """Evaluate a filter on a whole resource."""
    match expression:
        case Comparison(path):
            return any(_compare(expression, value) for value in values(document, path))
        case Present(path):
            return any(is_present(value) for value in values(document, path))
        case Element(path, where):
            return any(element_matches(where, value) for value in values(document, path))
        case Not(term):
            return not matches(term, document)
        case And(terms):
            return all(matches(term, document) for term in terms)
        case Or(terms):
            return any(matches(term, document) for term in terms)
        case Never():
            return False


def element_matches(where: Expression, element: object) -> bool:
    """Evaluate what stands between brackets on one element."""
    match where:
        case Comparison(path):
            return _compare(where, _part(element, path))
        case Present(path):
            return is_present(_part(element, path))
        case Not(term):
            return not element_matches(term, element)
        case And(terms):
            return all(element_matches(term, element) for term in terms)
        case Or(terms):
            return any(element_matches(term, element) for term in terms)
        case Element() | Never():
            return False


def values(document: Document, path: AttributePath) -> Iterator[object]:
    """Yield every value that stands at a path."""
    holder: object = document
    if path.extension is not None:
        holder = document.get(path.extension)
    if not isinstance(holder, Mapping):
        return
    value = holder.get(path.attribute.name)
    if value is None:
        return
    for element in value if isinstance(value, list) else (value,):
        yield element if path.sub is None else _part(element, path)


def is_present(value: object) -> bool:
    """Whether a value is one: null, [] and {} are none (RFC 7643 §2.5), nor is empty text."""
    if isinstance(value, Mapping):
        return any(is_present(part) for part in value.values())
    if isinstance(value, list):
        return any(is_present(element) for element in value)
    return value is not None and value != ""


def key(attribute: Attribute, text: str) -> str:
    """Return what a stored text is compared by: itself, or its folded key (R7)."""
    return fold(text) if attribute.folds else text


def sought(attribute: Attribute, op: Operator, text: str) -> str:
    """Return what a filter's text is compared by.

    Like `key`, but a part of a text keeps its outer blanks: `co " "` asks for a blank.
    """
    if not attribute.folds or op is Operator.EQ:
        return key(attribute, text)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def _part(element: object, path: AttributePath) -> object:
    if not isinstance(element, Mapping):
        return element if path.sub is None else None
    return element.get(path.leaf.name)


_RELATIONS: dict[Operator, Callable[[Decimal | float | str, Decimal | float | str], bool]] = {
    Operator.EQ: eq,
    Operator.GT: gt,
    Operator.GE: ge,
    Operator.LT: lt,
    Operator.LE: le,
}


def _compare(comparison: Comparison, actual: object) -> bool:
    attribute, op, wanted = comparison.path.leaf, comparison.op, comparison.value
    if actual is None:
        return False
    if isinstance(wanted, bool):
        return actual is wanted
    if isinstance(wanted, str):
        return isinstance(actual, str) and compare_text(
            op, key(attribute, actual), sought(attribute, op, wanted)
        )
    return _compare_numbers(attribute, op, actual, wanted)


def compare_text(op: Operator, actual: str, wanted: str) -> bool:
    """Compare two texts that are both what their attribute compares by."""
    if op is Operator.CO:
        return wanted in actual
    if op is Operator.SW:
        return actual.startswith(wanted)
    if op is Operator.EW:
        return actual.endswith(wanted)
    return _RELATIONS[op](actual, wanted)


def _compare_numbers(attribute: Attribute, op: Operator, actual: object, wanted: Value) -> bool:
    if attribute.type is Type.DATE_TIME:
        if not isinstance(actual, str):
            return False
        actual = instant(actual)
    if isinstance(actual, _NUMBERS) and isinstance(wanted, _NUMBERS):
        return _RELATIONS[op](actual, wanted)
    return False
