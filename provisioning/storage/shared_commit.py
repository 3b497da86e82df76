# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One commit of several transactions, for which all but the last one wait: a group commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from peewee import OperationalError

_MOST = 16  # transactions: the first one waits for the last
_SOON = 0.02  # seconds after which none is added
_LOST = 1.0  # seconds until somebody looks after a commit that does not end


class NotCommitted(OperationalError):
    """What others did in the commit that a transaction shared undid it; it may be repeated."""


class SharedCommit:
    """Made when the first transaction leaves its commit to the next one."""

    def __init__(self) -> None:
        self.size = 1
        self._full_at = time.monotonic() + _SOON
        self._over = threading.Event()
        self._committed = False

    def has_room(self) -> bool:
        """Say whether one more would not keep the others waiting for too long."""
        return self.size < _MOST and time.monotonic() < self._full_at

    def end(self, *, committed: bool) -> None:
        """Tell those who wait."""
        self._committed = committed
        self._over.set()

    def wait(self, turn: Callable[[], AbstractContextManager[None]]) -> None:
        """Wait for the commit. Raises NotCommitted.

        `turn` is the turn to write, whose taking commits what is left open: whom this was left to
        may have come to grief before.
        """
        if not self._over.wait(_LOST):
            with turn():
                pass
        if not self._committed:
            raise NotCommitted("a shared commit failed")
