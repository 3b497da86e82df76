# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A reader without hardware: software cards laid on it in this process (demo, tests)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from fido2.ctap import STATUS, CtapDevice
from fido2.hid import CAPABILITY

from reader.card_reader import ReaderState
from reader.faults import Cancelled, CardFault, Fault
from reader.simulator.card import CardRemoved, SoftwareCard
from reader.simulator.device import SoftwareConnection, SoftwareDevice
from reader.simulator.device import SoftwareReader as Tray
from reader.watchdog import APDU_SECONDS, within

T = TypeVar("T")

_SLICE = 0.1
_GET_UID = bytes.fromhex("FFCA000000")


class SoftwareReader:
    """A `CardReader` to lay software cards on: `insert` and `remove`, from any thread.

    `seconds` is how long a card gets for one command.
    """

    def __init__(self, name: str = "Software reader", seconds: float = APDU_SECONDS) -> None:
        self._tray = Tray(name)
        self._seconds = seconds
        self._taps = 0

    @property
    def name(self) -> str:
        return self._tray.name

    @property
    def card(self) -> SoftwareCard | None:
        return self._tray.card

    def insert(self, card: SoftwareCard) -> None:
        self._taps += 1
        self._tray.insert(card)

    def remove(self) -> None:
        self._tray.remove()

    def state(self) -> ReaderState:
        return ReaderState.NO_CARD if self._tray.card is None else ReaderState.CARD

    def states(self) -> dict[str, ReaderState]:
        return {self.name: self.state()}

    def only(self, name: str) -> SoftwareReader:
        if name != self.name:
            raise ValueError(f"there is no reader {name}")
        return self

    def presence(self) -> str:
        return "" if self._tray.card is None else str(self._taps)

    def wait_for_card(self, seconds: float, cancelled: Callable[[], bool]) -> SoftwareSession:
        until = time.monotonic() + seconds
        while True:
            if cancelled():
                raise Cancelled
            left = until - time.monotonic()
            if self._tray.wait(True, max(min(left, _SLICE), 0.0)):
                try:
                    return SoftwareSession(self._tray, self._seconds)
                except CardFault as fault:
                    # Gone again before it was reached: wait for the next one.
                    if fault.word is not Fault.CARD_REMOVED:
                        raise
            if left <= 0:
                raise CardFault(Fault.NO_CARD)

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
            self._tray.wait(False, min(left, _SLICE))
        return True


class SoftwareSession:
    """A `CardSession` on the tray's card."""

    def __init__(self, tray: Tray, seconds: float) -> None:
        """Raises CardFault CARD_REMOVED, CARD_MUTE, TIMEOUT."""
        self._tray = tray
        self._seconds = seconds
        self._card = tray.card
        self._connection: SoftwareConnection | None = None
        self._open()

    @property
    def device(self) -> CtapDevice:
        if isinstance(self._device, CardFault):
            raise self._device
        return self._device

    @property
    def uid(self) -> bytes | None:
        return self._uid

    def read_uid(self) -> bytes | None:
        data, word = self.transmit(_GET_UID)
        return data if word == 0x9000 else None

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        data, sw1, sw2 = self.guarded(lambda: self._connected().transmit(list(apdu)))
        return bytes(data), sw1 << 8 | sw2

    def power_cycle(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Ends a command under way too, so this never waits for a slow card.
            connection.disconnect()

    def _open(self) -> None:
        if self._tray.card is not self._card:
            raise CardFault(Fault.CARD_REMOVED)
        connection = self._tray.createConnection()
        # A mute card is there and has no ATR; the simulator calls it removed.
        if self._card is not None and self._card.faults.mute:
            raise CardFault(Fault.CARD_MUTE)
        self.guarded(connection.connect)
        self._connection = connection
        self._uid = self.read_uid()
        self._device: CtapDevice | CardFault
        try:
            inner = self.guarded(lambda: SoftwareDevice(connection, self._tray.name))
            self._device = _WatchedDevice(inner, self)
        except ValueError as error:
            word = Fault.NOT_FIDO if "selection" in str(error) else Fault.UNSUPPORTED
            self._device = CardFault(word)

    def _connected(self) -> SoftwareConnection:
        if self._connection is None:
            raise CardFault(Fault.CARD_REMOVED)
        return self._connection

    def guarded(self, work: Callable[[], T]) -> T:
        try:
            return within(self._seconds, work)
        except CardRemoved:
            raise CardFault(Fault.CARD_REMOVED) from None


class _WatchedDevice(CtapDevice):
    """The card's FIDO application, each command under the deadline."""

    def __init__(self, inner: SoftwareDevice, session: SoftwareSession) -> None:
        self._inner = inner
        self._session = session

    @property
    def capabilities(self) -> CAPABILITY:
        return self._inner.capabilities

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: threading.Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        return self._session.guarded(lambda: self._inner.call(cmd, data, event, on_keepalive))

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        return iter(())
