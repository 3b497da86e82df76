# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The readers of this computer, for commands: pyscard is asked for only when it is needed."""

from __future__ import annotations

from reader.card_reader import CardReader
from reader.commands.console import MISSING, Quit
from reader.doctor.computer import INSTALL_PYSCARD


def reader_named(name: str | None) -> CardReader:
    """The readers whose name contains `name`, or all. Raises Quit where pyscard is missing."""
    try:
        from reader.transport import PcscReader
    except ImportError:
        raise Quit(MISSING, INSTALL_PYSCARD) from None
    return PcscReader(name)
