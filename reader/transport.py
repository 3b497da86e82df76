# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Card readers of this computer, by PC/SC: the only module that imports pyscard.

pyscard's errors come in two families that share no base (`SmartcardException` and
`BaseSCardException`), with a result code or with none. Here they all become `CardFault`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any, TypeVar

from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.pcsc import CtapPcscDevice
from smartcard.Exceptions import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    SmartcardException,
)
from smartcard.pcsc.PCSCCardConnection import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    PCSCCardConnection,
)
from smartcard.pcsc.PCSCExceptions import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    BaseSCardException,
)
from smartcard.scard import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    SCARD_SCOPE_USER,
    SCARD_SHARE_EXCLUSIVE,
    SCARD_STATE_CHANGED,
    SCARD_STATE_EXCLUSIVE,
    SCARD_STATE_PRESENT,
    SCARD_STATE_UNAWARE,
    SCARD_UNPOWER_CARD,
    SCardEstablishContext,
    SCardGetStatusChange,
    SCardListReaders,
    SCardReleaseContext,
)

from reader.card_reader import ReaderState
from reader.faults import Cancelled, CardFault, Fault
from reader.hunt import Hunt
from reader.pcsc_codes import OK, TIMEOUT, result_fault, status_word_fault
from reader.watchdog import APDU_SECONDS, within

T = TypeVar("T")

_PNP = "\\\\?PnP?\\Notification"
_GET_UID = [0xFF, 0xCA, 0x00, 0x00, 0x00]
_SLICE_MS = 250
_FURNITURE_AFTER = 60.0


def _fault(error: SmartcardException | BaseSCardException) -> CardFault:
    return result_fault(int(error.hresult))


class ExclusiveConnection:
    """What CtapPcscDevice takes for a connection: exclusive from the first moment.

    pyscard's ExclusiveConnectCardConnection connects twice, in between which another program may
    step in, and its error has no result code. Each call is under the watchdog, because PC/SC
    waits for ever; a call that is late keeps the card handle until it returns.
    """

    def __init__(self, reader: str, seconds: float) -> None:
        self.status_word = 0
        self._reader = reader
        self._seconds = seconds
        self._card: Any = None
        self._hung = False

    def connect(self, *_: object) -> None:
        """Raises CardFault. Does nothing while connected."""
        if self._card is not None:
            return

        def connect() -> Any:
            card = PCSCCardConnection(self._reader)
            try:
                card.connect(mode=SCARD_SHARE_EXCLUSIVE, disposition=SCARD_UNPOWER_CARD)
            except (SmartcardException, BaseSCardException):
                _release(card)
                raise
            return card

        self._hung = False
        self._card = self._guarded(connect)

    def transmit(
        self, apdu: Sequence[int], protocol: int | None = None
    ) -> tuple[list[int], int, int]:
        card = self._card
        if card is None:
            raise CardFault(Fault.CARD_REMOVED, "not connected")
        data, sw1, sw2 = self._guarded(
            lambda: card.transmit(list(apdu), protocol), lambda: _release(card)
        )
        self.status_word = sw1 << 8 | sw2
        return data, sw1, sw2

    def disconnect(self) -> None:
        """Cut the card's power and let go of it. Never raises, never waits long."""
        card, self._card = self._card, None
        if card is None or self._hung:
            return
        with contextlib.suppress(CardFault):
            within(self._seconds, lambda: _release(card))

    def getATR(self) -> list[int]:
        card = self._card
        return list(self._guarded(card.getATR)) if card is not None else []

    def _guarded(self, work: Callable[[], T], when_late: Callable[[], None] | None = None) -> T:
        try:
            return within(self._seconds, work, when_late)
        except CardFault as fault:
            self._hung = fault.word is Fault.TIMEOUT
            raise
        except (SmartcardException, BaseSCardException) as error:
            raise _fault(error) from None


def _release(card: Any) -> None:
    with contextlib.suppress(SmartcardException, BaseSCardException):
        card.disconnect()
    with contextlib.suppress(SmartcardException, BaseSCardException):
        card.release()
    # When the service is gone, release fails, and would fail again, aloud, in __del__.
    card.hcontext = None


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
        data, sw1, sw2 = self._connection.transmit(_GET_UID)
        # Contact readers, and readers that do not know the command, answer 6A81, 6D00, 6E00.
        return bytes(data) if (sw1, sw2) == (0x90, 0x00) and data else None

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


