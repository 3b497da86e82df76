# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The card without PC/SC: a reader, a connection and a CTAP device, all in this process.

Every command still goes through ``SoftwareCard.transmit`` as APDUs. Neither pyscard nor
``fido2.pcsc`` is imported, so this runs on any system without a compiler.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from threading import Event

from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.hid import CAPABILITY, CTAPHID

from reader.simulator.card import FIDO_AID, CardRemoved, SoftwareCard
from reader.simulator.profile import MODEL_NAME

SW_OK, SW_UPDATE, SW1_MORE_DATA = 0x9000, 0x9100, 0x61
SHORT_CHUNK = 250
POLL_SECONDS = 0.1


class SoftwareReader:
    """A place to lay cards on. It has ``name`` and ``createConnection`` as in pyscard."""

    def __init__(self, name: str = MODEL_NAME, card: SoftwareCard | None = None) -> None:
        self.name = name
        self._card = card
        self._changed = threading.Condition()

    def __str__(self) -> str:
        return self.name

    @property
    def card(self) -> SoftwareCard | None:
        return self._card

    def insert(self, card: SoftwareCard) -> None:
        """Lay a card on the reader; one that lies there leaves first."""
        self.remove()
        with self._changed:
            card.power_on()
            self._card = card
            self._changed.notify_all()

    def remove(self) -> None:
        """Take the card away; an APDU in progress fails with CardRemoved."""
        with self._changed:
            card, self._card = self._card, None
            self._changed.notify_all()
        if card is not None:
            card.power_off()

    def wait(self, present: bool, timeout: float | None = None) -> bool:
        """Wait, at most ``timeout`` seconds, until a card is there (or not); whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: (self._card is not None) == present, timeout)

    def createConnection(self) -> SoftwareConnection:
        return SoftwareConnection(reader=self)


class SoftwareConnection:
    """The shape of pyscard's CardConnection, so that CtapPcscDevice can sit on it.

    :param card: a card that lies on no reader: each ``connect`` is a tap of its own.
    :param reader: or the reader whose card to use, as it changes.
    """

    def __init__(
        self, card: SoftwareCard | None = None, *, reader: SoftwareReader | None = None
    ) -> None:
        if (card is None) == (reader is None):
            raise ValueError("A connection needs either a card or a reader.")
        self._fixed_card = card
        self._reader = reader
        self._connected: SoftwareCard | None = None

    def connect(self, *args: object, **options: object) -> None:
        """Power the card up.

        :raises CardRemoved: no card, or a mute one.
        """
        card = self._fixed_card or (self._reader.card if self._reader else None)
        if card is None:
            raise CardRemoved("No card is on the reader.")
        if not card.powered:
            card.power_on()
        if not card.atr:
            raise CardRemoved("The card does not answer to reset.")
        self._connected = card

    def disconnect(self) -> None:
        """Cut the card's power, as pyscard does: its volatile state is gone."""
        card, self._connected = self._connected, None
        if card is not None:
            card.power_off()

    def transmit(
        self, command: list[int], protocol: int | None = None
    ) -> tuple[list[int], int, int]:
        """:raises CardRemoved: the card left; reconnect."""
        if self._connected is None:
            raise CardRemoved("The card is not connected.")
        if self._reader is not None and self._reader.card is not self._connected:
            raise CardRemoved("The card was taken away.")
        try:
            response = self._connected.transmit(bytes(command))
        except CardRemoved:
            if self._reader is not None and self._reader.card is self._connected:
                self._reader.remove()
            raise
        return list(response[:-2]), response[-2], response[-1]

    def getATR(self) -> list[int]:
        return list(self._connected.atr) if self._connected is not None else []

    def getReader(self) -> str:
        return str(self._reader) if self._reader is not None else MODEL_NAME


