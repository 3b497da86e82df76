# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The key-encryption key changes under a running server, and whoever is killed goes on (R31)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from provisioning import audit
from provisioning.audit import CLI, Event
from provisioning.commands.shell import open_installation
from provisioning.errors import CommandRefused
from provisioning.models import AuditEvent, Job, OutboxMail
from provisioning.sealing import columns, proofs, rotation
from provisioning.services import Services
from provisioning.storage.db import database, transaction
from provisioning.vault import Vault
from tests.fakes import sealed, shell

pytestmark = pytest.mark.req("R31")

# Rotates as the command does, and says so and waits after each batch.
STOPPING = """
import sys, time
from pathlib import Path
from provisioning.audit import CLI
from provisioning.commands.shell import open_installation
from provisioning.sealing import rotation
rotation.BATCH = 3
vault = open_installation(Path(sys.argv[1])).vault
rotation.begin(vault, CLI)
for batch in rotation.reseal(vault, CLI):
    print("batch", flush=True)
    sys.stdin.readline()
"""


class Killed(BaseException):
    """The process ends here."""


def killed(*_: object) -> None:
    raise Killed


@pytest.fixture
def folder(data: Path) -> Path:
    shell.made(data / "kw")
    yield data / "kw"
    database.close()


@pytest.fixture
def installed(folder: Path) -> Services:
    return open_installation(folder)


def rotate(services: Services) -> list[rotation.Batch]:
    rotation.begin(services.vault, CLI)
    return list(rotation.reseal(services.vault, CLI))


def let_pass(folder: Path, seconds: float = rotation.GRACE + 1) -> None:
    """Make the file look as if it had been changed that long ago."""
    then = time.time() - seconds
    os.utime(folder / "keys" / "kek", (then, then))


def log(event: Event) -> list[dict[str, object]]:
    rows = AuditEvent.select().where(AuditEvent.event == event).order_by(AuditEvent.id)
    return [json.loads(row.detail) for row in rows]


def test_everything_is_sealed_anew_and_opens_for_those_who_use_it(installed: Services) -> None:
    code = sealed.fill(installed, mails=7)
    (old,) = installed.vault.keks.ids()
    batches = rotate(installed)
    new = installed.vault.keks.ids()[-1]
    assert new != old
    assert columns.count_all() == {new: 14}
    assert sum(batch.done for batch in batches) == 14
    sealed.check(installed, code)
    assert log(Event.KEK_ADDED) == [{"kek": new.hex()}]
    assert log(Event.KEK_ROTATED) == [{"kek": new.hex(), "values": 14}]
    assert audit.verify().whole


