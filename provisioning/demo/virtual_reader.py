# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A software card behind a real PC/SC service: pcscd with the virtual reader (vpcd)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from reader.faults import CardFault
from reader.simulator.card import SoftwareCard
from reader.simulator.vpcd import VPCD_PORT, VpcdCard
from reader.transport import PcscReader

SLOT = "Virtual PCD 00 00"
_STARTS_WITHIN = 5.0


class VirtualReader(PcscReader):
    """The reader program's own PC/SC reader, with a slot that software cards are put into."""

    def __init__(self) -> None:
        super().__init__(SLOT)
        self._inserted: VpcdCard | None = None

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


@contextmanager
def virtual_reader() -> Iterator[VirtualReader | None]:
    """Yield a reader behind pcscd and vpcd, or None where there is no such thing.

    A pcscd that nobody runs is started for as long as it is needed.
    """
    service = _start_pcscd()
    try:
        yield _found()
    finally:
        if service is not None:
            service.terminate()
            service.wait()


def _found() -> VirtualReader | None:
    end = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < end:
        try:
            reader = VirtualReader()
            if any(SLOT in name for name in reader.names()):
                return reader
        except (CardFault, ImportError):
            return None
        time.sleep(0.2)
    return None


def _start_pcscd() -> subprocess.Popen[bytes] | None:
    program = shutil.which("pcscd", path="/usr/sbin:/usr/bin")
    if program is None or _answers():
        return None
    try:
        service = subprocess.Popen(  # noqa: S603 - the system's own service
            [program, "--foreground"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    end = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < end and service.poll() is None and not _answers():
        time.sleep(0.1)
    return service


def _answers() -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", VPCD_PORT)) == 0