class SoftwareDevice(CtapDevice):
    """A CTAP device over a SoftwareConnection, to be used where CtapPcscDevice would be.

    ``use_ext_apdu`` and ``use_nfcctap_getresponse`` mean what they mean there.

    :raises CardRemoved: no card.
    :raises ValueError: the card has no FIDO application, or answers neither CTAP2 nor U2F.
    """

    def __init__(
        self, source: SoftwareCard | SoftwareReader | SoftwareConnection, name: str = MODEL_NAME
    ) -> None:
        if isinstance(source, SoftwareCard):
            source = SoftwareConnection(source)
        elif isinstance(source, SoftwareReader):
            source = source.createConnection()
        self._connection = source
        self._name = name
        self._capabilities = CAPABILITY(0)
        self.use_ext_apdu = False
        self.use_nfcctap_getresponse = True
        self.connect()
        try:
            self.call(CTAPHID.CBOR, b"\x04")
            self._capabilities |= CAPABILITY.CBOR
        except CtapError:
            if not self._capabilities:
                raise ValueError("Unsupported device") from None

    def __repr__(self) -> str:
        return f"SoftwareDevice({self._name})"

    def connect(self) -> None:
        """Power the card up and select its FIDO application."""
        self._connection.connect()
        response, status = self._exchange(0x00, 0xA4, 0x04, FIDO_AID)
        if status != SW_OK:
            raise ValueError("FIDO applet selection failure.")
        if response == b"U2F_V2":
            self._capabilities |= CAPABILITY.NMSG

    def close(self) -> None:
        self._connection.disconnect()

    @property
    def capabilities(self) -> CAPABILITY:
        return self._capabilities

    @property
    def version(self) -> int:
        return 2 if CAPABILITY.CBOR in self._capabilities else 1

    @property
    def product_name(self) -> str | None:
        return None

    @property
    def serial_number(self) -> int | None:
        return None

    def get_atr(self) -> bytes:
        return bytes(self._connection.getATR())

    def apdu_exchange(self, apdu: bytes, protocol: int | None = None) -> tuple[bytes, int, int]:
        """Send one APDU as it is; (data, SW1, SW2)."""
        data, sw1, sw2 = self._connection.transmit(list(apdu), protocol)
        return bytes(data), sw1, sw2

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        if cmd != CTAPHID.CBOR:
            raise CtapError(CtapError.ERR.INVALID_COMMAND)
        event = event or Event()
        polls = 0x80 if self.use_nfcctap_getresponse else 0x00
        response, status = self._exchange(0x80, 0x10, polls, data)
        told: STATUS | None = None
        while status == SW_UPDATE:
            keep_alive = STATUS(response[0])
            if on_keepalive is not None and keep_alive != told:
                told = keep_alive
                on_keepalive(keep_alive)
            cancel = 0x11 if event.wait(POLL_SECONDS) else 0x00
            response, status = self._exchange(0x80, 0x11, cancel)
        if status != SW_OK:
            raise CtapError(CtapError.ERR.OTHER)
        return response

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        """Nothing: software cards are made, not found."""
        return iter(())

    def _exchange(self, cla: int, ins: int, p1: int, data: bytes = b"") -> tuple[bytes, int]:
        """One command by chained short APDUs or by one extended APDU; (data, status word)."""
        if self.use_ext_apdu:
            header = bytes([cla, ins, p1, 0, 0]) + len(data).to_bytes(2, "big")
            response, sw1, sw2 = self.apdu_exchange(header + data)
            return response, sw1 << 8 | sw2
        while len(data) > SHORT_CHUNK:
            chunk, data = data[:SHORT_CHUNK], data[SHORT_CHUNK:]
            header = bytes([0x10 | cla, ins, p1, 0, len(chunk)])
            response, sw1, sw2 = self.apdu_exchange(header + chunk)
            if sw1 << 8 | sw2 != SW_OK:
                return response, sw1 << 8 | sw2
        body = bytes([len(data)]) + data if data else b""
        response, sw1, sw2 = self.apdu_exchange(bytes([cla, ins, p1, 0]) + body + b"\0")
        while sw1 == SW1_MORE_DATA:
            part, sw1, sw2 = self.apdu_exchange(bytes([0x00, 0xC0, 0, 0, sw2]))
            response += part
        return response, sw1 << 8 | sw2
