# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Mass departures, decided at a shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning import directory, tasks
from provisioning.audit import CLI, Actor
from provisioning.models import Connection, Setting, Task, User
from provisioning.storage.db import BREATH, database, transaction
from tests.fakes import people, shell
from tests.fakes.shell import run

pytestmark = pytest.mark.req("R17")


@pytest.fixture
def folder(data: Path) -> Iterator[Path]:
    yield shell.made(data / "kw")
    database.close()


@pytest.fixture
def left(folder: Path) -> list[User]:
    entra = Connection.create(name="Entra")
    actor = Actor("connection", str(entra.id), "Entra")
    gone = []
    for number in range(12):
        with transaction():
            given = people.document(f"u{number}", displayName=f"U {number}")
            gone.append(directory.create_user(given, connection=entra, actor=actor))
    for user in gone:
        people.active_key(user)
        with transaction():
            directory.delete_user(user, actor)
    return gone


def test_rejecting_says_who_is_back_and_who_is_not(folder: Path, left: list[User]) -> None:
    people.person("u3")
    assert "Entra" in run("departures", "list", "--data", folder).output
    result = run("departures", "reject", 1, "--data", folder)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "U 3: the user name or the external id belongs to somebody else by now",
        "Rejected: 11 people are back, with their keys.",
    ]
    assert run("departures", "list", "--data", folder).output == "Nothing is held.\n"
    assert run("departures", "reject", 1, "--data", folder).exit_code == 1


def test_while_people_are_brought_back_others_write(
    folder: Path, left: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def write(pause: float) -> None:
        pauses.append(pause)
        with transaction():
            Setting.create(name=f"other-{len(pauses)}", value="")

    monkeypatch.setattr(tasks, "BUDGET", 0.0)  # a person a turn
    monkeypatch.setattr(tasks, "sleep", write)
    assert run("departures", "reject", 1, "--data", folder).exit_code == 0
    assert pauses == [BREATH] * 12


def test_who_is_not_brought_back_is_said_to_be_held_still(
    folder: Path, left: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_pause: float) -> None:
        with transaction():
            tasks.cancel(Task.get(), CLI)

    monkeypatch.setattr(tasks, "BUDGET", 0.0)
    monkeypatch.setattr(tasks, "sleep", stop)
    result = run("departures", "reject", 1, "--data", folder)
    assert result.exit_code == 1
    assert "Rejected: 1 people are back" in result.output
    assert "11 people are still held" in result.output
