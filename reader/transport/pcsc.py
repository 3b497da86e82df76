# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""PC/SC itself: the only module that imports pyscard.

pyscard's errors come in two families that share no base (`SmartcardException` and
`BaseSCardException`), with a result code or with none. Here they all become `CardFault`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

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
from reader.faults import CardFault, Fault
from reader.pcsc_codes import OK, TIMEOUT, result_fault
from reader.watchdog import within

T = TypeVar("T")

_PNP = "\\\\?PnP?\\Notification"
_SLICE_MS = 250


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


class Watch:
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


def is_present(flags: int) -> bool:
    """Whether a card lies there, by a reader's state."""
    return bool(flags & SCARD_STATE_PRESENT)


def reader_state(flags: int) -> ReaderState:
    if not is_present(flags):
        return ReaderState.NO_CARD
    return ReaderState.BUSY if flags & SCARD_STATE_EXCLUSIVE else ReaderState.CARD
