# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog
from flask import Flask
from peewee import OperationalError

from provisioning import audit, tasks
from provisioning.audit import CLI, Actor
from provisioning.clock import HOUR, now_ms
from provisioning.errors import InvalidValue, NotFound, WrongState
from provisioning.models import AuditEvent, PanelAccount, Setting, Task, TaskRow, User
from provisioning.panel.access import Role
from provisioning.processes.worker import Worker
from provisioning.services import Services
from provisioning.storage.db import BREATH, transaction
from provisioning.tasks import Kind, Outcome, Queries, Skip, TaskState, Turn
from tests.fakes.people import account, person

GRACE = Actor("account", "7", "Grace Hopper")


def note(turn: Turn) -> str:
    """The work of these tests: a row of its own for each subject, and a few that misbehave."""
    if turn.subject == "idle":
        raise Skip("There was nothing to do.")
    Setting.create(name=f"{turn.options.get('prefix', '')}{turn.subject}", value=turn.actor.name)
    if turn.subject == "passed over":
        raise Skip("It is noted, and that is all.")
    if turn.subject == "taken":
        raise InvalidValue("This one is taken.")
    if turn.subject == "fault":
        raise KeyError("secret 491730")
    return f"noted by {turn.actor.name}"


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kind]:
    monkeypatch.setattr(tasks, "BUDGET", 60.0)  # a busy machine ends no turn early
    made = tasks.register(Kind("note", Role.OFFICER, note))
    yield made
    del tasks._KINDS["note"]


@pytest.fixture(autouse=True)
def grace(services: Services) -> PanelAccount:
    """Who wants all of it."""
    return account(GRACE, Role.OFFICER)


def begin(kind: Kind, *subjects: str, **options: object) -> Task:
    with transaction():
        return tasks.begin(kind, GRACE, [(s, s.title()) for s in subjects], options=options)


def reread(task: Task) -> Task:
    return Task.get_by_id(task.id)


def notes() -> list[str]:
    return sorted(row.name for row in Setting.select() if row.name != "rp_id")


def outcomes(task: Task) -> list[tuple[str, str, str]]:
    return list(tasks.results(task))


def test_a_task_does_each_row_once_and_says_what_became_of_it(
    services: Services, kind: Kind
) -> None:
    task = begin(kind, "one", "two", prefix="n-")
    assert (task.state, task.total) == (TaskState.QUEUED, 2)
    assert tasks.work(services) == 2
    task = reread(task)
    assert (task.state, task.done, task.failed) == (TaskState.DONE, 2, 0)
    assert task.finished_at is not None
    assert notes() == ["n-one", "n-two"]
    assert outcomes(task) == [
        ("One", Outcome.DONE, "noted by Grace Hopper"),
        ("Two", Outcome.DONE, "noted by Grace Hopper"),
    ]
    assert tasks.work(services) == 0


def test_what_a_row_that_is_passed_over_has_noted_stays(services: Services, kind: Kind) -> None:
    task = begin(kind, "passed over")
    tasks.work(services)
    assert notes() == ["passed over"]
    assert outcomes(task) == [
        ("Passed Over", Outcome.SKIPPED, "It is noted, and that is all."),
    ]


