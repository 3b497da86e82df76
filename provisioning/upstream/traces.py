# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a directory asked lately: its latest requests, how many in each hour, what it relies on.

All of it explains and decides nothing. It is written in batches by `recorder`, never by a request,
and kept for a bounded while: so many requests of each connection, and none older than a week.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from peewee import EXCLUDED, chunked, fn

from ..clock import DAY, HOUR, now_ms
from ..models import Connection, QuirkUse, RequestHour, RequestTrace, Token
from ..storage.db import tuples
from ..storage.statements import Statements, rows_of

KEPT = 1_000  # requests of one connection
AGE = 7 * DAY
BURST = 200  # requests of one connection that one batch writes; refused ones first
_CHUNK = 50
_NONE: Mapping[str, int] = MappingProxyType({})


class Trace(NamedTuple):
    """One request. `connection` is None where only the name of a token is known, which let nobody
    in. `path` tells an address without personal data; of a burst few are asked."""

    at: int  # ms since the epoch
    connection: int | None
    token: str | None
    method: str
    path: Callable[[], str]
    status: int
    scim_type: str | None
    micros: int
    quirks: Mapping[str, int] = _NONE

    @property
    def refused(self) -> bool:
        """Whether the directory was told no, or that the server failed."""
        return self.status >= 400


@dataclass(frozen=True)
class Hour:
    """What came in an hour; `at` is its beginning."""

    at: int
    requests: int
    errors: int


def write(batch: Sequence[Trace]) -> None:
    """Take down a batch in the caller's transaction; what names no connection is dropped."""
    by_connection = _by_connection(batch)
    for connection, traces in by_connection.items():
        _note_seen(connection, traces)
        _note_hours(connection, traces)
        _note_quirks(connection, traces)
        _add(connection, traces)
    _note_tokens(batch)


def page(
    connection: Connection, *, refused: bool = False, before: int = 0, size: int = 50
) -> tuple[list[RequestTrace], bool]:
    """Return the newest requests, those before a row id if one is given, and if there are more."""
    query = RequestTrace.select().where(RequestTrace.connection == connection)
    if refused:
        query = query.where(RequestTrace.status >= 400)
    if before:
        query = query.where(RequestTrace.id < before)
    rows = list(query.order_by(RequestTrace.id.desc()).limit(size + 1))
    return rows[:size], len(rows) > size


def hours(connection: Connection, count: int = 24) -> list[Hour]:
    """Return the latest hours, the oldest first, the present one last; quiet ones among them."""
    last = now_ms() // HOUR * HOUR
    first = last - (count - 1) * HOUR
    found = {
        at: (requests, errors)
        for at, requests, errors in tuples(
            RequestHour.select(RequestHour.hour, RequestHour.requests, RequestHour.errors).where(
                RequestHour.connection == connection, RequestHour.hour >= first
            )
        )
    }
    return [Hour(at, *found.get(at, (0, 0))) for at in range(first, last + 1, HOUR)]


def last_day() -> dict[int, tuple[int, int]]:
    """Return requests and errors of the last 24 hours, by connection; a quiet one is left out."""
    first = now_ms() // HOUR * HOUR - 23 * HOUR
    rows = (
        RequestHour.select(
            RequestHour.connection, fn.SUM(RequestHour.requests), fn.SUM(RequestHour.errors)
        )
        .where(RequestHour.hour >= first)
        .group_by(RequestHour.connection)
    )
    return {number: (int(asked), int(refused)) for number, asked, refused in tuples(rows)}


def quirks(connection: Connection) -> list[QuirkUse]:
    """Return which leniencies a directory relied on, the most used first."""
    mine = QuirkUse.select().where(QuirkUse.connection == connection)
    return list(mine.order_by(QuirkUse.seen.desc(), QuirkUse.name))


def refusals(connection: Connection, since: int) -> list[tuple[int, str | None, int, int]]:
    """Return what was refused since a time, of what is kept: status, scimType, how often, when
    last; the most frequent first."""
    query = (
        RequestTrace.select(
            RequestTrace.status,
            RequestTrace.scim_type,
            fn.COUNT(RequestTrace.id),
            fn.MAX(RequestTrace.at),
        )
        .where(
            RequestTrace.connection == connection,
            RequestTrace.status >= 400,
            RequestTrace.at >= since,
        )
        .group_by(RequestTrace.status, RequestTrace.scim_type)
    )
    return sorted(((s, t, int(n), at) for s, t, n, at in tuples(query)), key=lambda r: -r[2])


def sweep() -> int:
    """Delete what is older than a week; return how many rows."""
    end = now_ms() - AGE
    swept = RequestTrace.delete().where(RequestTrace.at < end).execute()
    return int(swept + RequestHour.delete().where(RequestHour.hour < end).execute())


