# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The queue of those who write SQLite: one at a time, in this process and on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator


class WriteQueue:
    """A lock in this process, then an advisory lock on a file among processes.

    The thread that has it may enter again.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._file = -1
        self._owner = -1
        self._counting = threading.Lock()
        self._heirs = 0  # threads that wait and would take over
        self._inherited = False  # the file's lock, by the next thread

    def enter(self, *, takes_over: bool) -> None:
        """Wait for the turn. `takes_over`: this thread goes on with what another one hands on."""
        if takes_over:
            self._wait_as_heir()
        else:
            self._lock.acquire()
        try:
            if self._depth == 0 and not self._inherited:
                fcntl.flock(self._opened(), fcntl.LOCK_EX)
            self._inherited = False
            self._depth += 1
        except BaseException:
            self._lock.release()
            raise

    def has_heirs(self) -> bool:
        """Say whether, at the end of this turn, somebody waits who would take over."""
        return self._heirs > 0 and self._depth == 1

    def leave(self, *, hand_on: bool = False) -> None:
        """End the turn. `hand_on`: the next one is of this process, whatever others want."""
        self._depth -= 1
        try:
            if self._depth == 0:
                self._inherited = hand_on
                if not hand_on:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Keep this process's writers out, and let go of the file, which the next one opens."""
        with self._lock:
            try:
                yield
            finally:
                if self._owner == os.getpid():
                    # Said, as a child that was forked meanwhile would keep what is only closed.
                    fcntl.flock(self._file, fcntl.LOCK_UN)
                    os.close(self._file)
                self._owner, self._inherited = -1, False

    def _wait_as_heir(self) -> None:
        with self._counting:
            self._heirs += 1
        try:
            self._lock.acquire()
        finally:
            with self._counting:
                self._heirs -= 1

    def _opened(self) -> int:
        """Return this process's own file: one that a fork inherits shares its parent's lock."""
        if self._owner != os.getpid():
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file, self._owner = os.open(self._path, flags, 0o600), os.getpid()
        return self._file
