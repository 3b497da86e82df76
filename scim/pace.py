# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How fast a directory may ask, where an operator has set a limit (R30).

Each process counts for itself, so that no request waits for another process to hear of it.
"""

from __future__ import annotations

import threading
from time import monotonic

from .errors import Busy

BURST = 4  # seconds: after a pause so many seconds' requests may come at once


class Pace:
    """So many requests a second of each connection; 0 is no limit."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free: dict[int, float] = {}  # by connection: when what it has asked is worked off

    def check(self, connection: int) -> None:
        """Count a request. Raises Busy for one too many, which is not counted."""
        if not self._rate:
            return
        with self._lock:
            now = monotonic()
            free = max(now, self._free.get(connection, 0.0)) + 1 / self._rate
            if free > now + BURST:
                raise Busy(f"A directory may ask {self._rate} times a second.")
            self._free[connection] = free
