# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Rows that nobody asks for any more go, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from provisioning import audit
from provisioning.audit import CLI
from provisioning.clock import DAY, now_ms
from provisioning.desks import jobs
from provisioning.lifecycle import JobState
from provisioning.mails.outbox import MailState
from provisioning.models import Job, OutboxMail, OwnerLink, PairingCode, Row, Session
from provisioning.panel import access
from provisioning.panel.access import Role, SessionKind
from provisioning.processes import leftovers
from provisioning.processes.worker import Worker
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import people

OLD, NEW = now_ms() - 31 * DAY, now_ms() - 29 * DAY


def session(expires_at: int) -> Session:
    return Session.create(
        secret_hash=str(Session.select().count()).encode(), kind="panel", expires_at=expires_at
    )


def link(expires_at: int) -> OwnerLink:
    count = OwnerLink.select().count()
    return OwnerLink.create(token_hash=str(count).encode(), role="owner", expires_at=expires_at)


def code(expires_at: int) -> PairingCode:
    count = PairingCode.select().count()
    return PairingCode.create(code_hash=str(count).encode(), created_by="x", expires_at=expires_at)


def mail(created_at: int, state: str = MailState.SENT) -> OutboxMail:
    return OutboxMail.create(
        message_id=str(OutboxMail.select().count()),
        template="pin",
        recipient="ada@example.org",
        created_at=created_at,
        state=state,
    )


def forget() -> int:
    with transaction():
        return leftovers.forget()


@pytest.mark.parametrize("make", [session, link, code, mail])
def test_what_ended_a_month_ago_goes(services: Services, make: Callable[[int], Row]) -> None:
    make(OLD)
    kept = make(NEW)
    make(OLD)  # behind a newer one: its turn comes with that one's
    assert forget() == 1
    assert forget() == 0
    assert [row.id for row in type(kept).select().order_by(type(kept).id)] == [kept.id, kept.id + 1]


@pytest.mark.parametrize("state", list(MailState))
def test_of_mails_those_go_that_are_sent_or_cancelled(services: Services, state: MailState) -> None:
    mail(OLD, state)
    assert forget() == (state in (MailState.SENT, MailState.CANCELLED))


def test_so_many_go_at_once_and_the_rest_later(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "AT_ONCE", 2)
    for _ in range(3):
        mail(OLD)
    assert [forget(), forget(), forget()] == [2, 1, 0]


def test_a_session_stays_for_the_job_that_it_waits_for(services: Services) -> None:
    made = session(OLD)
    key = people.pending_key(people.person())
    job = people.tapped(services, key, people.station(services))
    Job.update(session=made, finished_at=None, state=JobState.INTERRUPTED).execute()
    assert forget() == 0
    with transaction():
        jobs.cancel(Job.get_by_id(job.id), CLI)
    assert forget() == 1
    assert Job.get_by_id(job.id).session is None


def test_whoever_is_signed_in_stays_so_and_the_log_stays_whole(services: Services) -> None:
    with transaction():
        grace = access.create_account("Grace Hopper", Role.OWNER, CLI)
        _session, secret = access.open_session(SessionKind.PANEL, account=grace)
    session(OLD)
    lines = audit.head().rows
    forget()
    assert access.find_session(secret, SessionKind.PANEL).account == grace
    assert audit.verify() == audit.Verdict(lines, None, "")


def test_the_worker_does_it_now_and_then(app: Flask, services: Services) -> None:
    mail(OLD)
    Worker(app, services).run_once()
    assert OutboxMail.select().count() == 0
