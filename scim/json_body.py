# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Request bodies: JSON without anything that two readers could read differently (R4).

The standard parser takes NaN, keeps the last of two equal keys, lets lone surrogates through
that no database stores, and goes as deep as the interpreter can; all of that is refused here.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from provisioning.errors import InvalidValue

from .errors import InvalidSyntax, TooLarge

MAX_DEPTH = 32
MAX_PARTS = 500_000  # lists and objects: 32 MiB of empty ones would be a gigabyte
MEBIBYTE = 1024 * 1024

_LEAST, _MOST = -(2**63), 2**63 - 1


def parse(body: bytes) -> dict[str, object]:
    """Return the object that a body holds. Raises InvalidSyntax, InvalidValue or TooLarge.

    UTF-8 without a byte order mark, at most 32 deep, no name twice in an object (in any case:
    attribute names have none), no NaN, no number over 64 bits, no lone surrogate, no NUL.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSyntax("The body is not UTF-8.") from error
    if text.startswith("\ufeff"):
        raise InvalidSyntax("The body starts with a byte order mark.")
    parts = text.count("[") + text.count("{")
    if parts > MAX_PARTS:
        raise TooLarge(f"The body has more than {MAX_PARTS} lists and objects.")
    try:
        value = _DECODER.decode(text)
    except ValueError as error:
        raise InvalidSyntax("The body is not JSON.") from error
    except RecursionError as error:
        raise _too_deep() from error
    if not isinstance(value, dict):
        raise InvalidSyntax("The body is not a JSON object.")
    if parts > MAX_DEPTH:
        _check_depth(value)
    if "\\u" in text:
        _check_text(value)
    return value


def _check_depth(value: dict[str, object]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> InvalidSyntax:
    return InvalidSyntax(f"The body nests more than {MAX_DEPTH} deep.")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(set(map(str.lower, found))) != len(pairs):
        raise InvalidSyntax("An object has the same name twice.")
    return found


def _constant(name: str) -> object:
    raise InvalidSyntax(f"{name} is not JSON.")


def _integer(text: str) -> int:
    if len(text) > 20 or not _LEAST <= int(text) <= _MOST:
        raise InvalidValue("A number does not fit 64 bits.")
    return int(text)


def _decimal(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise InvalidValue("A number is too large.")
    return number


def _check_text(value: object) -> None:
    """Refuse what only an escape can bring in: half a character, and NUL."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                if "\0" in text:
                    raise InvalidValue("A text holds a NUL.")
                try:
                    text.encode()
                except UnicodeEncodeError as error:
                    raise InvalidValue("A text holds half a surrogate pair.") from error
            case dict() as found:
                waiting += [*found, *found.values()]
            case list() as elements:
                waiting += elements


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_constant,
    parse_int=_integer,
    parse_float=_decimal,
)
