# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reader.running import AlreadyRunning, is_running, running


def test_one_station_at_a_time_for_one_pairing(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert not is_running(folder)
    with running(folder):
        assert is_running(folder)
        with pytest.raises(AlreadyRunning), running(folder):
            pass
        with running(tmp_path / "other"):
            pass
    assert not is_running(folder)


def test_a_killed_program_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom reader.running import running\n"
        "with running(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_running(tmp_path)
        process.send_signal(signal.SIGKILL)
    assert not is_running(tmp_path)