def _by_connection(batch: Sequence[Trace]) -> dict[int, list[Trace]]:
    """Sort a batch by connections that still are; a token's name tells whose it is."""
    named = {trace.token for trace in batch if trace.connection is None and trace.token}
    owner: dict[str, int] = {}
    for part in chunked(sorted(named), _CHUNK):
        rows = Token.select(Token.public_id, Token.connection).where(Token.public_id.in_(part))
        owner.update(tuples(rows))
    found: dict[int, list[Trace]] = defaultdict(list)
    for trace in batch:
        connection = trace.connection or owner.get(trace.token or "")
        if connection is not None:
            found[connection].append(trace)
    there = {
        pk
        for part in chunked(sorted(found), _CHUNK)
        for (pk,) in tuples(Connection.select(Connection.id).where(Connection.id.in_(part)))
    }
    return {connection: found[connection] for connection in sorted(there)}


def _note_seen(connection: int, traces: Sequence[Trace]) -> None:
    """A directory is seen when it got in; its newest request counts, whoever writes first."""
    seen = max((trace.at for trace in traces if trace.connection is not None), default=None)
    if seen is not None:
        column: Any = Connection.last_seen_at
        Connection.update(last_seen_at=seen).where(
            Connection.id == connection, column.is_null() | (column < seen)
        ).execute()


def _note_tokens(batch: Sequence[Trace]) -> None:
    used: dict[str, int] = {}
    for trace in batch:
        if trace.connection is not None and trace.token is not None:
            used[trace.token] = max(trace.at, used.get(trace.token, 0))
    column: Any = Token.last_used_at
    for public_id, at in sorted(used.items()):
        Token.update(last_used_at=at).where(
            Token.public_id == public_id, column.is_null() | (column < at)
        ).execute()


def _note_hours(connection: int, traces: Sequence[Trace]) -> None:
    requests: Counter[int] = Counter()
    errors: Counter[int] = Counter()
    for trace in traces:
        hour = trace.at // HOUR * HOUR
        requests[hour] += 1
        errors[hour] += trace.refused
    rows = [
        {"connection": connection, "hour": at, "requests": count, "errors": errors[at]}
        for at, count in requests.items()
    ]
    RequestHour.insert_many(rows).on_conflict(
        conflict_target=[RequestHour.connection, RequestHour.hour],
        update={
            RequestHour.requests: RequestHour.requests + EXCLUDED.requests,
            RequestHour.errors: RequestHour.errors + EXCLUDED.errors,
        },
    ).execute()


def _note_quirks(connection: int, traces: Sequence[Trace]) -> None:
    used: Counter[str] = Counter()
    last: dict[str, int] = {}
    for trace in traces:
        for name, count in trace.quirks.items():
            used[name] += count
            last[name] = max(trace.at, last.get(name, 0))
    if not used:
        return
    rows = [
        {"connection": connection, "name": name, "seen": count, "last_seen_at": last[name]}
        for name, count in used.items()
    ]
    QuirkUse.insert_many(rows).on_conflict(
        conflict_target=[QuirkUse.connection, QuirkUse.name],
        update={
            QuirkUse.seen: QuirkUse.seen + EXCLUDED.seen,
            QuirkUse.last_seen_at: EXCLUDED.last_seen_at,
        },
    ).execute()


def _add(connection: int, traces: Sequence[Trace]) -> None:
    """Write the requests themselves, in order, and let the oldest go."""
    for part in chunked(_chosen(traces), _CHUNK):
        values: list[object] = []
        for at, _, token, method, path, status, scim_type, micros, quirks in part:
            told = (path(), status, scim_type, micros, " ".join(quirks))
            values += [connection, at, token, method, *told]
        _ADD.change((len(part),), values)
    other = RequestTrace.alias()
    eldest = (
        other.select(other.id)
        .where(other.connection == connection)
        .order_by(other.id.desc())
        .limit(1)
        .offset(KEPT)
    )
    # COALESCE: with fewer rows than that there is no eldest, and nothing to delete.
    RequestTrace.delete().where(
        RequestTrace.connection == connection, RequestTrace.id <= fn.COALESCE(eldest, 0)
    ).execute()


def _chosen(traces: Sequence[Trace]) -> list[Trace]:
    """Return which of a burst are worth a row: those that were refused, then the newest."""
    if len(traces) <= BURST:
        return list(traces)
    places = [place for place, trace in enumerate(traces) if trace.refused][-BURST:]
    kept = set(places)
    for place in range(len(traces) - 1, -1, -1):
        if len(kept) >= BURST:
            break
        kept.add(place)
    return [traces[place] for place in sorted(kept)]


_COLUMNS = (
    "connection",
    "at",
    "token",
    "method",
    "path",
    "status",
    "scim_type",
    "micros",
    "quirks",
)
_ADD = Statements(lambda count: rows_of(RequestTrace, _COLUMNS, count))
