# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Turns: a block of requests to the yardstick, to ours, to the peer, and round again.

A ratio is taken within each round and the median of all is told, so that what else the machine
does at the time falls on all of them.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench.client import Connection, WrongAnswer
from tests.bench.operations import Operation, Target

_BASE = 50  # requests to the yardstick in one turn
_COMMITS = 20


@dataclass(frozen=True)
class Figures:
    """What came out for one operation: seconds for each, and ratios of rates."""

    seconds: float
    of_hello: float
    of_commit: float | None  # where it commits
    times_peer: float | None


def measure(
    operation: Operation,
    ours: Target,
    hello: Target,
    commits: Callable[[int], float],
    peer: Target | None,
) -> Figures:
    """Run an operation's rounds. Raises WrongAnswer when a server does something else."""
    yardstick = _Lane(hello, itertools.repeat(hello.request("GET", "")), _BASE, 200)
    mine = _Lane.of(operation, ours, operation.block, operation.status)
    theirs = _Lane.of(operation, peer, operation.peer_block) if peer is not None else None
    own: list[float] = []
    idle: list[float] = []
    committed: list[float] = []
    ratios: list[float] = []
    gc.disable()
    try:
        for cycle in range(operation.cycles + 1):
            base = yardstick.turn()
            commit = commits(_COMMITS) if operation.commits else None
            spent = mine.turn()
            other = theirs.turn() if theirs and cycle <= operation.peer_cycles else None
            if cycle == 0:
                continue  # warms caches and opens connections
            own.append(spent)
            idle.append(base / spent)
            if commit is not None:
                committed.append(commit / spent)
            if other is not None:
                ratios.append(other / spent)
    finally:
        gc.enable()
    return Figures(
        median(own),
        median(idle),
        median(committed) if committed else None,
        median(ratios) if ratios else None,
    )


class _Lane:
    """One server's part in the rounds."""

    def __init__(
        self,
        target: Target,
        requests: Iterator[bytes],
        size: int,
        status: int | None = None,
        each: int = 1,
    ) -> None:
        self._connection = Connection(target.port)
        self._requests = requests
        self._size = size
        self._status = status
        self._each = each

    @classmethod
    def of(
        cls, operation: Operation, target: Target, size: int, status: int | None = None
    ) -> _Lane:
        each = operation.in_one_request(target)
        if not each:
            raise WrongAnswer(f"{target.name} does not offer {operation.name}")
        return cls(target, operation.requests(target), -(-size // each), status, each)

    def turn(self) -> float:
        """Do one block; return the seconds that each operation took."""
        block = list(itertools.islice(self._requests, self._size))
        return self._connection.seconds(block, self._status) / self._each
