# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One job under way: what it may use, what it tells the server, and how it waits for a card."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from reader.card import Card, CardFacts
from reader.card_reader import CardReader, CardSession, is_random
from reader.desk import Desk, DeskState, Question, Step
from reader.faults import Cancelled, CardFault, Fault
from reader.identity import Identity, b64url
from reader.pin_rules import PinRules
from reader.server import Server, ServerGone, ServerRefused
from reader.ticket import JobStep, Ticket

Json = dict[str, Any]

PULSE_SECONDS = 3.0
"""How often a waiting job says `waiting` again: so a cancelled one ends soon."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits between the tries to tell the server something; a restart takes less in all."""

ASK_SECONDS = 120.0
CONSENT_SECONDS = 60.0  # R24


class Stopped(Exception):
    """The server does not want this job any more (`reason` is its word), or we are to end."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


@dataclass
class Tapped:
    """The card of a job, held exclusively. `card` and `facts` follow a power cycle."""

    session: CardSession
    card: Card
    facts: CardFacts

    def check_same(self) -> None:
        """Raises CardFault CARD_SWAPPED when another card lies there than at the tap."""
        if is_random(self.session.uid):
            return  # such a card has another UID each time its power was cut
        if self.session.read_uid() != self.session.uid:
            raise CardFault(Fault.CARD_SWAPPED)


class Job:
    """`stop` ends every wait. `server` and `pulse_server` are two connections to one server."""

    def __init__(
        self,
        ticket: Ticket,
        *,
        identity: Identity,
        desk: Desk,
        reader: CardReader,
        server: Server,
        pulse_server: Server,
        stop: threading.Event,
    ) -> None:
        self.ticket = ticket
        self.identity = identity
        self.desk = desk
        self.reader = reader
        self.stop = stop
        self.step = JobStep.PREPARED
        self.presence = ""
        """The tap that this job got (`CardReader.presence`)."""
        self._card = ""
        self._server = server
        self._pulse_server = pulse_server

    # The server

    def tell(self, event: str, **body: Any) -> None:
        """Send an event; come back when the server says go on.

        Raises Stopped, and CardFault SERVER_GONE.
        """
        answer = _until_heard(lambda: self._post(self._server, event, body), self.stop)
        model = answer.get("model")
        if isinstance(model, str) and model:  # what the server calls the card's model
            self._card = f"{model[:80]}, {self._card}"
        _go_on(answer)

    def tell_fault(self, fault: CardFault) -> None:
        """The last event of this run. That it cannot be told changes nothing."""
        body = {"fault": fault.word.value, "step": self.step.value, "detail": fault.detail[:200]}
        try:
            _until_heard(lambda: self._post(self._server, "fault", body), self.stop)
        except (CardFault, ServerRefused, Stopped):
            return

    def _post(self, server: Server, event: str, body: Json) -> Json:
        path = f"jobs/{self.ticket.job}/events"
        return server.post(path, {"ticket": self.ticket.jti, "event": event, **body}) or {}

    @contextmanager
    def waiting(self) -> Iterator[Callable[[], bool]]:
        """While a person is waited for: says `waiting` now and then.

        Gives a function that is true when there is nothing to wait for any more; leaving the
        block then raises Stopped.
        """
        pulse = _Pulse(lambda: self._post(self._pulse_server, "waiting", {}))
        pulse.start()
        try:
            yield lambda: self.stop.is_set() or pulse.ended is not None
        except Cancelled:
            pass
        finally:
            pulse.finish()
        if self.stop.is_set():
            raise Stopped("station_stopped")
        if pulse.ended is not None:
            raise pulse.ended

    # The desk

    def show(self, step: Step, text: str, seconds: float | None = None) -> None:
        ticket = self.ticket
        self.desk.show(
            DeskState(
                step=step,
                text=text,
                reader=self.reader.name,
                organisation=ticket.organisation,
                server=self.host,
                op=ticket.op.value,
                user=ticket.user,
                key=ticket.key,
                code=ticket.code,
                seconds=None if seconds is None else int(seconds),
                station=self.identity.name,
                card=self._card,
            )
        )

    @property
    def host(self) -> str:
        return urlsplit(self.identity.server).netloc

    def ask_pin(self, text: str, tries: int | None) -> str:
        """The card's present PIN. Raises CardFault CANCELLED_AT_DESK, Stopped."""
        question = Question(text, ASK_SECONDS, tries=tries)
        self.show(Step.PIN, text, ASK_SECONDS)
        with self.waiting() as over:
            pin = self.desk.ask_pin(replace(question, cancelled=over))
        return self._typed(pin)

    def ask_new_pin(self, text: str, rules: PinRules) -> str:
        """A new PIN that the rules allow. Raises CardFault CANCELLED_AT_DESK, Stopped."""
        question = Question(text, ASK_SECONDS, rules=rules)
        self.show(Step.PIN, text, ASK_SECONDS)
        with self.waiting() as over:
            pin = self.desk.ask_new_pin(replace(question, cancelled=over))
        pin = self._typed(pin)
        if not rules.allow(pin):  # whatever the desk let through
            raise CardFault(Fault.PIN_POLICY)
        return pin

    def _typed(self, pin: str | None) -> str:
        if pin is None:
            why = "" if self.desk.attended else "nobody can type a PIN at this station"
            raise CardFault(Fault.CANCELLED_AT_DESK, why)
        return pin

    # The card

    @contextmanager
    def tap(self, text: str) -> Iterator[Tapped]:
        """Wait for the card, tell the server about it, hold it for the block.

        Its power is cut at the end, so that no token or selection outlives the job. Raises
        CardFault, Stopped.
        """
        self.tell("waiting")
        session = self.wait_for_card(text, self.ticket.tap_seconds)
        tapped: Tapped | None = None
        try:
            tapped = self._meet(session)
            yield tapped
        finally:
            # A wipe may have tapped anew.
            (tapped.session if tapped else session).close()

    def wait_for_card(self, text: str, seconds: float) -> CardSession:
        self.show(Step.TAP, text, seconds)
        session: CardSession | None = None
        try:
            with self.waiting() as over:
                session = self.reader.wait_for_card(seconds, over)
                self.presence = self.reader.presence()
        except Stopped:
            if session is not None:
                session.close()
            raise
        if session is None:
            raise Stopped("cancelled")
        return session

    def _meet(self, session: CardSession) -> Tapped:
        uid = session.uid.hex() if session.uid else None
        self._card = f"UID {uid.upper()}" if uid else "on the reader"
        self.show(Step.WORKING, "Leave the card on the reader.")
        # First of all: the server would take what it hears now for the card of the run before.
        self._check_resumed(session.uid)
        try:
            card = Card(session.device)
            facts = card.facts(self.ticket.rp_id)
        except CardFault as fault:
            if fault.word in (Fault.NOT_FIDO, Fault.U2F_ONLY):
                self.step = JobStep.TAPPED
                self.tell("card", uid=uid, fido=False, versions=_versions(fault), **_NOTHING_KNOWN)
            raise
        self.step = JobStep.TAPPED
        self.tell(
            "card",
            uid=uid,
            fido=True,
            versions=list(facts.versions),
            aaguid=facts.aaguid,
            client_pin=facts.client_pin,
            force_pin_change=facts.force_pin_change,
            can_force_change=facts.can_force_change,
            pin_retries=facts.pin_retries,
            min_pin_length=facts.min_pin_length,
            known=[b64url(one) for one in facts.known],
        )
        return Tapped(session, card, facts)

    def _check_resumed(self, uid: bytes | None) -> None:
        """A card that an earlier run wrote to must be the one that lies there now."""
        before = self.ticket.resume.uid
        # A random UID tells nothing; the credential does, where there is one.
        if before is None or uid is None or is_random(before):
            return
        if self.ticket.resume.card_may_be_written and uid != before:
            raise CardFault(Fault.CARD_SWAPPED)


