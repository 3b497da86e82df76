# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One wait for a card, over one or several readers: which card is meant, and which is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from reader.faults import CardFault, Fault

# A card that is still on its way down does not answer; another program lets go of a card.
_PATIENCE: Mapping[Fault, float] = {Fault.CARD_MUTE: 2.0, Fault.CARD_BUSY: 3.0}


class Opened(Protocol):
    """A card that was reached."""

    @property
    def refusal(self) -> CardFault | None:
        """Why it is of no use, if it is not."""

    def close(self) -> None: ...


S = TypeVar("S", bound=Opened)


class Hunt(Generic[S]):
    """`open_card` reaches the card in a reader of that name, or raises CardFault.

    `furniture` are the taps of cards that stay where they are: such a card, when it is of no use
    or in another program's hands, does not end the wait. `resident` are taps from before anybody
    looked: of those and of furniture a card just tapped is the one that is meant, and of two just
    tapped neither is, as a PIN on the wrong card could not be taken back.
    """

    def __init__(
        self, open_card: Callable[[str], S], furniture: set[str], resident: set[str] | None = None
    ) -> None:
        self._open_card = open_card
        self._furniture = furniture
        self._resident = furniture | (resident or set())
        self._useless: set[str] = set()
        self._since: dict[Fault, float] = {}

    def look(self, taps: Mapping[str, str], *, any_reader: bool) -> S | CardFault:
        """The card, or what to say if the time is over now; `taps` are names of taps by reader.

        Raises CardFault: there is no hope.
        """
        said = CardFault(Fault.NO_CARD if any_reader else Fault.NO_READER)
        fresh = [tap for tap in taps.values() if tap not in self._resident]
        if len(fresh) > 1:
            return CardFault(Fault.TWO_CARDS)
        for reader, tap in sorted(taps.items(), key=lambda one: one[1] not in fresh):
            if tap in self._useless:
                said = CardFault(Fault.NO_CARD, f"{reader} holds a card without FIDO2")
                continue
            try:
                card = self._open_card(reader)
            except CardFault as fault:
                said = fault if tap in self._furniture else self._bear(fault)
                continue
            if tap in self._furniture and card.refusal is not None:
                self._useless.add(tap)
                card.close()
                continue
            return card
        return said

    def _bear(self, fault: CardFault) -> CardFault:
        """Some faults of a card just tapped are gone at the next look. Raises the others."""
        if fault.word is Fault.CARD_REMOVED:
            return CardFault(Fault.NO_CARD)
        limit = _PATIENCE.get(fault.word)
        began = self._since.setdefault(fault.word, time.monotonic())
        if limit is None or time.monotonic() - began > limit:
            raise fault
        return fault
