# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Waiting at the server for tickets, in a thread of its own, through restarts and sleep."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reader.server import Server, ServerGone, ServerRefused

WAIT_SECONDS = 25
"""How long the server may hold a poll."""

_SLACK = 10.0
_BACK_OFF = (1.0, 30.0)
_EMPTY_PAUSE = 2.0


@dataclass(frozen=True)
class Offline:
    """Why the server cannot be used, and the seconds until the next try."""

    reason: str
    seconds: float


class Poller:
    """Tickets come out of `next_ticket`; after each one `ready` says that the next is wanted.

    `waiting` and `beside` are two connections to one server, `body` makes a poll's body from the
    seconds that it may be held.
    """

    def __init__(
        self, waiting: Server, beside: Server, body: Callable[[int], dict[str, object]]
    ) -> None:
        self._waiting = waiting
        self._beside = beside
        self._body = body
        self._tickets: queue.Queue[str] = queue.Queue()
        self._idle = threading.Event()
        self._polling = threading.Event()
        self._ended = threading.Event()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)
        self.offline: Offline | None = None
        self.revoked = False

    def start(self) -> None:
        self._idle.set()
        self._thread.start()

    def end(self) -> None:
        """Ends within a second; the connection beside is the caller's to close."""
        self._ended.set()
        self._hurry.set()
        self._waiting.interrupt()
        self._thread.join(1.0)

    def next_ticket(self, seconds: float) -> str | None:
        try:
            return self._tickets.get(timeout=seconds)
        except queue.Empty:
            return None

    def ready(self) -> None:
        self._idle.set()
        # The poll that waits may be from before the job, when another card lay there.
        if self._polling.is_set():
            self.tell()

    def news(self) -> None:
        """What a poll says of this desk has changed: say it now."""
        if self._idle.is_set():
            self.tell()

    def tell(self) -> None:
        """Poll beside the poll that waits: cutting that one off could lose a ticket."""
        if self.offline:
            return
        try:
            answer = self._beside.post("poll", self._body(0))
        except (ServerGone, ServerRefused):
            return  # the poller meets the same and shows it
        self._accept(answer)

    def wake(self) -> None:
        """This computer has slept: the connection that waits is dead, and so is any pause."""
        self._hurry.set()
        self._waiting.drop()

    def _accept(self, answer: Mapping[str, object] | None) -> bool:
        token = (answer or {}).get("ticket")
        if not isinstance(token, str):
            return False
        self._idle.clear()
        self._tickets.put(token)
        return True

    def _run(self) -> None:
        low, high = _BACK_OFF
        delay = low
        while not self._ended.is_set():
            if not self._idle.wait(0.5):
                continue
            began = time.monotonic()
            # After a failure a quick one, so that the desk need not show it 25 s too long.
            wait = 0 if self.offline else WAIT_SECONDS
            self._polling.set()
            try:
                answer = self._waiting.post("poll", self._body(wait), timeout=wait + _SLACK)
            except ServerRefused as refused:
                if refused.status == 410:
                    self.revoked = True
                    break
                self._pause(str(refused), high)
                continue
            except ServerGone as gone:
                # Not all stations at once, when a server comes back.
                self._pause(str(gone), gone.retry_after or delay * random.uniform(0.5, 1))  # noqa: S311
                delay = min(delay * 2, high)
                continue
            finally:
                self._polling.clear()
            delay, self.offline = low, None
            if not self._accept(answer) and wait and time.monotonic() - began < 1.0:
                # A server with too many waiting stations answers at once: do not run in circles.
                self._ended.wait(_EMPTY_PAUSE)
        self._waiting.close()

    def _pause(self, reason: str, seconds: float) -> None:
        self.offline = Offline(reason, seconds)
        self._hurry.wait(seconds)
        self._hurry.clear()
