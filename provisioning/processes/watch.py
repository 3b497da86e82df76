# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Waiting for work: one watcher in each process wakes all its waiting requests.

The requests themselves touch no database while they wait. The watcher lives only while somebody
waits; on SQLite it looks at `PRAGMA data_version`, which changes with every commit of another
connection and costs microseconds, on PostgreSQL it asks for the stations with news.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import structlog
from peewee import PeeweeException

from ..desks import dispatch
from ..storage.db import database, is_sqlite
from .logs import kind_and_place

SQLITE_PAUSE = 0.05
POSTGRESQL_PAUSE = 0.1

EXTENSION = "keywright.watch"
"""Under which name the app keeps its Watch."""

log = structlog.get_logger()


class Watch:
    """Wakes waiting requests when a job is queued for their station, or it was revoked.

    `places` is how many requests may wait at once in this process: each holds a thread.
    """

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._looked = threading.Condition()
        self._waiting = 0
        self._round = 0
        self._wanted: dict[int, int] = {}
        self._watcher: threading.Thread | None = None
        self._over = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether this process is about to end."""
        return self._over.is_set()

    def let_go(self) -> None:
        """End every wait, now and from now on. Safe in a signal handler."""
        self._over.set()

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """Take a place for the block; gives False when all are taken."""
        if not self._places.acquire(blocking=False):
            yield False
            return
        try:
            with self._looked:
                self._waiting += 1
                if self._watcher is None:
                    self._wanted = {}
                    self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
                    self._watcher.start()
            try:
                yield True
            finally:
                with self._looked:
                    self._waiting -= 1
        finally:
            self._places.release()

    def wakes(self, station_id: int, seconds: float) -> Iterator[None]:
        """Yield whenever there may be news for this station, until the time is over. Needs a place.

        A wake is a hint: of two who wake for one job only one will get it.
        """
        until = time.monotonic() + seconds
        seen = -1
        while True:
            with self._looked:
                while self._round == seen or station_id not in self._wanted:
                    left = until - time.monotonic()
                    if left <= 0 or self.is_over or not self._looked.wait(left):
                        return
                seen = self._round
            yield

    def _watch(self) -> None:
        version: object = None
        pause = SQLITE_PAUSE if is_sqlite() else POSTGRESQL_PAUSE
        try:
            while self._is_needed():
                try:
                    version = self._look(version)
                except PeeweeException as error:
                    log.warning("watching the database", **kind_and_place(error))
                    database.close()
                    version = None
                time.sleep(pause)
        finally:
            database.close()  # this thread's own
            with self._looked:
                if self._watcher is threading.current_thread():
                    self._watcher = None  # it fell over: the next who waits starts another

    def _is_needed(self) -> bool:
        with self._looked:
            if self.is_over:
                self._looked.notify_all()
            if not self._waiting:
                self._watcher = None
            return self._watcher is not None

    def _look(self, version: object) -> object:
        if is_sqlite():
            now = database.execute_sql("PRAGMA data_version").fetchone()
            if now == version:
                return version
        else:
            now = None
        # After the version and not before it: a commit in between is seen now or next time.
        wanted = dispatch.stations_with_news()
        with self._looked:
            if wanted != self._wanted:
                self._round += 1
                self._wanted = wanted
                self._looked.notify_all()
        return now
