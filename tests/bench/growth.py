# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How much more a request costs when there are a thousand times as many users or members.

Counted in processor time of the web processes, so that what else the machine does falls out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import loading, operations, processes, servers
from tests.bench.client import Connection
from tests.bench.operations import POST, Operation, Target
from tests.bench.report import Line, at_most
from tests.bench.stage import Stage, sqlite

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MEMBERS = (10, 1_000, 100_000)
_WARM = 200

# Operation, how many requests, and how much more the last size may cost than the first.
_GROWING: tuple[tuple[str, int, float], ...] = (
    ("GET /Users/{id}", 2_000, 1.4),
    ("filter userName eq", 2_000, 1.3),
    ("filter externalId eq", 2_000, 1.3),
    ("list, 100 per page, by cursor", 600, 1.3),
    (POST.name, 600, 1.5),
    ("PATCH active=false, the cascade", 150, 1.5),
    ("what has changed since", 600, 1.3),
    ("POST /Groups, 100 members", 300, 1.5),
)
_ALSO = (
    Operation("what has changed since", 200, operations.changed_since, None, None, 0, 0),
    Operation("POST /Groups, 100 members", 201, operations.groups, None, None, 0, 0),
)
_MEMBERSHIP = 1.3
_TO_SMALL = 1.5  # time of a 100,000-member group beside one of 10
_MEMORY = 200.0  # MiB, two processes
_LISTENING = 1.5  # seconds


@dataclass
class _Curve:
    what: str
    most: float
    microseconds: list[float]

    def told(self) -> str:
        cells = "".join(f"{each:>11,.0f}" for each in self.microseconds)
        return f"{self.what:34}{cells}   x {self.ratio:.2f} (at most {self.most})"

    @property
    def ratio(self) -> float:
        return self.microseconds[-1] / self.microseconds[0]


def run(most: int) -> list[Line]:
    """Fill a store step by step and measure at each; print the curves."""
    sizes = [size for size in SIZES if size <= most]
    by_name = {each.name: each for each in (*operations.OPERATIONS, *_ALSO)}
    curves = [_Curve(name, most, []) for name, _, most in _GROWING]
    with sqlite(sizes[0], with_peer=False) as stage:
        web = processes.web(stage.running.pid)
        for size in sizes:
            loading.add_users(stage.ours, stage.connection, size)
            for curve, (name, count, _) in zip(curves, _GROWING, strict=True):
                operation = by_name[name]
                if operation.requests is operations.deactivate:
                    leavers = count + _WARM // 10
                    loading.add_leavers(stage.ours, stage.services, stage.connection, leavers)
                curve.microseconds.append(_cost(stage, web, operation, count))
            loading.drop_groups()  # whose members' pages would cost more at the next size
        print(f"\nProcessor time of a request, in microseconds\n{'users':34}" + _cells(sizes))
        for curve in curves:
            print(curve.told())
        lines = [at_most(f"{c.what}, growth", c.ratio, c.most) for c in curves]
        lines += _groups(stage, web)
        memory = processes.memory(web)
        print(f"memory of {len(web)} web processes with {sizes[-1]:,} users: {memory:,.0f} MiB")
        lines.append(at_most("memory of the web processes, MiB", memory, _MEMORY))
        lines.append(_listening(stage, sizes[-1]))
    return lines


def _groups(stage: Stage, web: list[int]) -> list[Line]:
    """One member in and out, and a GET without members, whatever the group's size."""
    sizes = [size for size in MEMBERS if size < len(stage.ours.users)]
    loading.add_groups(stage.ours, stage.connection, sizes)
    change = _Curve("one member in, one out", _MEMBERSHIP, [])
    read = _Curve("GET without members", _MEMBERSHIP, [])
    seconds: list[float] = []
    for size in sizes:
        operation = Operation("", 204, operations.member(size), None, None, 0, 0)
        change.microseconds.append(_cost(stage, web, operation, 600))
        read.microseconds.append(
            _cost(stage, web, Operation("", 200, _without_members(size), None, None, 0, 0), 600)
        )
        seconds.append(_wall(stage, operation, 600))
    print(f"\n{'members':34}" + _cells(sizes))
    print(change.told())
    print(read.told())
    ratio = seconds[-1] / seconds[0]
    told = ", ".join(f"{each * 1e3:.2f}" for each in seconds)
    print(f"time of one change, in milliseconds: {told}, x {ratio:.2f} (at most {_TO_SMALL})")
    return [
        at_most("one member, growth", change.ratio, _MEMBERSHIP),
        at_most("GET without members, growth", read.ratio, _MEMBERSHIP),
        at_most("one member, time beside a small group", ratio, _TO_SMALL),
    ]


def _listening(stage: Stage, users: int) -> Line:
    port = servers.free_port()
    with servers.product(stage.services.settings.data, port, moved=True) as again:
        print(f"listening with {users:,} users after {again.seconds:.2f} s")
        return at_most("listening, seconds", again.seconds, _LISTENING)


def _cost(stage: Stage, web: list[int], operation: Operation, count: int) -> float:
    """Return the microseconds of processor time that one request takes."""
    connection = Connection(stage.ours.port)
    requests = operation.requests(stage.ours)
    warm = _WARM // 10 if operation.requests is operations.deactivate else _WARM
    connection.seconds(list(itertools.islice(requests, warm)), operation.status)
    messages = list(itertools.islice(requests, count))
    before = processes.cpu_seconds(web)
    connection.seconds(messages, operation.status)
    used = processes.cpu_seconds(web) - before
    connection.close()
    return used / len(messages) * 1e6


def _wall(stage: Stage, operation: Operation, count: int) -> float:
    connection = Connection(stage.ours.port)
    spent = connection.seconds(
        list(itertools.islice(operation.requests(stage.ours), count)), operation.status
    )
    connection.close()
    return spent


def _without_members(size: int) -> operations.Requests:
    def requests(target: Target) -> Iterator[bytes]:
        path = f"/Groups/{target.groups[size]}?excludedAttributes=members"
        return itertools.repeat(target.request("GET", path))

    return requests


def _cells(sizes: list[int]) -> str:
    return "".join(f"{size:>11,}" for size in sizes)
