# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from provisioning.processes import supervisor
from provisioning.processes.supervisor import Child

# Starts another process, says its id, and ends at a SIGTERM, or only at the second one.
PARENT = """
import pathlib, signal, subprocess, sys
deaf, told = sys.argv[1] == "deaf", []
def end(number, frame):
    told.append(number)
    if not deaf or len(told) > 1:
        sys.exit(0)
signal.signal(signal.SIGTERM, end)
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[2]).write_text(str(other.pid))
while True:
    signal.pause()
"""


@pytest.mark.parametrize("hearing", ["good", "deaf"])
def test_nothing_that_a_child_started_outlives_a_stop(
    hearing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_REMIND_EVERY", 0.1)
    said = tmp_path / "pid"
    child = Child("web", [sys.executable, "-c", PARENT, hearing, str(said)], vital=True)
    stop = threading.Event()
    codes: list[int] = []
    running = threading.Thread(target=lambda: codes.append(supervisor.run([child], stop)))
    running.start()
    wait_until(lambda: said.exists() and said.read_text() != "")
    stop.set()
    running.join(10)
    assert codes == [0]
    wait_until(lambda: not is_running(int(said.read_text())))


def is_running(pid: int) -> bool:
    """Whether a process lives; one that is dead and not yet buried does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def wait_until(true: object) -> None:
    end = time.monotonic() + 10
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)
