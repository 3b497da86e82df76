# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The station: polls its server for jobs and runs them, one at a time.

Two threads. The poller (`reader.poller`) waits at the server for a ticket; the one that called
`run` does jobs and watches the readers. Nothing listens for connections (R22).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from reader import change_pin, enroll, force_change, sign_in, verify, wipe
from reader.card_reader import CardReader, ReaderState
from reader.choice import ReaderChoice
from reader.desk import Desk, DeskState, Step, printable
from reader.faults import CardFault, Fault
from reader.identity import Identity
from reader.job import Job, Stopped
from reader.nap import Nap
from reader.poller import Poller
from reader.server import Clock, Server, ServerGone, ServerRefused, Signer, is_older, version
from reader.ticket import JobStep, Op, TicketBook, TicketRefused, read_ticket

log = logging.getLogger("reader.station")

SKEW_SECONDS = 60
"""How wrong a clock may be without a word; the server bears as much."""

MAX_NAME, MAX_READERS = 200, 16
"""Of a reader's name and of the list of readers, as a poll tells them."""

_GLANCE = 0.25

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


class Station:
    """`run` until `stop` is set. In process or as a program of its own, it is the same."""

    def __init__(
        self,
        identity: Identity,
        desk: Desk,
        reader: CardReader,
        choice: ReaderChoice | None = None,
    ) -> None:
        """With a `choice` the person at the desk may narrow `reader` down to one.

        Raises BadAddress.
        """
        self._identity = identity
        self._desk = desk
        self._every = self._reader = reader
        self._choice = choice
        self._clock = Clock()
        book = identity.folder / "tickets.json" if identity.folder else None
        self._book = TicketBook(book)
        self._server = self._connection()
        self._pulse_server = self._connection()
        self._poller = Poller(self._connection(), self._server, self._poll_body)
        self._state = ReaderState.NO_READER
        self._readers: Mapping[str, ReaderState] = {}
        self._shown: DeskState | None = None
        self._spent = ("", "")
        """The enrolment that was done last, and the tap whose card it was."""

    def run(self, stop: threading.Event) -> None:
        """Once per object. Ends within a second of `stop`, or of the APDU under way.

        Raises StationRevoked.
        """
        _mute_card_traffic()
        self._look_at_reader()
        self._poller.start()
        nap = Nap()
        try:
            while not stop.is_set() and not self._poller.revoked:
                if nap.over():
                    log.info("this computer has slept, or its clock was set")
                    self._poller.wake()
                self._turn(stop)
        finally:
            self._poller.end()
            self._server.close()
            self._pulse_server.close()
        if self._poller.revoked:
            raise StationRevoked

    def _turn(self, stop: threading.Event) -> None:
        token = self._poller.next_ticket(_GLANCE)
        if token is None:
            self._look()
            return
        try:
            self._take(token, stop)
        finally:
            self._look_at_reader()
            self._shown = None
            self._poller.ready()

    def _look(self) -> None:
        """Show and tell what lies on the readers, when it is something else than before."""
        before = self._state, self._readers
        self._look_at_reader()
        self._show_idle(self._state)
        if before != (self._state, self._readers):
            self._poller.news()

    def _look_at_reader(self) -> None:
        self._state = self._every.state()
        self._readers = self._every.states()
        if self._choice is not None:
            self._reader = self._choice.among(self._every)
            if self._reader is not self._every:
                self._state = self._reader.state()

    def _show_idle(self, state: ReaderState) -> None:
        step, text = _IDLE[state]
        if self._choice is not None and self._choice.is_missing:
            text = (
                f"The reader {self._choice.name} is not connected: plug it in, or choose another."
            )
        seconds = None
        offline = self._poller.offline
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
            station=self._identity.name,
            card="on the reader" if state is ReaderState.CARD else "",
            notice=self._notice(),
        )
        if shown != self._shown:
            self._shown = shown
            self._desk.show(shown)

    def _notice(self) -> str:
        """What the person here should know beside the jobs."""
        server, own = self._clock.server_version, version()
        if is_older(own, server):
            where = f"{self._identity.server}/reader-driver"
            return (
                f"This station is older than the server ({own}, {server}): "
                f"install it anew from {where}."
            )
        seconds = round(abs(self._clock.offset))
        if seconds > SKEW_SECONDS:
            how = "slow" if self._clock.offset > 0 else "fast"
            return f"This computer's clock is {seconds} seconds {how}: set it right."
        return ""

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
                station=self._identity.name,
                notice=self._notice(),
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

    # What a poll says

    def _poll_body(self, wait: int) -> dict[str, object]:
        state = self._state
        told = ReaderState.NO_READER if state is ReaderState.NO_SERVICE else state
        return {
            "state": told.value,
            "reader": printable(self._reader.name, MAX_NAME),
            "version": version(),
            "readers": [
                {"name": printable(name, MAX_NAME), "state": one.value}
                for name, one in list(self._readers.items())[:MAX_READERS]
            ],
            "clock": round(self._clock.offset),
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
