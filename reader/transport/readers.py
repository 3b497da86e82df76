# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The card readers of this computer, and the wait for a card on one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from reader.card_reader import ReaderState
from reader.faults import Cancelled, CardFault, Fault
from reader.hunt import Hunt
from reader.transport.pcsc import Watch, is_present, reader_state
from reader.transport.session import PcscSession
from reader.watchdog import APDU_SECONDS

_FURNITURE_AFTER = 60.0


class PcscReader:
    """The reader whose name contains `name`, or any: a tap on one of several chooses it."""

    def __init__(
        self, name: str | None = None, seconds: float = APDU_SECONDS, *, exactly: bool = False
    ) -> None:
        self._wanted = name or ""
        self._exactly = exactly
        self._seconds = seconds
        self._watch = Watch(seconds)
        self._name = ""
        self._seen: dict[str, float] = {}
        self._looked: dict[str, ReaderState] = {}
        self._resident: set[str] | None = None
        """The cards that lay there at the first look."""

    @property
    def name(self) -> str:
        return self._name

    def names(self) -> list[str]:
        """The readers that this object may use. Raises CardFault NO_SERVICE."""
        names = self._watch.readers()
        if self._exactly:
            return [name for name in names if name == self._wanted]
        names = [name for name in names if self._wanted.lower() in name.lower()]
        # Some readers show the slot of their own SAM as a reader, with a card in it for ever.
        return [name for name in names if self._wanted or " sam" not in name.lower()]

    def state(self) -> ReaderState:
        self._looked = {}
        try:
            states = self._states()
        except CardFault as fault:
            # Refused by the service itself (polkit), it is none to this user.
            no_service = fault.word in (Fault.NO_SERVICE, Fault.NOT_ALLOWED)
            return ReaderState.NO_SERVICE if no_service else ReaderState.NO_READER
        self._looked = {name: reader_state(flags) for name, flags in states.items()}
        # One card to be had is enough; a held one counts where there is no other.
        order = (ReaderState.CARD, ReaderState.BUSY, ReaderState.NO_CARD)
        found = self._looked.values()
        return next((one for one in order if one in found), ReaderState.NO_READER)

    def states(self) -> dict[str, ReaderState]:
        return dict(self._looked)

    def only(self, name: str) -> PcscReader:
        return PcscReader(name, self._seconds, exactly=True)

    def wait_for_card(self, seconds: float, cancelled: Callable[[], bool]) -> PcscSession:
        until = time.monotonic() + seconds
        hunt: Hunt[PcscSession] | None = None
        while True:
            if cancelled():
                raise Cancelled
            try:
                states = self._states()
                hunt = hunt or Hunt(self._open, self._furniture(states), self._resident)
                found = hunt.look(_taps(states), any_reader=bool(states))
            except CardFault as fault:
                if fault.word not in (Fault.NO_SERVICE, Fault.NO_READER):
                    raise
                found = fault
            if isinstance(found, PcscSession):
                self._name = found.reader
                return found
            left = until - time.monotonic()
            if left <= 0:
                raise found
            self._watch.wait(left)

    def presence(self) -> str:
        try:
            states = self._states()
        except CardFault:
            return ""
        return " ".join(_taps(states).values())

    def wait_for_removal(
        self, presence: str, seconds: float, cancelled: Callable[[], bool]
    ) -> bool:
        until = time.monotonic() + seconds
        while presence and self.presence() == presence:
            if cancelled():
                raise Cancelled
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._watch.wait(left)
        return True

    def _open(self, reader: str) -> PcscSession:
        return PcscSession(reader, self._seconds)

    def _states(self) -> dict[str, int]:
        names = self.names()
        if self._name not in names:
            self._name = names[0] if names else ""
        states = self._watch.states(names)
        if self._resident is None:
            self._resident = set(_taps(states).values())
        now = time.monotonic()
        self._seen = {tap: self._seen.get(tap, now) for tap in _taps(states).values()}
        return states

    def _furniture(self, states: Mapping[str, int]) -> set[str]:
        """Cards that stay where they are: a token in its USB socket, a badge in a keyboard.

        Only where there are several readers; on a single one whatever lies there is meant.
        """
        if len(states) < 2:
            return set()
        long_ago = time.monotonic() - _FURNITURE_AFTER
        return {tap for tap, since in self._seen.items() if since < long_ago}


def _taps(states: Mapping[str, int]) -> dict[str, str]:
    """The cards that lie there, by reader, each with a name of this one tap.

    The upper half of a state counts the cards that came and went.
    """
    present = {name: flags for name, flags in states.items() if is_present(flags)}
    return {name: f"{name}:{flags >> 16 & 0xFFFF}" for name, flags in present.items()}
