# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`bulkId:…` in the data of a bulk request: what is named, and what stands for it later."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import orjson

_NAME = re.compile(r'bulkId:([^\s"\'/\]\)]+)')
_PATHS = ("path", "$ref")  # whose texts may have a name inside; elsewhere one is the whole text

Json = dict[str, object]


def names_in(value: object, part: str = "") -> frozenset[str]:
    """Return the bulkIds that a value names anywhere in it; `part` is what it is called."""
    if b"bulkId:" not in orjson.dumps(value):  # most data names none, and to look costs more
        return frozenset()
    return frozenset(name for where, text in _texts(part, value) for name in _names(where, text))


def resolved(data: Json, ids: Mapping[str, str]) -> Json:
    """Return the data with the ids that were issued in the place of bulkIds."""
    return {name: _resolved(name, value, ids) for name, value in data.items()}


def without(data: Json, names: Collection[str]) -> Json:
    """Return the data without the elements and values that name any of these bulkIds."""
    return {
        name: kept
        for name, value in data.items()
        if (kept := _without(name, value, names)) is not _GONE
    }


_GONE = object()


def _texts(part: str, value: object) -> Iterator[tuple[str, str]]:
    waiting = [(part, value)]
    while waiting:
        part, value = waiting.pop()
        match value:
            case str() as text:
                yield part, text
            case dict() as found:
                waiting += found.items()
            case list() as elements:
                waiting += [(part, element) for element in elements]


def _names(part: str, text: str) -> list[str]:
    """A whole text, or one inside a path: `members[value eq "bulkId:x"]`, `/Users/bulkId:x`."""
    if text.startswith("bulkId:"):
        return [text.removeprefix("bulkId:")]
    return _NAME.findall(text) if part.lower() in _PATHS else []


def _resolved(part: str, value: object, ids: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return resolved(value, ids)
    if isinstance(value, list):
        return [_resolved(part, element, ids) for element in value]
    if isinstance(value, str) and value.startswith("bulkId:"):
        return ids.get(value.removeprefix("bulkId:"), value)
    if isinstance(value, str) and part.lower() in _PATHS:
        # In one go: a name may be the beginning of another, and a text may hold a million of them.
        return _NAME.sub(lambda found: ids.get(found[1], found[0]), value)
    return value


def _without(part: str, value: object, names: Collection[str]) -> object:
    if isinstance(value, list):
        return [kept for element in value if (kept := _without(part, element, names)) is not _GONE]
    if isinstance(value, dict):
        own = value.get("value")
        if isinstance(own, str) and names_in(own) & frozenset(names):
            return _GONE
        return without(value, names)
    if isinstance(value, str) and names_in(value, part) & frozenset(names):
        return _GONE
    return value
