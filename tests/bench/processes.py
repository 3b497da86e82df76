# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a server's processes have used, as the kernel counts it."""

from __future__ import annotations

import contextlib
from pathlib import Path

_PROC = Path("/proc")


def web(pid: int) -> list[int]:
    """Return the web processes among the descendants of a process: not the one that forks them."""
    parents: dict[int, int] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(after_name[1])
    tree = {pid}
    while True:
        more = {each for each, parent in parents.items() if parent in tree} - tree
        if not more:
            break
        tree |= more
    return sorted(each for each in tree if _serves(each) and _serves(parents[each]))


def cpu_seconds(pids: list[int]) -> float:
    """Return the processor time that all their threads have used."""
    used = 0
    for pid in pids:
        for task in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                used += int((task / "schedstat").read_text().split()[0])
    return used / 1e9


def memory(pids: list[int]) -> float:
    """Return their memory in MiB, what they share counted once (proportional set size)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def _serves(pid: int) -> bool:
    try:
        command = (_PROC / str(pid) / "cmdline").read_bytes()
        return b"provisioning.processes.web" in command.split(b"\0")
    except OSError:
        return False