def test_the_shell_that_waits_for_a_task_lets_others_write_between_its_turns(
    services: Services, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[float] = []

    def write(pause: float) -> None:
        others.append(pause)
        with transaction():
            Setting.create(name=f"other-{len(others)}", value="")

    monkeypatch.setattr(tasks, "BUDGET", 0.0)  # a row a turn
    monkeypatch.setattr(tasks, "sleep", write)
    assert tasks.finish(begin(kind, "one", "two"), services).state == TaskState.DONE
    assert notes() == ["one", "other-1", "other-2", "two"]
    assert set(others) == {BREATH}


def test_a_row_that_fails_is_undone_alone_and_says_why(services: Services, kind: Kind) -> None:
    task = begin(kind, "one", "taken", "idle", "fault", "two")
    with structlog.testing.capture_logs() as logs:
        tasks.work(services)
    assert notes() == ["one", "two"]
    assert [(outcome, detail) for _, outcome, detail in outcomes(task)] == [
        (Outcome.DONE, "noted by Grace Hopper"),
        (Outcome.FAILED, "This one is taken."),
        (Outcome.SKIPPED, "There was nothing to do."),
        (Outcome.FAILED, "A fault in this program: KeyError."),
        (Outcome.DONE, "noted by Grace Hopper"),
    ]
    task = reread(task)
    assert (task.done, task.failed, task.state) == (5, 2, TaskState.DONE)
    assert [row.label for row in tasks.failures(task)] == ["Taken", "Fault"]
    assert "491730" not in repr(logs)


def test_a_worker_that_dies_in_the_middle_leaves_nothing_half_done_and_the_next_goes_on(
    services: Services, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BUDGET", 0.0)  # each row a transaction of its own
    task = begin(kind, "one", "two", "three", "four")
    tasks.work(services)
    with monkeypatch.context() as patch:
        patch.setattr(tasks.Task, "save", _power_cut)  # after the row's work, before its commit
        with pytest.raises(OperationalError):
            tasks.work(services)
    assert notes() == ["one"]
    assert (reread(task).done, reread(task).state) == (1, TaskState.RUNNING)
    while tasks.work(services):
        pass
    assert notes() == ["four", "one", "three", "two"]
    assert (reread(task).done, reread(task).state) == (4, TaskState.DONE)


def _power_cut(*_: object, **__: object) -> None:
    raise OperationalError("disk I/O error")


def test_a_database_that_is_busy_fails_no_row(
    services: Services, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = begin(kind, "one")
    with monkeypatch.context() as patch:
        patch.setattr(Setting, "create", _power_cut)
        with pytest.raises(OperationalError):
            tasks.work(services)
    assert (reread(task).done, reread(task).state) == (0, TaskState.QUEUED)
    tasks.work(services)
    assert [outcome for _, outcome, _ in outcomes(task)] == [Outcome.DONE]


def test_a_turn_ends_with_its_budget_so_that_others_can_write(
    services: Services, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    task = begin(kind, *(f"n{i}" for i in range(5)))
    assert tasks.work(services) == 1
    assert (reread(task).done, reread(task).state) == (1, TaskState.RUNNING)


def test_tasks_take_turns(services: Services, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    clock = iter(range(now_ms() + HOUR, now_ms() + 2 * HOUR))
    monkeypatch.setattr(tasks, "now_ms", lambda: next(clock))
    long, short = begin(kind, "a", "b", "c"), begin(kind, "d")
    for _ in range(3):
        tasks.work(services)
    assert reread(short).done == 1
    assert reread(long).done == 2


def test_a_cancelled_task_keeps_what_is_done_and_leaves_the_rest(
    services: Services, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    task = begin(kind, "one", "two")
    tasks.work(services)
    with transaction():
        tasks.cancel(task, CLI)
    assert tasks.work(services) == 0
    assert reread(task).state == TaskState.CANCELLED
    assert outcomes(task) == [("One", Outcome.DONE, "noted by Grace Hopper"), ("Two", "", "")]
    with pytest.raises(WrongState), transaction():
        tasks.cancel(task, CLI)
    told = AuditEvent.select().order_by(AuditEvent.id)
    assert [(row.event, row.actor_kind) for row in told] == [
        (audit.Event.TASK_QUEUED, "account"),
        (audit.Event.TASK_CANCELLED, "cli"),
    ]


@pytest.mark.req("R25")
@pytest.mark.parametrize(
    "change",
    [{"state": "suspended"}, {"role": Role.OPERATOR}, {"id": 8}],
    ids=["suspended", "demoted", "gone"],
)
def test_nothing_more_is_done_for_somebody_who_may_not_do_it_any_more(
    services: Services,
    kind: Kind,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
) -> None:
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    task = begin(kind, "one", "two")
    tasks.work(services)
    PanelAccount.update(change).execute()
    assert tasks.work(services) == 0
    assert reread(task).state == TaskState.REVOKED
    assert notes() == ["one"]
    assert outcomes(task)[1] == ("Two", "", "")
    last = AuditEvent.select().order_by(AuditEvent.id.desc()).first()
    assert (last.event, last.actor_kind) == (audit.Event.TASK_REVOKED, "system")
    assert json.loads(last.detail)["by"] == "Grace Hopper"
    PanelAccount.update(state="active", role=Role.OWNER, id=7).execute()
    assert tasks.work(services) == 0  # it is over


def test_somebody_with_a_higher_role_goes_on(services: Services, kind: Kind) -> None:
    task = begin(kind, "one")
    PanelAccount.update(role=Role.OWNER).execute()
    tasks.work(services)
    assert reread(task).state == TaskState.DONE


def test_the_shells_work_goes_on_whoever_has_an_account(services: Services, kind: Kind) -> None:
    PanelAccount.update(state="suspended").execute()
    with transaction():
        task = tasks.begin(kind, CLI, [("one", "One")])
    tasks.work(services)
    assert reread(task).state == TaskState.DONE


def test_a_task_over_all_that_match_takes_its_rows_from_a_query(
    services: Services, kind: Kind
) -> None:
    for name in ("ada", "alan", "grace"):
        person(name)
    found = User.select(User.resource_id, User.user_name).where(User.user_name_key.startswith("a"))
    with transaction():
        task = tasks.begin(kind, GRACE, Queries([found.order_by(User.id)]))
    assert task.total == 2
    tasks.work(services)
    assert [label for label, _, _ in outcomes(task)] == ["ada", "alan"]


def test_a_task_without_rows_is_done_at_once(services: Services, kind: Kind) -> None:
    task = begin(kind)
    assert (task.state, task.total) == (TaskState.DONE, 0)


def test_a_kind_that_a_worker_does_not_know_waits_for_one_that_does(
    services: Services, kind: Kind
) -> None:
    task = begin(Kind("from_a_newer_version", Role.OFFICER, note), "one")
    assert tasks.work(services) == 0
    assert reread(task).state == TaskState.QUEUED


def test_a_kind_can_close_its_task_in_the_same_transaction(services: Services) -> None:
    closed: list[tuple[str, int]] = []
    kind = tasks.register(
        Kind("note", None, note, lambda task: closed.append((task.state, task.done)))
    )
    begin(kind, "one")
    tasks.work(services)
    del tasks._KINDS["note"]
    assert closed == [(TaskState.DONE, 1)]


def test_more_rows_than_one_batch_are_all_done(services: Services, kind: Kind) -> None:
    task = begin(kind, *(f"n{i}" for i in range(1_003)))
    turns = 0
    while tasks.work(services):
        turns += 1
    assert turns >= 3
    assert (reread(task).done, reread(task).state) == (1_003, TaskState.DONE)
    assert len(notes()) == 1_003
    assert len(outcomes(task)) == 1_003


def test_exactly_one_batch_of_rows_is_closed_too(services: Services, kind: Kind) -> None:
    task = begin(kind, *(f"n{i}" for i in range(tasks._BATCH)))
    while reread(task).state != TaskState.DONE:
        tasks.work(services)
    assert reread(task).done == tasks._BATCH


def test_the_worker_does_long_work_between_mails(
    app: Flask, services: Services, kind: Kind
) -> None:
    task = begin(kind, "one", "two")
    assert Worker(app, services).run_once() == 2
    assert reread(task).state == TaskState.DONE


def test_an_old_task_is_forgotten_with_its_rows(services: Services, kind: Kind) -> None:
    old, new = begin(kind, "one"), begin(kind, "two")
    tasks.work(services)
    tasks.work(services)
    Task.update(finished_at=now_ms() - tasks.KEPT - 1).where(Task.id == old.id).execute()
    assert tasks.forget_old() == 1
    assert [row.task_id for row in TaskRow.select()] == [new.id]
    with pytest.raises(NotFound):
        tasks.get(old.resource_id)


def test_a_row_that_the_database_refuses_fails_alone(services: Services, kind: Kind) -> None:
    task = begin(kind, "one", "one", "two")
    assert tasks.work(services) == 3
    assert [outcome for _label, outcome, _detail in outcomes(task)] == ["done", "failed", "done"]
    assert reread(task).state == TaskState.DONE


def test_a_task_that_cannot_go_on_lets_the_others_go_on(services: Services, kind: Kind) -> None:
    def broken(_task: Task) -> None:
        raise KeyError("gone")

    bad = tasks.register(Kind("bad", None, lambda _turn: "", broken))
    try:
        stuck = begin(bad, "one")
        other = begin(kind, "two")
        with pytest.raises(KeyError):
            tasks.work(services)
        tasks.work(services)
    finally:
        del tasks._KINDS["bad"]
    assert reread(stuck).state == TaskState.QUEUED
    assert reread(other).state == TaskState.DONE