class PcscReader:
    """The reader whose name contains `name`, or any: a tap on one of several chooses it."""

    def __init__(self, name: str | None = None, seconds: float = APDU_SECONDS) -> None:
        self._wanted = name or ""
        self._seconds = seconds
        self._watch = _Watch(seconds)
        self._name = ""
        self._seen: dict[str, float] = {}
        self._looked: dict[str, ReaderState] = {}

    @property
    def name(self) -> str:
        return self._name

    def names(self) -> list[str]:
        """The readers that this object may use. Raises CardFault NO_SERVICE."""
        names = [name for name in self._watch.readers() if self._wanted.lower() in name.lower()]
        # Some readers show the slot of their own SAM as a reader, with a card in it for ever.
        return [name for name in names if self._wanted or " sam" not in name.lower()]

    def state(self) -> ReaderState:
        self._looked = {}
        try:
            states = self._states()
        except CardFault as fault:
            no_service = fault.word is Fault.NO_SERVICE
            return ReaderState.NO_SERVICE if no_service else ReaderState.NO_READER
        self._looked = {name: _reader_state(flags) for name, flags in states.items()}
        # One card to be had is enough; a held one counts where there is no other.
        order = (ReaderState.CARD, ReaderState.BUSY, ReaderState.NO_CARD)
        found = self._looked.values()
        return next((one for one in order if one in found), ReaderState.NO_READER)

    def states(self) -> dict[str, ReaderState]:
        return dict(self._looked)

    def wait_for_card(self, seconds: float, cancelled: Callable[[], bool]) -> PcscSession:
        until = time.monotonic() + seconds
        hunt: Hunt[PcscSession] | None = None
        while True:
            if cancelled():
                raise Cancelled
            try:
                states = self._states()
                hunt = hunt or Hunt(self._open, self._furniture(states))
                found = hunt.look(_taps(states), any_reader=bool(states))
            except CardFault as fault:
                if fault.word not in (Fault.NO_SERVICE, Fault.NO_READER):
                    raise
                found = fault
            if isinstance(found, PcscSession):
                self._name = found.reader
                return found
            left = until - time.monotonic()
            if left <= 0:
                raise found
            self._watch.wait(left)

    def presence(self) -> str:
        try:
            states = self._states()
        except CardFault:
            return ""
        return " ".join(_taps(states).values())

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
            self._watch.wait(left)
        return True

    def _open(self, reader: str) -> PcscSession:
        return PcscSession(reader, self._seconds)

    def _states(self) -> dict[str, int]:
        names = self.names()
        if self._name not in names:
            self._name = names[0] if names else ""
        states = self._watch.states(names)
        now = time.monotonic()
        self._seen = {tap: self._seen.get(tap, now) for tap in _taps(states).values()}
        return states

    def _furniture(self, states: Mapping[str, int]) -> set[str]:
        """Cards that stay where they are: a token in its USB socket, a badge in a keyboard.

        Only where there are several readers; on a single one whatever lies there is meant.
        """
        if len(states) < 2:
            return set()
        long_ago = time.monotonic() - _FURNITURE_AFTER
        return {tap for tap, since in self._seen.items() if since < long_ago}


def _reader_state(flags: int) -> ReaderState:
    if not flags & SCARD_STATE_PRESENT:
        return ReaderState.NO_CARD
    return ReaderState.BUSY if flags & SCARD_STATE_EXCLUSIVE else ReaderState.CARD


def _taps(states: Mapping[str, int]) -> dict[str, str]:
    """The cards that lie there, by reader, each with a name of this one tap.

    The upper half of a state counts the cards that came and went.
    """
    present = {name: flags for name, flags in states.items() if flags & SCARD_STATE_PRESENT}
    return {name: f"{name}:{flags >> 16 & 0xFFFF}" for name, flags in present.items()}


class _Watch:
    """A PC/SC context for looking on, made anew when the service was restarted."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._context: Any = None
        self._known: list[tuple[str, int]] = []

    def readers(self) -> list[str]:
        """Raises CardFault NO_SERVICE."""
        return [name for name in self._ask(SCardListReaders, []) if name != _PNP]

    def states(self, names: Sequence[str]) -> dict[str, int]:
        """Flags by reader, now. Raises CardFault."""
        self._known = []
        if not names:
            return {}
        asked = [(name, SCARD_STATE_UNAWARE) for name in names]
        answers = self._ask(SCardGetStatusChange, 0, asked)
        self._known = [(name, flags & ~SCARD_STATE_CHANGED) for name, flags, _ in answers]
        return {name: flags for name, flags, _ in answers}

    def wait(self, seconds: float) -> None:
        """Until a card or a reader comes or goes, but not long. Never raises."""
        limit = int(min(seconds * 1000, _SLICE_MS))
        try:
            self._ask(SCardGetStatusChange, limit, [*self._known, (_PNP, SCARD_STATE_UNAWARE)])
        except CardFault:
            time.sleep(limit / 1000)  # without a service there is nothing to wait at

    def _ask(self, call: Callable[..., Any], *arguments: object) -> Any:
        def ask() -> Any:
            if self._context is None:
                result, context = SCardEstablishContext(SCARD_SCOPE_USER)
                _check(result)
                self._context = context
            result, answer = call(self._context, *arguments)
            _check(result)
            return answer

        try:
            return within(self._seconds, ask)
        except CardFault as fault:
            if fault.word is Fault.NO_SERVICE:
                self._forget()
            elif fault.word is Fault.TIMEOUT:
                # The service itself hangs; the context belongs to the thread left behind.
                self._context = None
                raise CardFault(Fault.NO_SERVICE, "it does not answer") from None
            raise

    def _forget(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            SCardReleaseContext(context)


def _check(result: int) -> None:
    code = result & 0xFFFFFFFF
    if code not in (OK, TIMEOUT):
        raise result_fault(result)