def test_no_transaction_is_longer_than_a_batch(
    installed: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.fill(installed, mails=8)
    monkeypatch.setattr(rotation, "BATCH", 4)
    batches = [batch.done for batch in rotate(installed) if batch.column is columns.MAIL]
    assert batches == [4, 4, 1]


@pytest.mark.parametrize("batches", [0, 1, 2, 5])
def test_killed_between_batches_every_value_opens_and_the_next_run_goes_on(
    folder: Path, installed: Services, batches: int
) -> None:
    code = sealed.fill(installed, mails=5)
    (old,) = installed.vault.keks.ids()
    command = [sys.executable, "-c", STOPPING, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        for _ in range(batches):
            assert process.stdout.readline() == "batch\n"
            process.stdin.write("\n")
            process.stdin.flush()
        assert process.stdout.readline() == "batch\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    running, restarted = installed, open_installation(folder)
    new = restarted.vault.keks.ids()[-1]
    counted = columns.count_all()
    assert counted[old] > 0
    assert counted[new] > 0
    for each in (running, restarted):
        sealed.check(each, code)
    assert not rotation.begin(restarted.vault, CLI)
    assert sum(batch.done for batch in rotation.reseal(restarted.vault, CLI)) > 0
    assert columns.count_all() == {new: 12}
    for each in (running, restarted):
        sealed.check(each, code)
    assert log(Event.KEK_ADDED) == [{"kek": new.hex()}]


@pytest.mark.parametrize("place", ["the file", "the commit"])
def test_killed_while_the_key_is_added_the_next_run_adds_one_all_the_same(
    folder: Path, installed: Services, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = sealed.fill(installed)
    (old,) = installed.vault.keks.ids()
    with monkeypatch.context() as patched:
        if place == "the file":
            patched.setattr(Path, "replace", killed)
        else:
            patched.setattr(proofs, "_save", killed)
        with pytest.raises(Killed):
            rotation.begin(installed.vault, CLI)
    sealed.check(installed, code)
    rotate(installed)
    kept, new = installed.vault.keks.ids()
    assert kept == old
    assert proofs.needed() == [old.hex(), new.hex()]
    assert log(Event.KEK_ADDED) == [{"kek": new.hex()}]
    sealed.check(open_installation(folder), code)


def test_who_opened_the_keys_before_reads_and_writes_on(folder: Path, installed: Services) -> None:
    code = sealed.fill(installed)
    running = Vault.open(folder / "keys")
    rotate(installed)
    new = installed.vault.keks.ids()[-1]
    by_them = Services(installed.settings, running)
    sealed.check(by_them, code)
    sealed.mail(by_them)
    assert columns.count_all() == {new: 9}


def test_a_key_is_added_where_nobody_else_can_commit(
    installed: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a value could be in the database under a key that a power cut takes away."""
    add, seen = type(installed.vault.keks).add, []

    def watched(keks: object) -> bytes:
        seen.append(_turn_is_taken())
        return add(keks)  # type: ignore[arg-type]

    monkeypatch.setattr(type(installed.vault.keks), "add", watched)
    rotation.begin(installed.vault, CLI)
    assert seen == [True]
    assert not _turn_is_taken()


def _turn_is_taken() -> bool:
    """Whether another process would have to wait for its turn to write."""
    if hasattr(database.obj, "turn"):
        import fcntl

        with Path(f"{database.database}.lock").open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
    import psycopg  # by a connection of its own: a question on ours would take the turn

    with psycopg.connect(os.environ["KEYWRIGHT_DATABASE_URL"]) as other:
        asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        found = other.execute(asked).fetchone()
    return found is not None and bool(found[0])


def test_values_that_do_not_open_are_told_once_left_and_stop_nothing(
    installed: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    sealed.fill(installed, mails=6)
    rows = [row.id for row in OutboxMail.select().order_by(OutboxMail.id)]
    broken = [rows[0], *rows[-3:]]
    with transaction():
        OutboxMail.update(sealed_secret=b"altered").where(OutboxMail.id << broken).execute()
    rotation.begin(installed.vault, CLI)
    batches = list(islice(rotation.reseal(installed.vault, CLI), 30))
    assert [row for batch in batches for row in batch.broken] == broken
    assert sum(batch.done for batch in batches) == 9
    left = OutboxMail.select().where(OutboxMail.id << broken)
    assert {bytes(row.sealed_secret) for row in left} == {b"altered"}


def test_run_again_before_the_old_key_is_retired_adds_no_third_one(installed: Services) -> None:
    sealed.fill(installed)
    assert rotation.begin(installed.vault, CLI)
    list(rotation.reseal(installed.vault, CLI))
    assert not rotation.begin(installed.vault, CLI)
    assert list(rotation.reseal(installed.vault, CLI)) == []
    assert len(installed.vault.keks.ids()) == 2
    assert len(log(Event.KEK_ROTATED)) == 1


def test_the_old_key_goes_once_nothing_lies_under_it(folder: Path, installed: Services) -> None:
    code = sealed.fill(installed)
    rotate(installed)
    old, new = installed.vault.keks.ids()
    let_pass(folder)
    assert rotation.retire(installed.vault, CLI) == [old.hex()]
    assert installed.vault.keks.ids() == [new]
    assert proofs.needed() == [new.hex()]
    assert log(Event.KEK_RETIRED) == [{"kek": old.hex()}]
    sealed.check(open_installation(folder), code)
    assert rotation.begin(installed.vault, CLI)


@pytest.mark.parametrize("column", columns.ALL, ids=lambda column: column.table)
def test_it_stays_while_one_value_lies_under_it(
    folder: Path, installed: Services, column: columns.SealedColumn
) -> None:
    code = sealed.fill(installed)
    rotation.begin(installed.vault, CLI)
    for each in columns.ALL:
        if each is not column:
            with transaction():
                each.reseal(each.not_under([b"none"], 0, 100), installed.vault)
    let_pass(folder)
    with pytest.raises(CommandRefused, match=r"Still sealed under an old key: \d\."):
        rotation.retire(installed.vault, CLI)
    assert len(installed.vault.keks.ids()) == 2
    sealed.check(open_installation(folder), code)


def test_it_stays_for_a_minute_since_somebody_may_be_about_to_write(
    folder: Path, installed: Services
) -> None:
    rotate(installed)
    let_pass(folder, rotation.GRACE - 30)
    with pytest.raises(CommandRefused, match=r"try again in (30|29) seconds"):
        rotation.retire(installed.vault, CLI)
    let_pass(folder, -3600)  # a clock that was set back
    with pytest.raises(CommandRefused, match="try again in 60 seconds"):
        rotation.retire(installed.vault, CLI)
    assert len(installed.vault.keks.ids()) == 2


def test_the_only_key_is_not_retired(folder: Path, installed: Services) -> None:
    let_pass(folder)
    with pytest.raises(CommandRefused, match="one key only"):
        rotation.retire(installed.vault, CLI)


@pytest.mark.parametrize("place", ["the commit", "the file"])
def test_killed_while_the_old_key_is_retired_the_next_run_does_it(
    folder: Path, installed: Services, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = sealed.fill(installed)
    rotate(installed)
    let_pass(folder)
    with monkeypatch.context() as patched:
        if place == "the file":
            patched.setattr(Path, "replace", killed)
        else:
            patched.setattr(proofs, "_save", killed)
        with pytest.raises(Killed):
            rotation.retire(installed.vault, CLI)
    restarted = open_installation(folder)
    sealed.check(restarted, code)
    rotation.retire(restarted.vault, CLI)
    assert len(restarted.vault.keks.ids()) == 1
    sealed.check(open_installation(folder), code)


def test_a_job_that_somebody_holds_keeps_its_new_seal_when_it_is_saved(
    installed: Services,
) -> None:
    sealed.fill(installed)
    held = Job.get()
    rotate(installed)
    held.step = "done"
    with transaction():
        held.save()
    new = installed.vault.keks.ids()[-1]
    assert bytes(Job.get().sealed_pin)[:4] == new
