# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`make bench`: the product beside the same server without work, a bare commit, and a peer.

Exits with 1 when a figure is below its floor. `--full` adds what takes longer than two minutes.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from tests.bench import concurrency, growth, report, sync
from tests.bench.operations import BULK, GET, OPERATIONS, POST, TIMES_POST, Aim, Operation
from tests.bench.report import Line, Verdict
from tests.bench.stage import Stage, postgresql, sqlite

USERS = 5_000
# What a server of its own costs: a journey for each statement.
_OF_SQLITE = {GET.name: Aim(0.45, 0.45), POST.name: Aim(0.8, 0.8)}

# How much of the yardstick's rate each operation has. Two of them that were measured one after the
# other are compared by these: what else the machine does by then falls on the yardstick, too.
Rates = dict[str, float]


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--only", default="", help="operations whose name has this in it")
    parser.add_argument("--no-peer", action="store_true", help="without scim2-server")
    parser.add_argument("--no-postgresql", action="store_true", help="on SQLite alone")
    parser.add_argument("--full", action="store_true", help="growth, full syncs, 16 connections")
    parser.add_argument("--most", type=int, default=growth.SIZES[-1], help="users to grow to")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with us
    chosen = [each for each in (*OPERATIONS, BULK) if arguments.only in each.name]
    with sqlite(arguments.users, with_peer=not arguments.no_peer) as stage:
        print(
            f"{arguments.users:,} users on SQLite, filled by the product's own verbs, many to a "
            f"commit; listening after {stage.running.seconds:.2f} s"
        )
        if stage.peer is not None:
            print("Beside it scim2-server, in memory, served by its own command.")
        if stage.peer_lacks:
            print(f"scim2-server cannot be had: {stage.peer_lacks}")
        lines, own = _run(stage, chosen)
        if arguments.full and stage.peer is not None:
            lines += concurrency.run(stage)
    if not arguments.no_postgresql:
        lines += _beside(arguments.users, chosen, own)
    if arguments.full:
        lines += growth.run(arguments.most)
        lines += sync.run()
    return _conclude(lines)


def _run(stage: Stage, chosen: Sequence[Operation]) -> tuple[list[Line], Rates]:
    print(report.head(with_peer=stage.peer is not None))
    lines: list[Line] = []
    rates: Rates = {}
    for operation in chosen:
        figures = stage.measured(operation)
        print(report.row(operation, figures), flush=True)
        lines += report.lines_of(operation, figures)
        rates[operation.name] = figures.of_hello
    if POST.name in rates and BULK.name in rates:
        times = Line("Bulk, times our own POST", rates[BULK.name] / rates[POST.name], TIMES_POST)
        print(times.told())
        lines.append(times)
    return lines, rates


def _beside(users: int, chosen: Sequence[Operation], own: Rates) -> list[Line]:
    """Run the same on PostgreSQL; there the aims are shares of the rates on SQLite."""
    with postgresql(users) as stage:
        print(f"\n{users:,} users on PostgreSQL, which syncs every commit")
        _, rates = _run(stage, chosen)
    lines = [
        Line(f"{name} on PostgreSQL, of SQLite", rates[name] / own[name], aim)
        for name, aim in _OF_SQLITE.items()
        if name in rates
    ]
    for line in lines:
        print(line.told())
    return lines


def _conclude(lines: list[Line]) -> int:
    for line in lines:
        if line.verdict is not Verdict.MET:
            print(line.gap())
    return 1 if any(line.verdict is Verdict.BELOW for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
