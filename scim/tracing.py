# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Requests as they are taken down for the panel: what was asked, and nobody's data.

A path keeps our ids; a query keeps names of parameters, numbers, and of a filter its shape:
`/Users?filter=userName eq …`. Whatever is not known to be harmless is an ellipsis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from time import time_ns
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from provisioning.errors import Taken
from provisioning.storage.db import transaction
from provisioning.storage.recorder import Recorder
from provisioning.upstream import conflicts, traces
from provisioning.upstream.conflicts import Clash
from provisioning.upstream.rehearsal import MARK
from provisioning.upstream.traces import Trace

from .quirks import Quirk
from .resource_types import ALL, SCHEMAS
from .schema import Attribute

if TYPE_CHECKING:
    from .wire import Reply, Request

BLANK = "…"
LONGEST = 300


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"?')
_TERM = re.compile(r"[()\[\],]|[^\s()\[\],]+")
_OPERATORS = frozenset(
    [
        "eq",
        "ne",
        "co",
        "sw",
        "ew",
        "pr",
        "gt",
        "ge",
        "lt",
        "le",
        "and",
        "or",
        "not",
        "true",
        "false",
        "null",
    ]
)
_NUMBERS = frozenset({"startindex", "count"})
_PATHS = frozenset({"filter", "attributes", "excludedattributes", "sortby"})
_WORDS = {"sortorder": frozenset({"ascending", "descending"})}
_PLACES = frozenset(
    {
        *(type_.endpoint.removeprefix("/") for type_ in ALL),
        *("Bulk", "Me", "ServiceProviderConfig", "ResourceTypes", "Schemas", ".search", "Events"),
        *(type_.name for type_ in ALL),
        *(schema.urn for schema in SCHEMAS),
    }
)


class Seen(NamedTuple):
    """What a request leaves behind: small, as its body and its answer may be large."""

    at: int  # ns since the epoch, when it was answered
    took: int  # ns
    connection: int | None
    used: Mapping[Quirk, int] | None  # where it used any
    taken: Sequence[Taken] | None  # where something else held what it asked for
    token: str | None
    method: str
    path: str
    query: str
    status: int
    scim_type: str | None


Left = tuple[
    int,
    int,
    int | None,
    Mapping[Quirk, int] | None,
    Sequence[Taken] | None,
    str | None,
    str,
    str,
    str,
    int,
    str | None,
]
"""The same as a plain tuple, which is made in half the time."""


def note(recorder: Recorder[Left], request: Request, reply: Reply, took: int) -> None:
    """Leave a request to the recorder: values alone, nothing for the collector to walk."""
    environ = request.environ
    if MARK in environ:
        return
    caller = request.caller
    recorder.note(
        (
            time_ns(),
            took,
            caller.connection.id if caller is not None else None,
            (caller.dialect.used or None) if caller is not None else None,
            (caller.taken or None) if caller is not None else None,
            request.token,
            request.method,
            request.path,
            environ.get("QUERY_STRING", ""),
            reply.status,
            reply.scim_type,
        )
    )


def take_down(batch: list[Left]) -> None:
    """Write what was seen; for the recorder's thread."""
    seen = [Seen(*left) for left in batch]
    with transaction():
        traces.write([_trace(each) for each in seen])
        conflicts.note(
            clash
            for each in seen
            if each.taken is not None and each.connection is not None
            for clash in clashes(each.connection, each.taken, each.at // 1_000_000)
        )


def _trace(seen: Seen) -> Trace:
    return Trace(
        at=(seen.at - seen.took) // 1_000_000,
        connection=seen.connection,
        token=seen.token,
        method=seen.method if seen.method in _METHODS else BLANK,
        path=partial(shown, seen.path, seen.query),
        status=seen.status,
        scim_type=seen.scim_type,
        micros=seen.took // 1_000,
        quirks={str(quirk): count for quirk, count in (seen.used or {}).items()},
    )


def clashes(connection: int, taken: Iterable[Taken], at: int) -> Iterator[Clash]:
    """Yield what a connection asked for and something else holds; `at` in milliseconds."""
    for each in taken:
        if each.kind is not None and each.field is not None:
            yield Clash(connection, at, each.kind, each.field, each.value)


def shown(path: str, query: str = "") -> str:
    """Return an address below /scim/v2 without anything that could be somebody's data."""
    parts = path.split("/")[3:]
    told = "/" + "/".join(part if not part or _is_ours(part) else BLANK for part in parts)
    given = "&".join(_parameters(query))
    told = f"{told}?{given}" if given else told
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + BLANK


def _is_ours(part: str) -> bool:
    return part in _PLACES or _ID.fullmatch(part) is not None


def _parameters(query: str) -> Iterator[str]:
    for name, value in parse_qsl(query[:8_192], keep_blank_values=True, errors="replace")[:12]:
        key = name.lower()
        if key in _PATHS:
            yield f"{name}={_skeleton(value)}"
        elif key in _NUMBERS:
            yield f"{name}={value if re.fullmatch(r'-?[0-9]{1,9}', value) else BLANK}"
        elif key in _WORDS:
            yield f"{name}={value if value.lower() in _WORDS[key] else BLANK}"
        elif key == "cursor":
            yield f"{name}={BLANK}"
        else:  # a parameter that we do not know may be called anything
            yield BLANK


def _skeleton(text: str) -> str:
    """Return a filter, or a list of attributes, with names and operators only."""
    terms = [
        term if term in "()[]," or _is_name(term) else BLANK
        for term in _TERM.findall(_QUOTED.sub(f" {BLANK} ", text[:4_096]))
    ]
    told = re.sub(r"(?:… )+…", BLANK, " ".join(terms))
    told = re.sub(r"\s?([(\[\])])\s?", r"\1", told)
    return re.sub(r" ?, ?", ", ", told).strip()


@lru_cache(maxsize=4_096)
def _is_name(term: str) -> bool:
    lower = term.lower()
    if lower in _OPERATORS:
        return True
    for urn in _URNS:
        if lower == urn:
            return True
        if lower.startswith(urn + ":"):
            lower = lower.removeprefix(urn + ":")
            break
    return bool(lower) and all(part in _NAMES for part in lower.lstrip(".").split("."))


def _names(attributes: tuple[Attribute, ...]) -> Iterator[str]:
    for attribute in attributes:
        yield attribute.name.lower()
        yield from _names(attribute.sub_attributes)


_URNS = sorted((schema.urn.lower() for schema in SCHEMAS), key=len, reverse=True)
_NAMES = frozenset(
    {
        *(name for schema in SCHEMAS for name in _names(schema.attributes)),
        *("id", "externalid", "schemas", "meta", "resourcetype", "created", "lastmodified"),
        *("location", "version"),
    }
)
