# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The chain looked over bit by bit: whatever was done to the log comes out, in bounded work."""

from __future__ import annotations

import pytest

from provisioning import audit, audit_check
from provisioning.audit import CLI, Event
from provisioning.clock import HOUR
from provisioning.models import AuditEvent, AuditHead, Setting
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.queries import counted, interrupted


def write(lines: int) -> None:
    with transaction():
        for number in range(lines):
            audit.record(CLI, Event.ACCOUNT_SIGNED_OUT, number=number)


def walk(step: int = 10) -> int:
    turns = 0
    while True:
        with transaction():
            looked = audit_check.advance(step)
        turns += 1
        if looked < step:
            return turns


def later(monkeypatch: pytest.MonkeyPatch, ms: int) -> None:
    now = audit_check.now_ms()
    monkeypatch.setattr(audit_check, "now_ms", lambda: now + ms)


def test_before_the_first_walk_is_over_nothing_is_claimed(services: Services) -> None:
    write(25)
    assert audit_check.standing() is None
    with transaction():
        assert audit_check.advance(10) == 10
    assert audit_check.standing() is None


def test_a_walk_in_steps_finds_a_whole_log_whole(services: Services) -> None:
    write(25)
    assert walk() == 3
    found = audit_check.standing()
    assert found is not None
    assert found.whole
    assert found.rows == 25


def test_new_lines_are_walked_on_from_where_it_stood(services: Services) -> None:
    write(25)
    walk()
    write(3)
    with transaction():
        assert audit_check.advance(10) == 3
    found = audit_check.standing()
    assert found is not None
    assert found.rows == 28


def test_when_nothing_is_new_nothing_is_written(services: Services) -> None:
    write(5)
    walk()
    with counted() as seen, transaction():
        assert audit_check.advance() == 0
    assert not [sql for sql in seen if sql.startswith(("UPDATE", "INSERT"))]


def test_an_old_line_that_was_changed_comes_out_at_the_next_walk(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(120)
    walk()
    AuditEvent.update(actor_name="Mallory").where(AuditEvent.id == 7).execute()
    later(monkeypatch, 2 * HOUR)
    walk()
    found = audit_check.standing()
    assert found is not None
    assert not found.whole
    assert "row 7" in found.sentence
    # It stays said until a later walk finds the log whole again.
    AuditEvent.update(actor_name="command line").where(AuditEvent.id == 7).execute()
    assert not audit_check.standing().whole  # type: ignore[union-attr]
    later(monkeypatch, 4 * HOUR)
    walk()
    assert audit_check.standing().whole  # type: ignore[union-attr]


@pytest.mark.req("R26")
def test_a_new_line_that_was_changed_comes_out_at_once(services: Services) -> None:
    write(120)
    walk()
    AuditEvent.update(detail="{}").where(AuditEvent.id == 118).execute()
    found = audit_check.standing()
    assert found is not None
    assert not found.whole
    assert "row 118" in found.sentence


@pytest.mark.req("R26")
def test_a_cut_tail_comes_out_at_once(services: Services) -> None:
    write(20)
    walk()
    AuditEvent.delete().where(AuditEvent.id > 15).execute()
    found = audit_check.standing()
    assert found is not None
    assert not found.whole


@pytest.mark.req("R26")
def test_a_line_taken_out_of_the_middle_comes_out(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(120)
    walk()
    AuditEvent.delete().where(AuditEvent.id == 30).execute()
    later(monkeypatch, 2 * HOUR)
    walk()
    assert not audit_check.standing().whole  # type: ignore[union-attr]


@pytest.mark.parametrize("lines", [20, 120])
def test_whoever_writes_while_a_page_looks_breaks_nothing(services: Services, lines: int) -> None:
    write(lines)
    walk()
    for moment in range(5):
        with interrupted(moment, lambda: write(2)):
            assert audit_check.standing().whole  # type: ignore[union-attr]


@pytest.mark.req("R26")
def test_a_line_behind_the_head_comes_out_at_once(services: Services) -> None:
    write(20)
    walk()
    last = AuditEvent.select().order_by(AuditEvent.id.desc()).get()
    AuditEvent.insert({**last.__data__, "id": last.id + 1, "actor_name": "Mallory"}).execute()
    assert not audit_check.standing().whole  # type: ignore[union-attr]


def test_a_page_asks_little_however_long_the_log_is(services: Services) -> None:
    write(300)
    walk(100)
    with counted() as seen:
        audit_check.standing()
    assert len(seen) <= 4
    assert AuditHead.get().rows == 300
    assert Setting.select().where(Setting.name == "audit_check").count() == 1
