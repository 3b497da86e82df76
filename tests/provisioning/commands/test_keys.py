# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provisioning import audit
from provisioning.cli import main
from provisioning.commands.shell import open_installation
from provisioning.desks import jobs, orders
from provisioning.lifecycle import JobState, KeyState, Reason
from provisioning.models import AuditEvent, Job, OutboxMail, SecurityKey
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from tests.fakes.people import active_key, pending_key, person, station


@pytest.fixture
def installed(tmp_path: Path, database_url: str) -> Path:
    data = tmp_path / "data"
    made = CliRunner().invoke(
        main, ["init", "--data", str(data), "--base-url", "http://localhost:5005"]
    )
    assert made.exit_code == 0, made.output
    services = open_installation(data)
    audit.use_key(services.vault.audit_key)
    open_database(load(data).database_url)
    return data


def run(data: Path, *words: str, typed: str = "") -> Result:
    answer = CliRunner().invoke(main, ["key", words[0], "--data", str(data), *words[1:]], typed)
    database.connect(reuse_if_open=True)
    return answer


def test_a_key_is_listed_suspended_resumed_and_revoked(installed: Path) -> None:
    user = person()
    key, _spare = active_key(user), active_key(user, "Spare")
    listed = run(installed, "list", "--user", "ADA").output
    assert key.resource_id in listed
    assert "Spare" in listed
    told = run(installed, "suspend", key.resource_id, "--reason", "lost").output
    assert "ada has 1 other working key." in told
    assert SecurityKey.get_by_id(key.id).reason == Reason.LOST
    assert "Spare" not in run(installed, "list", "--state", "suspended").output
    run(installed, "resume", key.resource_id)
    assert SecurityKey.get_by_id(key.id).state == KeyState.ACTIVE
    asked = run(installed, "revoke", key.resource_id, typed="n\n")
    assert asked.exit_code == 1
    assert "never works again" in asked.output
    assert SecurityKey.get_by_id(key.id).state == KeyState.ACTIVE
    run(installed, "revoke", key.resource_id, "--reason", "damaged", "--yes")
    ended = SecurityKey.get_by_id(key.id)
    assert (ended.state, ended.reason) == (KeyState.REVOKED, Reason.DAMAGED)
    assert OutboxMail.select().where(OutboxMail.template == "key_revoked").exists()
    assert AuditEvent.select().where(AuditEvent.actor_kind == "cli").count() >= 3


@pytest.mark.req("R20")
def test_suspending_a_key_whose_card_is_being_written_says_what_the_card_needs(
    installed: Path,
) -> None:
    services = open_installation(installed)
    key = pending_key(person())
    with transaction():
        job = orders.queue_enrolment(station(services), key, services, audit.CLI)
        jobs.tell(job, pin_setting=True)
    told = run(installed, "suspend", key.resource_id).output
    assert "is stopped, and its card may carry a PIN already: reset it." in told
    assert SecurityKey.get_by_id(key.id).state == KeyState.NEEDS_RESET
    assert Job.get_by_id(job.id).state == JobState.CANCELLED


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("suspend", "nothing"), "There is no such key."),
        (("list", "--user", "nobody"), "There is no user nobody."),
    ],
)
def test_what_is_not_there_is_one_line(
    installed: Path, words: tuple[str, ...], sentence: str
) -> None:
    answer = run(installed, *words)
    assert (answer.exit_code, answer.output.strip()) == (1, f"Error: {sentence}")


def test_a_revoked_key_is_not_resumed(installed: Path) -> None:
    key = active_key(person())
    run(installed, "revoke", key.resource_id, "--yes")
    answer = run(installed, "resume", key.resource_id)
    assert answer.exit_code == 1
    assert "revoked" in answer.output
    assert SecurityKey.get_by_id(key.id).state == KeyState.REVOKED


def test_nothing_to_list_is_said(installed: Path) -> None:
    assert run(installed, "list").output == "No keys.\n"
