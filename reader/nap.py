# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whether this computer has slept since the last look.

The monotonic clock stands still in sleep on Linux and macOS while the wall clock goes on; a clock
that was set looks the same, and what follows (new connections) harms nothing then. On Windows both
go on, and a long gap between two looks tells; a long job makes one too.
"""

from __future__ import annotations

import time
from collections.abc import Callable

GAP_SECONDS = 5.0
LONG_SECONDS = 60.0


class Nap:
    """`over` is asked several times a second."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._seen = wall(), steady()

    def over(self) -> bool:
        before, self._seen = self._seen, (self._wall(), self._steady())
        wall, steady = self._seen[0] - before[0], self._seen[1] - before[1]
        return abs(wall - steady) > GAP_SECONDS or steady > LONG_SECONDS
