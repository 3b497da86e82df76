# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One running station for one pairing: two would take each other's jobs.

The lock is the operating system's, so a program that was killed leaves none behind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "running.lock"


class AlreadyRunning(Exception):
    """Another process is the station of this folder."""


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Hold the folder's lock for the block. Raises AlreadyRunning, OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            _lock(descriptor)
        except OSError:
            raise AlreadyRunning(
                "the reader program runs already on this computer, with this pairing"
            ) from None
        yield
    finally:
        os.close(descriptor)


def is_running(folder: Path) -> bool:
    """Whether a station runs with this folder's pairing at this moment."""
    try:
        with running(folder):
            return False
    except AlreadyRunning:
        return True


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
