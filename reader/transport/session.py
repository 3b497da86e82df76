# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One card in a reader of this computer, held from the tap to the end of a job."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.pcsc import CtapPcscDevice

from reader.faults import CardFault, Fault
from reader.pcsc_codes import status_word_fault
from reader.transport.pcsc import ExclusiveConnection

_GET_UID = bytes.fromhex("FFCA000000")


class _Device(CtapPcscDevice):
    """The library makes one error (CTAP 0x7F) of every status word; this keeps them apart."""

    def __init__(self, connection: ExclusiveConnection, name: str) -> None:
        self._probed = False
        self._connection = connection
        super().__init__(connection, name)
        self._probed = True

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        try:
            return super().call(cmd, data, event, on_keepalive)
        except CtapError as error:
            # While it looks what the card can do, the library wants its own error.
            if error.code == CtapError.ERR.OTHER and self._probed:
                raise status_word_fault(self._connection.status_word) from None
            raise


class PcscSession:
    """A `CardSession` over one reader."""

    def __init__(self, reader: str, seconds: float) -> None:
        """Raises CardFault."""
        self.reader = reader
        self._connection = ExclusiveConnection(reader, seconds)
        self._device: CtapDevice | CardFault
        self._open()

    @property
    def device(self) -> CtapDevice:
        if isinstance(self._device, CardFault):
            raise self._device
        return self._device

    @property
    def refusal(self) -> CardFault | None:
        """Why there is no `device`, if there is none."""
        return self._device if isinstance(self._device, CardFault) else None

    @property
    def uid(self) -> bytes | None:
        return self._uid

    def read_uid(self) -> bytes | None:
        data, word = self.transmit(_GET_UID)
        # Contact readers, and readers that do not know the command, answer 6A81, 6D00, 6E00.
        return data if word == 0x9000 and data else None

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        data, sw1, sw2 = self._connection.transmit(list(apdu))
        return bytes(data), sw1 << 8 | sw2

    def power_cycle(self) -> None:
        self._connection.disconnect()
        self._open()

    def close(self) -> None:
        self._connection.disconnect()

    def _open(self) -> None:
        try:
            self._connection.connect()
            self._uid = self.read_uid()
            self._device = self._select()
        except CardFault:
            self._connection.disconnect()
            raise

    def _select(self) -> CtapDevice | CardFault:
        try:
            return _Device(self._connection, self.reader)
        except ValueError as error:
            # The library's only two texts; the card's status word says more.
            word = Fault.NOT_FIDO if "selection" in str(error) else Fault.UNSUPPORTED
            return CardFault(word, f"card answers {self._connection.status_word:04X}")
