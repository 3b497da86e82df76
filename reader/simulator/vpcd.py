# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The card behind a real pcscd, through the vpcd virtual reader of the vsmartcard project.

The card is a TCP client of vpcd: connected means inserted, closed means removed. A frame is a
two-byte big-endian length and the payload. One byte from vpcd is a control command, anything
longer an APDU.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType

from reader.simulator.card import SoftwareCard

POWER_OFF, POWER_ON, RESET, GET_ATR = b"\x00", b"\x01", b"\x02", b"\x04"

SILENCE = b"\x00"
"""What vpcd gets from a mute card. Nothing at all, or an empty frame, would block pcscd itself;
this is no ATR and no status word, so its clients see the errors of a reader's time-out."""

VPCD_PORT = 35963
"""The first slot of the Debian package's reader; the second is the next port."""

SETTLE_SECONDS = 0.5
"""pcscd looks at a slot every 400 ms. When a card dies in the middle of an APDU and comes back
between two looks, pcscd takes the slot for empty until the next removal."""

_emptied: dict[tuple[str, int], float] = {}
"""When a card of this process last left a slot; slots outlive the cards that lie on them."""


class VpcdCard:
    """Lays a card on a virtual reader. As a context manager it inserts and removes.

    :param port: the slot's TCP port.
    """

    def __init__(self, card: SoftwareCard, host: str = "127.0.0.1", port: int = VPCD_PORT) -> None:
        self.card = card
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> VpcdCard:
        self.insert()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    @property
    def inserted(self) -> bool:
        """False also after vpcd went away or a fault took the card out of the field."""
        return self._thread is not None and self._thread.is_alive()

    def insert(self, timeout: float = 5.0, settle: float = SETTLE_SECONDS) -> None:
        """Connect to vpcd and answer it from a thread of its own.

        :param settle: seconds for which the slot must have been empty, see SETTLE_SECONDS.
        :raises OSError: nobody listens: pcscd is not running, or has no such slot.
        """
        self.remove()
        time.sleep(max(0.0, settle - (time.monotonic() - _emptied.get(self._address, 0.0))))
        link = socket.create_connection(self._address, timeout)
        link.settimeout(None)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = link
        self._thread = threading.Thread(
            target=self._serve, args=(link,), name=f"card on {self._address[1]}", daemon=True
        )
        self._thread.start()

    def remove(self) -> None:
        """Take the card away, in the middle of an APDU if need be; no harm if it is out."""
        link, self._socket = self._socket, None
        thread, self._thread = self._thread, None
        if link is not None:
            # Closing alone sends no FIN while the thread sits in recv.
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            self.card.power_off()
            if thread is not None and thread is not threading.current_thread():
                thread.join()
            link.close()

    def _serve(self, link: socket.socket) -> None:
        try:
            while (frame := _receive(link)) is not None:
                # Frames that arrived before the removal must not power the card up after it.
                if self._socket is not link:
                    break
                answer = self._answer(frame)
                if answer is not None:
                    link.sendall(len(answer).to_bytes(2, "big") + answer)
        except OSError:
            # The link broke, or a fault took the card away: both are a removal. CardRemoved
            # is a ConnectionError, so it arrives here too.
            pass
        finally:
            self.card.power_off()
            _emptied[self._address] = time.monotonic()
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _answer(self, frame: bytes) -> bytes | None:
        if frame == POWER_OFF:
            self.card.power_off()
            return None
        if frame == POWER_ON:
            self.card.power_on()
            return None
        if frame == RESET:
            # A contactless reader resets a card by dropping the field.
            self.card.power_off()
            self.card.power_on()
            return None
        if self.card.faults.mute:
            return SILENCE
        if frame == GET_ATR:
            return self.card.atr
        return self.card.transmit(frame)


def _receive(link: socket.socket) -> bytes | None:
    """One frame's payload; None when vpcd has gone."""
    header = _receive_exactly(link, 2)
    if header is None:
        return None
    return _receive_exactly(link, int.from_bytes(header, "big"))


def _receive_exactly(link: socket.socket, length: int) -> bytes | None:
    data = b""
    while len(data) < length:
        # vpcd writes length and payload apart. Nagle holds the second until the first is
        # acknowledged, and a delayed ACK costs 40 ms per APDU. The kernel takes the option
        # back by itself, so it is set before each recv. Only Linux has it.
        if hasattr(socket, "TCP_QUICKACK"):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = link.recv(length - len(data))
        if not part:
            return None
        data += part
    return data
