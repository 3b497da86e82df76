# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What takes a card, from a shell: how it refuses. A whole life is in `tests/e2e`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from provisioning import audit
from provisioning.cli import main
from provisioning.commands import cards
from provisioning.commands.shell import open_installation
from provisioning.desks import jobs, stations
from provisioning.lifecycle import JobState, KeyState
from provisioning.models import Job, SecurityKey, Station
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database, transaction
from tests.fakes.people import active_key, person

Act = Callable[[Job], None]


@pytest.fixture
def data(tmp_path: Path, database_url: str) -> Path:
    """An installation with one reader, Desk NFC."""
    folder = tmp_path / "data"
    made = CliRunner().invoke(
        main, ["init", "--data", str(folder), "--base-url", "http://localhost:5005"]
    )
    assert made.exit_code == 0, made.output
    services = open_installation(folder)
    audit.use_key(services.vault.audit_key)
    open_database(load(folder).database_url)
    pair(services)
    return folder


def pair(services: Services, name: str = "Desk NFC") -> Station:
    return Station.create(
        resource_id=f"station-{name}", name=name, signing_key=b"s" * 32, sealing_key=b"e" * 32
    )


@pytest.fixture
def station_does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Act], None]:
    """What becomes of the job while the command waits for it."""

    def does(act: Act) -> None:
        def sleep(_seconds: float) -> None:
            with transaction():
                act(Job.select().order_by(Job.id.desc()).get())

        monkeypatch.setattr(cards, "time", SimpleNamespace(sleep=sleep))

    return does


def run(data: Path, *words: str, typed: str = "") -> Result:
    answer = CliRunner().invoke(main, ["key", words[0], "--data", str(data), *words[1:]], typed)
    database.connect(reuse_if_open=True)
    return answer


def breaks_off(job: Job) -> None:
    job.state = JobState.RUNNING
    jobs.interrupt(job, "card_removed", audit.SYSTEM)


def test_a_job_that_breaks_off_says_why_and_goes_on_when_it_is_asked_again(
    data: Path, station_does: Callable[[Act], None]
) -> None:
    person()
    station_does(breaks_off)
    answer = run(data, "assign", "ada", "--station", "Desk NFC")
    assert answer.exit_code == 1
    first, waits, fault = answer.output.splitlines()
    assert (waits, fault.startswith("Error: ")) == ("Waiting for Desk NFC.", True)
    key = SecurityKey.get()
    assert first == f"{key.resource_id}  Card of Ada Lovelace"
    assert key.state == KeyState.PENDING
    pin = bytes(Job.get().sealed_pin)
    assert run(data, "at-reader", key.resource_id, "assign", "--station", "Desk NFC").exit_code == 1
    assert bytes(Job.get().sealed_pin) == pin, "the same job with the same PIN"


def test_what_is_cancelled_in_the_panel_ends_here_too(
    data: Path, station_does: Callable[[Act], None]
) -> None:
    key = active_key(person())
    station_does(lambda job: jobs.cancel(job, audit.SYSTEM))
    answer = run(data, "at-reader", key.resource_id, "change-pin", "--station", "Desk NFC")
    assert (answer.exit_code, answer.output.splitlines()[-1]) == (1, "Error: It was cancelled.")


def test_who_interrupts_the_command_cancels_the_job(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cards, "time", SimpleNamespace(sleep=interrupted))
    key = active_key(person())
    answer = run(data, "at-reader", key.resource_id, "force-change", "--station", "Desk NFC")
    assert answer.exit_code == 1
    assert Job.get().state == JobState.CANCELLED


@pytest.mark.parametrize("verb", ["reset", "return"])
def test_nothing_is_wiped_without_a_yes(data: Path, verb: str) -> None:
    key = active_key(person())
    answer = run(data, "at-reader", key.resource_id, verb, "--station", "Desk NFC", typed="n\n")
    assert answer.exit_code == 1
    assert "every site on this card are wiped" in answer.output
    assert not Job.select().exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ada", "--station", "Desk 7"), "No one reader is called Desk 7 here. There are: Desk"),
        (("eve", "--station", "Desk NFC"), "There is no user eve."),
        (("ada", "--station", "Desk NFC", "--replaces", "x"), "There is no such key."),
        (("ada", "--station", "Desk NFC", "--until", "2001-01-01"), "This day is over"),
        (("ada", "--station", "Desk NFC", "--name", "n" * 65), "A key's name has at most 64"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    data: Path, words: tuple[str, ...], sentence: str
) -> None:
    person()
    answer = run(data, "assign", *words)
    assert answer.exit_code == 1
    assert answer.output.startswith(f"Error: {sentence}")
    assert not SecurityKey.select().exists()


def test_of_two_readers_with_one_name_the_id_tells_which(
    data: Path, station_does: Callable[[Act], None]
) -> None:
    person()
    twin = Station.create(
        resource_id="twin", name="Desk NFC", signing_key=b"t" * 32, sealing_key=b"e" * 32
    )
    assert "No one reader" in run(data, "assign", "ada", "--station", "Desk NFC").output
    station_does(breaks_off)
    run(data, "assign", "ada", "--station", "twin")
    assert Job.get().station == stations.living(twin.resource_id)
