# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which of several readers this desk uses: chosen in its window, remembered with its pairing."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reader.card_reader import CardReader
from reader.identity import write_private

FILE = "reader.json"
ANY = ""
# The system numbers readers by where they are plugged in: "ACS ACR122U 00 00".
_NUMBERS = re.compile(r"( \d+)+$")


class ReaderChoice:
    """`name` is the chosen reader, or ANY. The window and the station share one object."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._only: CardReader | None = None
        self._used = ANY
        self.offered: tuple[str, ...] = ()
        """The readers that are connected, in order."""
        self.name = self._read()

    def choose(self, name: str) -> None:
        """Use this reader from the next look on, also after a restart. Raises OSError."""
        self.name = name
        write_private(self._path, json.dumps({"name": name}))

    def among(self, every: CardReader) -> CardReader:
        """The reader to use, of all that `every` saw when it looked last."""
        self.offered = tuple(sorted(every.states()))
        name = self.now
        if name == ANY:
            self._only = None
        elif self._only is None or name != self._used:
            self._only, self._used = every.only(name), name
        return self._only or every

    @property
    def now(self) -> str:
        """What the chosen reader is called now: it may have moved to another socket."""
        name = self.name
        if name == ANY or name in self.offered:
            return name
        alike = [one for one in self.offered if _model(one) == _model(name)]
        return alike[0] if len(alike) == 1 else name

    @property
    def is_missing(self) -> bool:
        """Whether a reader is chosen that is not connected."""
        return self.now != ANY and self.now not in self.offered

    def _read(self) -> str:
        # A damaged choice is none: any reader will do, and the window shows it.
        try:
            name = json.loads(self._path.read_text(encoding="utf-8"))["name"]
        except (OSError, ValueError, KeyError, TypeError):
            return ANY
        return name if isinstance(name, str) else ANY


def _model(name: str) -> str:
    return _NUMBERS.sub("", name)
