# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Directories at a shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.clock import now_ms
from provisioning.models import AuditEvent, Connection, Token, User
from provisioning.storage.db import database, transaction
from provisioning.upstream import conflicts, traces
from provisioning.upstream.conflicts import Clash
from provisioning.upstream.traces import Trace
from tests.fakes import people, shell
from tests.fakes.shell import run


@pytest.fixture
def folder(data: Path) -> Iterator[Path]:
    shell.made(data / "kw", "https://keys.example.org")
    assert run("token", "create", "--data", data / "kw", "--connection", "Okta").exit_code == 0
    yield data / "kw"
    database.close()


def said(folder: Path, *words: object, code: int = 0) -> str:
    result = run("connection", *words, "--data", folder)
    assert result.exit_code == code, result.output
    return result.output


def test_directories_are_listed_with_their_figures(folder: Path) -> None:
    assert said(folder, "list").startswith(
        "Okta  write  tolerant  1 token  0 users  0 groups  0 requests  0 errors  0 conflicts"
    )
    Token.delete().execute()
    Connection.delete().execute()
    assert "No directories." in said(folder, "list")


def test_terms_are_set_and_logged(folder: Path) -> None:
    words = ("--scope", "read", "--profile", "okta", "--patch-reply", "body")
    assert said(folder, "set", "Okta", *words, "--shared-group-names") == (
        "Changed: patch_reply, profile, scope, unique_group_names.\n"
    )
    assert said(folder, "set", "Okta", "--scope", "read") == "Nothing was changed.\n"
    assert said(folder, "set", "Okta", "--name", "Okta 2") == "Changed: name.\n"
    row = Connection.get()
    assert (row.name, row.scope, row.profile, row.patch_reply) == ("Okta 2", "read", "okta", "body")
    assert not row.unique_group_names
    assert not row.merges_bulk
    assert said(folder, "set", "Okta 2", "--merge-bulk") == "Changed: merges_bulk.\n"
    assert Connection.get().merges_bulk
    assert "choose another profile" in said(folder, "set", "Okta 2", "--profile", "strict", code=1)
    assert said(folder, "set", "Okta 2", "--no-merge-bulk") == "Changed: merges_bulk.\n"
    changes = AuditEvent.select().where(AuditEvent.event == "connection.changed")
    assert {row.actor_kind for row in changes} == {"cli"}
    assert "There is no connection Entra" in said(folder, "set", "Entra", "--scope", "read", code=1)
    assert "'everything' is not one of" in said(
        folder, "set", "Okta 2", "--scope", "everything", code=2
    )


def test_requests_are_printed_the_newest_first(folder: Path) -> None:
    assert said(folder, "requests", "Okta") == "It has asked nothing so far.\n"
    mine, users = Connection.get().id, "/Users".__str__
    with transaction():
        traces.write(
            [
                Trace(1_000, mine, None, "GET", users, 200, None, 1_250, {"bare_values": 1}),
                Trace(2_000, mine, None, "POST", users, 409, "uniqueness", 900),
            ]
        )
    assert said(folder, "requests", "Okta").splitlines() == [
        "1970-01-01T00:00:02Z  POST /Users  409  0.9 ms  uniqueness",
        "1970-01-01T00:00:01Z  GET /Users  200  1.2 ms  bare_values",
    ]
    assert said(folder, "requests", "Okta", "--errors").count("\n") == 1


def test_a_conflict_is_listed_and_handed_over(folder: Path) -> None:
    assert said(folder, "conflicts", "Okta") == "No conflicts.\n"
    ada = people.person("ada")
    okta = Connection.get()
    with transaction():
        conflicts.note([Clash(okta.id, now_ms(), "User", "userName", "ada")])
    number = said(folder, "conflicts", "Okta").split()[0]
    assert said(folder, "conflicts", "Okta") == (
        f"{number}  userName ada  1 time  held by {ada.resource_id} of panel\n"
    )
    assert "ada belongs to Okta now" in said(folder, "hand-over", "Okta", number)
    assert User.get_by_id(ada.id).connection == okta
    assert "no such conflict" in said(folder, "hand-over", "Okta", number, code=1)


def test_a_directory_ends_step_by_step(folder: Path) -> None:
    assert "Retire Okta first." in said(folder, "delete", "Okta", "--yes", code=1)
    assert "1 token revoked" in said(folder, "retire", "Okta")
    assert "retired already" in said(folder, "retire", "Okta", code=1)
    assert "Okta is back." in said(folder, "resume", "Okta")
    assert said(folder, "retire", "Okta").startswith("Okta is retired")
    assert "0 users and 0 groups would become the panel's own" in said(
        folder, "delete", "Okta", code=1
    )
    assert "Okta is deleted" in said(folder, "delete", "Okta", "--yes")
    assert not Connection.select().exists()
