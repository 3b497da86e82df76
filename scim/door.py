# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the door is hung with: the address it stands at, its keys, and how requests may wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from provisioning.services import Services

from .cursors import Cursors
from .pace import Pace


class Waits:
    """How requests may wait: so many at once, as each holds a thread, until the process ends."""

    def __init__(self, places: int, is_over: Callable[[], bool]) -> None:
        self._places = threading.BoundedSemaphore(places)
        self.is_over = is_over

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Take a place for the block; gives False when all are taken."""
        mine = self._places.acquire(blocking=False)
        try:
            yield mine
        finally:
            if mine:
                self._places.release()


@dataclass(frozen=True)
class Door:
    """One for each process. `base` is the address that locations start with."""

    base: str
    cursors: Cursors
    services: Services
    pace: Pace
    waits: Waits | None = None


def open_door(base: str, services: Services, waits: Waits | None = None) -> Door:
    """Return the door; where nobody comes in by it, nobody waits."""
    cursors = Cursors(services.vault.keyed_hash("scim cursor", b""))
    return Door(base, cursors, services, Pace(services.settings.scim_rate), waits)
