# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The worker: sends the outbox, does long work, runs what is due by the clock, until it is stopped.

Any number of workers may run on one database: mails are leased, and a hook may run in several
workers at once, so it must find its own work by state and do a bounded amount of it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import structlog
from flask import Flask
from peewee import PeeweeException

from .. import audit, audit_check, live_settings, tasks
from ..audit import Event
from ..clock import HOUR, MINUTE, SECOND, now_ms
from ..event_streams import deliveries, streams
from ..lifecycle import LinkState
from ..mails import mail, outbox
from ..mails.mail import MailPermanent, MailTemporary, MailUnreachable, Template
from ..mails.outbox import MailState
from ..models import LIVE, Activation, Challenge, OutboxMail, RequestId
from ..services import EXTENSION, Services
from ..storage.db import BREATH, database, transaction
from ..vault import SealBroken
from . import leftovers
from .logs import kind_and_place

BATCH = 50  # mails in one pass, so that the hooks get their turn in between
PUSHING = 5.0  # seconds of pushing events in one pass
TASKS = 1.0  # seconds of long work in one pass
LONGEST_REST = 60.0  # seconds, while pass after pass fails

log = structlog.get_logger()


class Hook(NamedTuple):
    """Something to do every `every_ms`; `call` runs in a write transaction of its own."""

    name: str
    every_ms: int
    call: Callable[[], object]


class Worker:
    """One loop over hooks and mails. Faults are logged by place, never by text, and survived."""

    def __init__(
        self, app: Flask, services: Services, hooks: Sequence[Hook] = (), *, interval: float = 1.0
    ) -> None:
        self._app = app
        self._app.extensions[EXTENSION] = services
        self._services = services
        self._hooks = (
            Hook("expire_mail", MINUTE, expire_mail),
            Hook("sweep", 10 * MINUTE, sweep),
            Hook("forget_leftovers", 10 * MINUTE, leftovers.forget),
            Hook("check_log", 10 * SECOND, audit_check.advance),
            Hook("forget_old_tasks", HOUR, tasks.forget_old),
            Hook("forget_old_events", HOUR, streams.forget_old),
            *hooks,
        )
        self._interval = interval  # seconds between passes that found nothing to do
        self._due: dict[str, float] = {}  # by the monotonic clock; a hook not in here never ran
        self._faulty = False
        self._faults = 0  # passes in a row that met a fault of ours

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a mail under way is finished first."""
        try:
            while not stop.is_set():
                if not self.run_once(stop):
                    stop.wait(min(self._interval * 2.0 ** min(self._faults, 16), LONGEST_REST))
        finally:
            database.close()

    def run_once(self, stop: threading.Event | None = None) -> int:
        """Run the hooks that are due, send what is due, 50 at most, and go on with long work.

        Return how many mails and rows that was.
        """
        self._faulty, handled, more = False, 0, True
        with self._app.app_context():
            with self._surviving("settings"):
                self._services = live_settings.refresh(self._app)
            for hook in self._hooks:
                if self._due.get(hook.name, 0.0) <= time.monotonic():
                    self._due[hook.name] = time.monotonic() + hook.every_ms / 1000
                    with self._surviving(hook.name), transaction():
                        hook.call()
            while more and handled < BATCH and not (stop is not None and stop.is_set()):
                more = False
                with self._surviving("mail"):
                    more = self._deliver_one()
                    handled += more
            handled += self._push(stop)
            handled += self._work(stop)
        self._faults = self._faults + 1 if self._faulty else 0
        return handled

    def _push(self, stop: threading.Event | None) -> int:
        """Push events until there are none, or others have waited long enough."""
        handled, until = 0, time.monotonic() + PUSHING
        with self._surviving("events"):
            while not (stop is not None and stop.is_set()) and time.monotonic() < until:
                sent = deliveries.work(self._services)
                handled += sent
                if not sent:
                    break
        return handled

    def _work(self, stop: threading.Event | None) -> int:
        handled, until = 0, time.monotonic() + TASKS
        with self._surviving("tasks"):
            while not (stop is not None and stop.is_set()) and time.monotonic() < until:
                rows = tasks.work(self._services)
                handled += rows
                if not rows:
                    break
                time.sleep(BREATH)
        return handled

    def _deliver_one(self) -> bool:
        """Handle the next mail; False if there is none, or no mail server to try the next on."""
        with transaction():
            row = outbox.claim(now_ms())
        if row is None:
            return False
        try:
            self._send(row)
        except (MailTemporary, MailPermanent) as error:
            _note_failure(row, error)
            return not isinstance(error, MailUnreachable)
        except Exception as error:  # noqa: BLE001 - one bad mail must not hold up the others
            _log_fault("mail", error)
            _note_failure(row, MailTemporary(f"A fault in this program: {type(error).__name__}."))
            return True
        with transaction():
            outbox.sent(row)
            _record(Event.MAIL_SENT, row)
        log.info("mail.sent", template=row.template, message_id=row.message_id)
        return True

    def _send(self, row: OutboxMail) -> None:
        context = json.loads(row.context)
        template = Template(row.template)
        if template is Template.ACTIVATION_LINK and context["expires"] <= now_ms():
            raise MailPermanent("The link expired before this mail could be sent.")
        try:
            secret = outbox.secret_of(row, self._services.vault)
        except SealBroken as error:
            raise MailPermanent(str(error)) from None
        settings = self._services.settings
        rendered = mail.render(template, context, secret, row.locale, settings.accent_colour)
        mail.send(settings, row.recipient, rendered, row.message_id)

    @contextmanager
    def _surviving(self, task: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the loop outlives what one task meets
            self._faulty = True
            _log_fault(task, error)
            with suppress(PeeweeException):  # a database that was restarted needs a new connection
                database.close()


def expire_mail() -> int:
    """End mails and secrets of 72 hours; return how many mails died."""
    died = outbox.expire(now_ms())
    for row in died:
        _record(Event.MAIL_DEAD, row, error=row.last_error)
    return len(died)


def sweep() -> int:
    """Delete what is past its time and nothing asks for, and mark links that nobody used.

    Nothing depends on it: each is looked at by its time when it is used (R11, R13).
    """
    now = now_ms()
    swept = Challenge.delete().where(Challenge.expires_at < now - HOUR).execute()
    swept += RequestId.delete().where(RequestId.expires_at < now - HOUR).execute()
    swept += (
        Activation.update(state=LinkState.EXPIRED, ended_at=Activation.expires_at, sealed_code=None)
        .where(Activation.state == LIVE, Activation.expires_at < now - HOUR)
        .execute()
    )
    return int(swept)


def _note_failure(row: OutboxMail, error: MailTemporary | MailPermanent) -> None:
    with transaction():
        state = outbox.failed(row, error)
        if state is MailState.DEAD:
            _record(Event.MAIL_DEAD, row, error=str(error))
        elif state is MailState.QUEUED and str(error) != row.last_error:  # once, not at each try
            _record(Event.MAIL_FAILED, row, error=str(error))
    log.warning(
        "mail.failed",
        template=row.template,
        message_id=row.message_id,
        state=state,
        attempts=row.attempts,
        error=str(error),
    )


def _record(event: Event, row: OutboxMail, **detail: object) -> None:
    audit.record(
        audit.SYSTEM,
        event,
        user=row.user,
        key=row.key,
        template=row.template,
        message_id=row.message_id,
        **detail,
    )


def _log_fault(task: str, error: Exception) -> None:
    log.error("worker.fault", task=task, **kind_and_place(error))