_NOTHING_KNOWN: Json = {
    "aaguid": None,
    "client_pin": False,
    "force_pin_change": False,
    "can_force_change": False,
    "pin_retries": None,
    "min_pin_length": None,
    "known": [],
}


def _versions(fault: CardFault) -> list[str]:
    return ["U2F_V2"] if fault.word is Fault.U2F_ONLY else []


class _Pulse(threading.Thread):
    """Says `waiting` every few seconds until it is finished or the server says stop."""

    def __init__(self, beat: Callable[[], Json]) -> None:
        super().__init__(name="pulse", daemon=True)
        self.ended: Stopped | None = None
        self._beat = beat
        self._finished = threading.Event()

    def run(self) -> None:
        while not self._finished.wait(PULSE_SECONDS):
            try:
                _go_on(self._beat())
            except Stopped as stopped:
                self.ended = stopped
                return
            except ServerRefused as refused:
                self.ended = Stopped(refused.error or "refused", str(refused))
                return
            except ServerGone:
                continue  # the next thing that must be told will find out

    def finish(self) -> None:
        self._finished.set()
        self.join()


def _until_heard(post: Callable[[], Json], stop: threading.Event) -> Json:
    for pause in (*RETRY_SECONDS, None):
        try:
            return post()
        except ServerRefused as refused:
            raise Stopped(refused.error or "refused", str(refused)) from None
        except ServerGone as gone:
            if pause is None or stop.is_set():
                raise CardFault(Fault.SERVER_GONE, str(gone)) from None
            stop.wait(pause)
    raise AssertionError("unreachable")


def _go_on(answer: Json) -> None:
    if answer.get("go") is not True:
        reason, message = answer.get("reason"), answer.get("message")
        raise Stopped(
            reason if isinstance(reason, str) else "stopped",
            message if isinstance(message, str) else "",
        )
