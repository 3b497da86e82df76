# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`make bench`: the product beside the same server without work, and beside a peer.

Exits with 1 when a figure is below its floor.
"""

from __future__ import annotations

import argparse
import signal
import sys

from tests.bench import report
from tests.bench.operations import BULK, OPERATIONS, POST, TIMES_POST, Operation
from tests.bench.report import Line, Verdict
from tests.bench.stage import Stage, sqlite

USERS = 5_000


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--only", default="", help="operations whose name has this in it")
    parser.add_argument("--no-peer", action="store_true", help="without scim2-server")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with us
    chosen = [each for each in (*OPERATIONS, BULK) if arguments.only in each.name]
    with sqlite(arguments.users, with_peer=not arguments.no_peer) as stage:
        print(
            f"{arguments.users:,} users on SQLite, filled by the product's own verbs, many to a "
            f"commit; listening after {stage.running.seconds:.2f} s"
        )
        if stage.peer_lacks:
            print(f"scim2-server cannot be had: {stage.peer_lacks}")
        lines = _run(stage, chosen)
    return _conclude(lines)


def _run(stage: Stage, chosen: list[Operation]) -> list[Line]:
    print(report.head(with_peer=stage.peer is not None))
    lines: list[Line] = []
    seconds: dict[str, float] = {}
    for operation in chosen:
        figures = stage.measured(operation)
        print(report.row(operation, figures), flush=True)
        lines += report.lines_of(operation, figures)
        seconds[operation.name] = figures.seconds
    if POST.name in seconds and BULK.name in seconds:
        times = Line(
            "Bulk, times our own POST", seconds[POST.name] / seconds[BULK.name], TIMES_POST
        )
        print(times.told())
        lines.append(times)
    return lines


def _conclude(lines: list[Line]) -> int:
    for line in lines:
        if line.verdict is not Verdict.MET:
            print(line.gap())
    return 1 if any(line.verdict is Verdict.BELOW for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
