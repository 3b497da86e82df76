# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A software card behind a real PC/SC service: pcscd with the virtual reader (vpcd)."""

from __future__ import annotations

from reader.faults import CardFault
from reader.simulator.card import SoftwareCard
from reader.simulator.vpcd import VpcdCard
from reader.transport import PcscReader

SLOT = "Virtual PCD 00 00"


class VirtualReader(PcscReader):
    """The reader program's own PC/SC reader, with a slot that software cards are put into."""

    def __init__(self) -> None:
        super().__init__(SLOT)
        self._inserted: VpcdCard | None = None

    def sees(self, name: str) -> bool:
        """Say whether the service answers and has a reader of this name."""
        try:
            return any(name in found for found in self.names())
        except CardFault:
            return False

    @property
    def card(self) -> SoftwareCard | None:
        """Return the card in the slot."""
        held = self._inserted
        return held.card if held is not None and held.inserted else None

    def insert(self, card: SoftwareCard) -> None:
        """Put a card into the slot."""
        self.remove()
        self._inserted = VpcdCard(card)
        self._inserted.insert()

    def remove(self) -> None:
        """Take the card out."""
        if self._inserted is not None:
            self._inserted.remove()
            self._inserted = None
