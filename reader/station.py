# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The station: polls its server for jobs and runs them, one at a time.

Two threads. The poller waits at the server for a ticket; the one that called `run` does jobs and
watches the reader. Nothing listens for connections (R22).
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from reader import change_pin, enroll, force_change, sign_in, verify, wipe
from reader.card_reader import CardReader, ReaderState
from reader.desk import Desk, DeskState, Step
from reader.faults import CardFault, Fault
from reader.identity import Identity
from reader.job import Job, Stopped
from reader.server import Clock, Server, ServerGone, ServerRefused, Signer, version
from reader.ticket import JobStep, Op, TicketBook, TicketRefused, read_ticket

log = logging.getLogger("reader.station")

WAIT_SECONDS = 25
"""How long the server may hold a poll."""

_SLACK = 10.0
_GLANCE = 0.25
_BACK_OFF = (1.0, 30.0)
_EMPTY_PAUSE = 2.0

_RUN: Mapping[Op, Callable[[Job], None]] = {
    Op.ENROL: enroll.run,
    Op.ASSERT: sign_in.run,
    Op.CHANGE_PIN: change_pin.run,
    Op.RESET: wipe.run,
    Op.VERIFY: verify.run,
    Op.FORCE_CHANGE: force_change.run,
}

_IDLE: Mapping[ReaderState, tuple[Step, str]] = {
    ReaderState.NO_SERVICE: (Step.NO_READER, Fault.NO_SERVICE.sentence),
    ReaderState.NO_READER: (Step.NO_READER, Fault.NO_READER.sentence),
    ReaderState.NO_CARD: (Step.READY, "Ready."),
    ReaderState.CARD: (Step.CARD_PRESENT, "Ready. A card lies on the reader."),
    ReaderState.BUSY: (Step.CARD_BUSY, Fault.CARD_BUSY.sentence),
}


class StationRevoked(Exception):
    """The server does not know this station any more: pair again."""


@dataclass(frozen=True)
class _Offline:
    reason: str
    seconds: float


