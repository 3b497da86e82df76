# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What may be written a moment later: taken down in the process, written in batches by a thread.

A request pays for an append and nothing else. A crash loses the last second of it, so only what
explains, and decides nothing, goes this way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.util import Finalize
from typing import Generic, TypeVar

import structlog
from peewee import PeeweeException

from ..processes.logs import kind_and_place
from .db import database, will_pass

MOST = 50_000  # entries that wait; the oldest give way
PAUSE = 1.0  # seconds
_FAREWELL = 5.0  # seconds that the last batch may take

EXTENSION = "keywright.recorder"
"""Under which name the app keeps its Recorder."""

log = structlog.get_logger()

T = TypeVar("T")


class Recorder(Generic[T]):
    """Takes entries down; `write` puts a batch into the database, in a transaction of its own."""

    def __init__(self, write: Callable[[list[T]], None]) -> None:
        self._write = write
        self._waiting: deque[T] = deque(maxlen=MOST)
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.note: Callable[[T], None] = self._waiting.append  # atomic, and nothing around it

    def start(self) -> None:
        """Write once a second from now on, and what is left when the process ends in order."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        # Not atexit: a process that multiprocessing has forked, as granian's are, passes it by.
        Finalize(None, self.stop, exitpriority=1)

    def stop(self) -> None:
        """Write what is left and end the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_FAREWELL)

    def forget(self) -> None:
        """Drop what waits."""
        self._waiting.clear()

    def flush(self) -> None:
        """Write what waits, now. What the database cannot take at the moment waits on."""
        with self._turn:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not batch:
                return
            try:
                self._write(batch)
            except PeeweeException as error:
                log.warning("recording", **kind_and_place(error))
                if will_pass(error) and len(batch) + len(self._waiting) <= MOST:
                    self._waiting.extendleft(reversed(batch))

    def _run(self) -> None:
        over = False
        while not over:
            over = self._over.wait(PAUSE)
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - the thread outlives what one batch meets
                log.error("recording", **kind_and_place(error))
                database.close()
        database.close()  # this thread's own
