# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who may do what in the panel, looked at where it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask

from provisioning import keys
from provisioning.audit import CLI
from provisioning.clock import now_ms
from provisioning.lifecycle import KeyState, Reason
from provisioning.models import KeptForm, PanelAccount, SecurityKey, Session, User
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.storage.db import database, transaction
from tests.fakes.meanwhile import meanwhile
from tests.fakes.panel import Panel
from tests.fakes.people import active_key, person

pytestmark = pytest.mark.req("R25")


@pytest.fixture
def officer(app: Flask, panel: Panel) -> Panel:
    return Panel(app, Role.OFFICER, name="Mallory")


def suspended_key(user: User) -> SecurityKey:
    key = active_key(user)
    with transaction():
        keys.suspend(SecurityKey.get_by_id(key.id), Reason.LOST, CLI)
    return SecurityKey.get_by_id(key.id)


def state(key: SecurityKey) -> str:
    return SecurityKey.get_by_id(key.id).state


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda: PanelAccount.update(state="suspended"), 302),
        (lambda: PanelAccount.update(role=Role.AUDITOR), 403),
        (lambda: Session.update(ended_at=1), 302),
        (lambda: Session.update(expires_at=1), 302),
    ],
    ids=["suspended", "demoted", "signed out", "over"],
)
def test_who_loses_a_right_while_waiting_for_the_turn_to_write_does_nothing(
    officer: Panel,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[], object],
    status: int,
) -> None:
    key = suspended_key(person())
    meanwhile(monkeypatch, lambda: change().execute())
    answer = officer.post(f"/keys/{key.resource_id}/resume")
    assert answer.status_code == status
    assert state(key) == KeyState.SUSPENDED


def test_who_keeps_the_right_goes_on(officer: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    key = suspended_key(person())
    meanwhile(monkeypatch, lambda: PanelAccount.update(role=Role.OWNER).execute())
    officer.post(f"/keys/{key.resource_id}/resume")
    assert state(key) == KeyState.ACTIVE


def test_nobody_suspends_a_person_who_was_raised_above_them_meanwhile(
    app: Flask, panel: Panel, officer: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = person()
    account = Panel(app, Role.AUDITOR, user=ada, name="Ada Lovelace").account
    raised = PanelAccount.update(role=Role.OWNER).where(PanelAccount.id == account.id)
    meanwhile(monkeypatch, raised.execute)
    assert officer.post(f"/users/{ada.resource_id}/suspend").status_code == 403
    assert User.get_by_id(ada.id).active


def test_a_form_is_kept_whose_session_ends_while_it_waits(
    officer: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: Session.update(ended_at=1).execute())
    officer.post("/groups/new", {"name": "Night shift"})
    assert KeptForm.select().count() == 1


def test_a_new_secret_for_the_session_ends_nothing(officer: Panel) -> None:
    session = Session.get_by_id(officer.session.id)
    access.renew(session)
    assert access.find_again(session).id == session.id


def test_who_looks_waits_for_nobody_who_writes(officer: Panel) -> None:
    Session.update(last_seen_at=now_ms()).execute()
    begun, over = threading.Event(), threading.Event()

    def write() -> None:
        with transaction():
            Session.update(kind=Session.kind).execute()
            begun.set()
            over.wait(10)
        super(type(database.obj), database.obj).close()

    other = threading.Thread(target=write)
    other.start()
    try:
        assert begun.wait(10)
        assert officer.get("/stations").status_code == 200
        assert other.is_alive()
    finally:
        over.set()
        other.join()