class Station:
    """`run` until `stop` is set. In process or as a program of its own, it is the same."""

    def __init__(self, identity: Identity, desk: Desk, reader: CardReader) -> None:
        """Raises BadAddress."""
        self._identity = identity
        self._desk = desk
        self._reader = reader
        self._clock = Clock()
        book = identity.folder / "tickets.json" if identity.folder else None
        self._book = TicketBook(book)
        self._poll_server = self._connection()
        self._server = self._connection()
        self._pulse_server = self._connection()
        self._tickets: queue.Queue[str] = queue.Queue()
        self._idle = threading.Event()
        self._polling = threading.Event()
        self._ended = threading.Event()
        self._offline: _Offline | None = None
        self._revoked = False
        self._state = ReaderState.NO_READER
        self._shown: DeskState | None = None
        self._spent = ("", "")
        """The enrolment that was done last, and the tap whose card it was."""

    def run(self, stop: threading.Event) -> None:
        """Once per object. Ends within a second of `stop`, or of the APDU under way.

        Raises StationRevoked.
        """
        _mute_card_traffic()
        self._state = self._reader.state()
        self._idle.set()
        poller = threading.Thread(target=self._poll, name="poller", daemon=True)
        poller.start()
        try:
            while not stop.is_set() and not self._revoked:
                self._turn(stop)
        finally:
            self._ended.set()
            self._poll_server.interrupt()
            poller.join(1.0)
            self._server.close()
            self._pulse_server.close()
        if self._revoked:
            raise StationRevoked

    # The thread of `run`

    def _turn(self, stop: threading.Event) -> None:
        try:
            token = self._tickets.get(timeout=_GLANCE)
        except queue.Empty:
            self._look()
            return
        try:
            self._take(token, stop)
        finally:
            self._state, self._shown = self._reader.state(), None
            self._idle.set()
            # The poll that waits may be from before the job, when another card lay there.
            if self._polling.is_set():
                self._tell_state()

    def _look(self) -> None:
        """Show and tell what lies on the reader, when it is something else than before."""
        state = self._reader.state()
        self._show_idle(state)
        before, self._state = self._state, state
        if before is not state and self._idle.is_set():
            self._tell_state()

    def _tell_state(self) -> None:
        """Poll beside the poll that waits: cutting that one off could lose a ticket."""
        if self._offline:
            return
        try:
            answer = self._server.post("poll", self._poll_body(wait=0))
        except (ServerGone, ServerRefused):
            return  # the poller meets the same and shows it
        self._accept(answer)

    def _accept(self, answer: Mapping[str, object] | None) -> bool:
        token = (answer or {}).get("ticket")
        if not isinstance(token, str):
            return False
        self._idle.clear()
        self._tickets.put(token)
        return True

    def _show_idle(self, state: ReaderState) -> None:
        step, text = _IDLE[state]
        seconds = None
        offline = self._offline
        if offline is not None:
            step, text = Step.OFFLINE, f"The server cannot be used: {offline.reason}."
            seconds = int(offline.seconds)
        shown = DeskState(
            step,
            text,
            reader=self._reader.name,
            organisation=self._identity.organisation,
            server=urlsplit(self._identity.server).netloc,
            seconds=seconds,
        )
        if shown != self._shown:
            self._shown = shown
            self._desk.show(shown)

    def _take(self, token: str, stop: threading.Event) -> None:
        try:
            ticket = read_ticket(token, self._identity, self._clock.now())
            self._book.take(ticket, self._clock.now())
        except TicketRefused as refused:
            log.warning("ticket refused: %s", refused)
            self._show_fault(None, CardFault(Fault.REFUSED_TICKET, str(refused)))
            if refused.genuine:
                self._refuse(refused)
            return
        job = Job(
            ticket,
            identity=self._identity,
            desk=self._desk,
            reader=self._reader,
            server=self._server,
            pulse_server=self._pulse_server,
            stop=stop,
        )
        log.info("job %s: %s", ticket.job, ticket.op)
        self._run(job)
        log.info("job %s: ends at %s", ticket.job, job.step)

    def _run(self, job: Job) -> None:
        """Whatever happens to a job, the station goes on to the next one."""
        try:
            if job.ticket.op is Op.ENROL:
                self._clear_reader(job)
            _RUN[job.ticket.op](job)
            if job.ticket.op is Op.ENROL:
                self._spent = (job.ticket.job, job.presence)
            elif job.ticket.op is Op.RESET and job.step is JobStep.DONE:
                self._spent = ("", "")  # the card is nobody's any more
        except CardFault as fault:
            self._fault(job, fault)
        except TicketRefused as refused:
            self._fault(job, CardFault(Fault.REFUSED_TICKET, str(refused)))
        except Stopped as stopped:
            if stopped.reason == "station_stopped":
                job.tell_fault(CardFault(Fault.CANCELLED_AT_DESK, "the station was stopped"))
            log.info("job %s: stopped, %s", job.ticket.job, stopped.reason)
            job.show(Step.CANCELLED, f"Stopped: {str(stopped).rstrip('.')}.")
        except Exception as error:  # noqa: BLE001 - the worker loop's last resort
            # A flaw of ours in one job must not end the desk's day. Its text may hold anything.
            log.error("job %s: %s", job.ticket.job, type(error).__name__)
            self._fault(job, CardFault(Fault.CARD_ERROR, f"program error {type(error).__name__}"))

    def _clear_reader(self, job: Job) -> None:
        """The card of the enrolment before must not become the next person's."""
        finished, tap = self._spent
        if finished == job.ticket.job or not tap or self._reader.presence() != tap:
            return
        seconds = job.ticket.tap_seconds
        job.show(Step.REMOVE, "Take the finished card off the reader first.", seconds)
        gone = False
        with job.waiting() as over:
            gone = self._reader.wait_for_removal(tap, seconds, over)
        if not gone:
            raise CardFault(Fault.NO_CARD, "the finished card still lies on the reader")

    def _fault(self, job: Job, fault: CardFault) -> None:
        log.warning("job %s: %s at %s", job.ticket.job, fault, job.step)
        job.tell_fault(fault)
        self._show_fault(job, fault)

    def _show_fault(self, job: Job | None, fault: CardFault) -> None:
        ticket = job.ticket if job else None
        self._desk.show(
            DeskState(
                Step.FAULT,
                fault.sentence,
                reader=self._reader.name,
                organisation=self._identity.organisation,
                server=urlsplit(self._identity.server).netloc,
                op=ticket.op.value if ticket else "",
                user=ticket.user if ticket else "",
                key=ticket.key if ticket else "",
                fault=fault.word,
            )
        )

    def _refuse(self, refused: TicketRefused) -> None:
        body = {
            "ticket": refused.jti,
            "event": "fault",
            "fault": Fault.REFUSED_TICKET.value,
            "step": JobStep.PREPARED.value,
            "detail": str(refused),
        }
        try:
            self._server.post(f"jobs/{refused.job}/events", body)
        except (ServerGone, ServerRefused):
            return

    # The poller's thread

    def _poll(self) -> None:
        low, high = _BACK_OFF
        delay = low
        while not self._ended.is_set():
            if not self._idle.wait(0.5):
                continue
            began = time.monotonic()
            # After a failure a quick one, so that the desk need not show it 25 s too long.
            wait = 0 if self._offline else WAIT_SECONDS
            self._polling.set()
            try:
                answer = self._poll_server.post(
                    "poll", self._poll_body(wait), timeout=wait + _SLACK
                )
            except ServerRefused as refused:
                if refused.status == 410:
                    self._revoked = True
                    break
                self._pause(str(refused), high)
                continue
            except ServerGone as gone:
                # Not all stations at once, when a server comes back.
                self._pause(str(gone), gone.retry_after or delay * random.uniform(0.5, 1))  # noqa: S311
                delay = min(delay * 2, high)
                continue
            finally:
                self._polling.clear()
            delay, self._offline = low, None
            if not self._accept(answer) and wait and time.monotonic() - began < 1.0:
                # A server with too many waiting stations answers at once: do not run in circles.
                self._ended.wait(_EMPTY_PAUSE)
        self._poll_server.close()

    def _pause(self, reason: str, seconds: float) -> None:
        self._offline = _Offline(reason, seconds)
        self._ended.wait(seconds)

    def _poll_body(self, wait: int) -> dict[str, object]:
        state = self._state
        told = ReaderState.NO_READER if state is ReaderState.NO_SERVICE else state
        return {
            "state": told.value,
            "reader": self._reader.name,
            "version": version(),
            "wait": wait,
        }

    def _connection(self) -> Server:
        identity = self._identity
        return Server(
            identity.server, Signer(identity.station_id, identity.signing_key, self._clock)
        )


def _mute_card_traffic() -> None:
    """python-fido2 can log every APDU. Not here, whatever the level of the root logger (R23)."""
    for name in ("fido2", "smartcard"):
        logging.getLogger(name).setLevel(logging.WARNING)
