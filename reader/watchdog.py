# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A deadline for calls that may never return.

Neither PC/SC nor a card promises an answer: `SCardTransmit` and `SCardConnect` wait for ever. The
call runs in a thread of its own which is left behind when it is late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from reader.faults import CardFault, Fault

T = TypeVar("T")

APDU_SECONDS = 10.0
"""Longest time a card gets for one APDU. Slow ones take 1.5 s for a key; none takes ten."""


class _Call(threading.Thread, Generic[T]):
    def __init__(self, work: Callable[[], T], when_late: Callable[[], None] | None) -> None:
        super().__init__(name="card call", daemon=True)
        self._work = work
        self._when_late = when_late
        self._lock = threading.Lock()
        self._late = False
        self._finished = False
        self._result: T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            self._error = error
        with self._lock:
            self._finished = True
            late = self._late
        if late and self._when_late:
            self._when_late()

    def answer(self, seconds: float) -> T:
        self.start()
        self.join(seconds)
        with self._lock:
            self._late = not self._finished
        if self._late:
            raise CardFault(Fault.TIMEOUT, f"no answer within {seconds:g} s")
        if self._error is not None:
            # The traceback names the frames of both threads; break the cycle that keeps it alive.
            error, self._error = self._error, None
            raise error
        return self._result  # type: ignore[return-value]


def within(seconds: float, work: Callable[[], T], when_late: Callable[[], None] | None = None) -> T:
    """The result of `work()`, or `CardFault(TIMEOUT)` after `seconds`.

    `when_late` runs in the thread left behind, if the call returns after all: to release what it
    holds, which nobody else may touch before.
    """
    return _Call(work, when_late).answer(seconds)
