# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`bulkId:…` in the data of a bulk request: what is named, and what stands for it later."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import orjson

_NAME = re.compile(r'bulkId:([^\s"\'/\]\)]+)')

Json = dict[str, object]


def names_in(value: object) -> frozenset[str]:
    """Return the bulkIds that a value names anywhere in it."""
    if b"bulkId:" not in orjson.dumps(value):  # most data names none, and to look costs more
        return frozenset()
    return frozenset(name for text in _texts(value) for name in _names(text))


def resolved(data: Json, ids: Mapping[str, str]) -> Json:
    """Return the data with the ids that were issued in the place of bulkIds."""
    return {name: _resolved(value, ids) for name, value in data.items()}


def without(data: Json, names: Collection[str]) -> Json:
    """Return the data without the elements and values that name any of these bulkIds."""
    return {
        name: kept for name, value in data.items() if (kept := _without(value, names)) is not _GONE
    }


_GONE = object()


def _texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as found:
                waiting += found.values()
            case list() as elements:
                waiting += elements


def _names(text: str) -> list[str]:
    """A whole text, or one inside a path: `members[value eq "bulkId:x"]`, `/Users/bulkId:x`."""
    if text.startswith("bulkId:"):
        return [text.removeprefix("bulkId:")]
    return _NAME.findall(text) if _is_path(text) else []


def _is_path(text: str) -> bool:
    return "bulkId:" in text and ("[" in text or text.startswith("/"))


def _resolved(value: object, ids: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {name: _resolved(part, ids) for name, part in value.items()}
    if isinstance(value, list):
        return [_resolved(part, ids) for part in value]
    if isinstance(value, str) and value.startswith("bulkId:"):
        return ids.get(value.removeprefix("bulkId:"), value)
    if isinstance(value, str) and _is_path(value):
        # In one go: a name may be the beginning of another, and a text may hold a million of them.
        return _NAME.sub(lambda found: ids.get(found[1], found[0]), value)
    return value


def _without(value: object, names: Collection[str]) -> object:
    if isinstance(value, list):
        return [kept for part in value if (kept := _without(part, names)) is not _GONE]
    if isinstance(value, dict):
        own = value.get("value")
        if isinstance(own, str) and names_in(own) & frozenset(names):
            return _GONE
        return without(value, names)
    if isinstance(value, str) and names_in(value) & frozenset(names):
        return _GONE
    return value
