# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is wrong at this desk and how to mend it. Nothing is written to a card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reader.card_reader import CardReader
from reader.doctor import card, computer, link, pairing
from reader.doctor.finding import Finding

__all__ = ["Finding", "examine"]


def examine(reader: CardReader | None, folder: Path) -> Iterator[Finding]:
    """Each finding as it is made; `reader` is None where pyscard is missing."""
    yield from computer.examine(reader)
    if reader is not None:
        for name in reader.states():
            one = reader.only(name)
            yield from link.examine(one)
            yield from card.examine(one)
    yield from pairing.examine(folder)
