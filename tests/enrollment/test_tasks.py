# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from provisioning import tasks
from provisioning.audit import Actor
from provisioning.errors import InvalidValue
from provisioning.models import Task
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.tasks import Kind, Turn
from tests.fakes.panel import Panel

GRACE = Actor("account", "1", "Grace Hopper")


def refuse_formulas(turn: Turn) -> str:
    if turn.subject.startswith("="):
        raise InvalidValue("That is a formula.")
    return "fine"


@pytest.fixture
def kind() -> Iterator[Kind]:
    made = tasks.register(Kind("try_out", Role.OPERATOR, refuse_formulas))
    yield made
    del tasks._KINDS["try_out"]


def begin(kind: Kind, *subjects: str) -> Task:
    with transaction():
        return tasks.begin(kind, GRACE, [(s, s) for s in subjects], title="people.csv")


def test_the_page_of_a_task_shows_how_far_it_is_with_and_without_scripts(
    panel: Panel, services: Services, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    task = begin(kind, "a", "b", "c", "d")
    tasks.work(services)
    page = panel.get(f"/tasks/{task.resource_id}").get_data(as_text=True)
    assert "25 %" in page
    assert "1 of 4 rows" in page
    assert f'hx-get="/tasks/{task.resource_id}/progress"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    tasks.work(services)
    live = panel.get(f"/tasks/{task.resource_id}/progress").get_data(as_text=True)
    assert "2 of 4 rows" in live
    assert "<html" not in live


def test_a_task_that_is_over_stops_asking_and_the_page_comes_anew(
    panel: Panel, services: Services, kind: Kind
) -> None:
    task = begin(kind, "a", "=b")
    tasks.work(services)
    answer = panel.get(f"/tasks/{task.resource_id}/progress")
    assert answer.headers["HX-Refresh"] == "true"
    page = panel.get(f"/tasks/{task.resource_id}").get_data(as_text=True)
    assert "hx-get" not in page.partition("<main")[2]
    assert "http-equiv" not in page
    words = panel.see(f"/tasks/{task.resource_id}")
    assert "Done, with exceptions" in words
    assert "1 row done · not possible for 1 row" in words
    assert "That is a formula." in words


def test_the_result_is_a_csv_in_which_nothing_runs(
    panel: Panel, services: Services, kind: Kind
) -> None:
    task = begin(kind, "a", "=b")
    tasks.work(services)
    answer = panel.get(f"/tasks/{task.resource_id}/result.csv")
    assert answer.mimetype == "text/csv"
    assert answer.get_data(as_text=True).splitlines() == [
        "subject,outcome,detail",
        "a,done,fine",
        "'=b,failed,That is a formula.",
    ]


def test_a_task_can_be_left_and_found_again_in_the_menu(panel: Panel, kind: Kind) -> None:
    task = begin(kind, "a")
    assert "Long work 1" in panel.see("/users")
    assert f'href="/tasks/{task.resource_id}"' in panel.get("/tasks").get_data(as_text=True)


def test_an_operator_stops_a_task_and_an_auditor_only_looks(
    app: Flask, panel: Panel, kind: Kind
) -> None:
    task = begin(kind, "a", "b")
    here = f"/tasks/{task.resource_id}"
    auditor = Panel(app, Role.AUDITOR, name="Alan Turing")
    assert "cancel" not in auditor.get(here).get_data(as_text=True)
    assert auditor.post(f"{here}/cancel").status_code == 403
    operator = Panel(app, Role.OPERATOR, name="Ada Lovelace")
    assert operator.post(f"{here}/cancel").status_code == 302
    assert "What was done before stays done" in operator.see(here)
    assert "It was over already" in text_after(operator, here)


def text_after(panel: Panel, here: str) -> str:
    panel.post(f"{here}/cancel")
    return panel.see(here)


def test_an_unknown_task_is_not_found(panel: Panel) -> None:
    assert panel.get("/tasks/no-such-one").status_code == 404


def test_without_long_work_the_page_says_what_would_be_here(panel: Panel) -> None:
    assert "An import, or an action on many people at once" in panel.see("/tasks")
