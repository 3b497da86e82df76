# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Sixteen connections at once: what many directories, or one in a hurry, make of the server."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from statistics import median, quantiles

from tests.bench.client import Connection, WrongAnswer
from tests.bench.operations import OPERATIONS, Operation, Target
from tests.bench.report import Line, at_least, at_most
from tests.bench.stage import Stage

CONNECTIONS = 16
SECONDS = 4.0
# How many times the peer's rate.
_TIMES = {
    "GET /Users/{id}": 10.0,
    "filter userName eq": 12.0,
    "list, 100 per page, by cursor": 300.0,
    "POST /Users": 4.0,
}
_SPREAD = 5.0  # the slowest hundredth of the writes beside the median


@dataclass
class _Load:
    """What came out: requests per second, and the seconds that each took."""

    rate: float
    seconds: list[float]


def run(stage: Stage) -> list[Line]:
    """Load both servers in turn; print rates, and how long a write waits."""
    assert stage.peer is not None
    print(f"\nAt {CONNECTIONS} connections")
    lines: list[Line] = []
    for operation in OPERATIONS:
        times = _TIMES.get(operation.name)
        if times is None:
            continue
        ours, theirs = _loaded(operation, stage.ours), _loaded(operation, stage.peer)
        ratio = ours.rate / theirs.rate
        print(
            f"{operation.name:32}{ours.rate:8,.0f} per s   x {ratio:,.0f} scim2-server "
            f"(at least {times:,.0f})",
            flush=True,
        )
        lines.append(at_least(f"{operation.name} at 16, times scim2-server", ratio, times))
        if operation.commits:
            half, slow = median(ours.seconds), quantiles(ours.seconds, n=100)[-1]
            print(f"{'':32}half of them within {half * 1e3:.1f} ms, 99 % within {slow * 1e3:.1f}")
            lines.append(at_most(f"{operation.name} at 16, p99 beside p50", slow / half, _SPREAD))
    return lines


def _loaded(operation: Operation, target: Target) -> _Load:
    source = operation.requests(target)
    lock = threading.Lock()
    seconds: list[float] = []
    faults: list[str] = []
    until = time.perf_counter() + SECONDS

    def ask() -> None:
        connection = Connection(target.port)
        while time.perf_counter() < until:
            with lock:
                messages = list(itertools.islice(source, 10))
            for message in messages:
                begun = time.perf_counter()
                answer = connection.exchange(message)
                seconds.append(time.perf_counter() - begun)
                if answer.status != operation.status:
                    faults.append(f"{answer.status} {answer.body[:200]!r}")
        connection.close()

    begun = time.perf_counter()
    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise WrongAnswer(f"{target.name}: {operation.name}: {faults[0]}")
    return _Load(len(seconds) / (time.perf_counter() - begun), seconds)
