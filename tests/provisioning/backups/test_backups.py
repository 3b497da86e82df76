# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A database is copied while it is used, and put back only whole, unaltered and with its keys."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning import audit
from provisioning.audit import CLI
from provisioning.backups import archive, making, restoring
from provisioning.backups.manifest import Manifest
from provisioning.commands.shell import open_installation
from provisioning.errors import CommandRefused, ConfigurationError
from provisioning.installation import open_keys
from provisioning.models import AuditEvent, User
from provisioning.sealing import rotation
from provisioning.storage.db import database, transaction
from provisioning.vault import Vault
from tests.fakes import people, sealed, shell
from tests.fakes.shell import run

pytestmark = pytest.mark.req("R31")


@pytest.fixture
def folder(data: Path) -> Iterator[Path]:
    shell.made(data / "kw")
    open_installation(data / "kw")
    yield data / "kw"
    database.close()


@pytest.fixture
def file(folder: Path) -> Path:
    """A backup of a database with one person."""
    people.person("ada")
    vault = open_installation(folder).vault
    making.make(folder.parent / "backup.tar", vault, CLI)
    database.close()
    return folder.parent / "backup.tar"


@pytest.fixture
def empty(folder: Path, file: Path) -> Path:
    """A data folder with the same keys and settings, and no database."""
    made = folder.parent / "new"
    made.mkdir(0o700)
    shutil.copytree(folder / "keys", made / "keys")
    shutil.copy(folder / "keywright.env", made)
    return made


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def put_back(file: Path, folder: Path) -> None:
    restoring.restore(file, open_keys(folder), CLI)


def refused(file: Path, folder: Path, error: type[Exception], sentence: str) -> None:
    """See it refused, and that nothing is left behind."""
    before = names(folder)
    with pytest.raises(error, match=sentence):
        put_back(file, folder)
    assert names(folder) == before


def members(file: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(file) as tar:
        return [(each, tar.extractfile(each).read()) for each in tar]


def rewritten(file: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], object]) -> Path:
    """Return the file with its members changed."""
    found = members(file)
    change(found)
    with tarfile.open(file, "w") as tar:
        for member, content in found:
            if member.isreg():
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file


@pytest.mark.sqlite
def test_what_is_in_the_backup_comes_back_with_its_secrets(folder: Path) -> None:
    code = sealed.fill(open_installation(folder))
    told = run("backup", folder.parent / "b.tar", "--data", folder)
    assert told.exit_code == 0, told.output
    assert "There are no keys in it." in told.output
    people.person("later")
    database.close()
    (folder / "keywright.sqlite3").rename(folder.parent / "lost")
    for path in folder.glob("keywright.sqlite3-*"):
        path.unlink()
    told = run("restore", folder.parent / "b.tar", "--data", folder)
    assert told.exit_code == 0, told.output
    assert "What has happened since is not in it" in told.output
    services = open_installation(folder)
    sealed.check(services, code)
    assert [user.user_name for user in User.select()] == ["ada"]
    assert audit.verify().whole
    events = AuditEvent.select().order_by(AuditEvent.id.desc())
    assert "backup.restored" in [row.event for row in events.limit(2)]
    assert AuditEvent.select().where(AuditEvent.event == "backup.made").count() == 1


@pytest.mark.sqlite
def test_the_file_is_its_owners_alone_and_nothing_is_left_beside_it(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(file.parent) == {"kw", "backup.tar"}
    assert [member.name for member, _ in members(file)] == ["manifest.json", "keywright.sqlite3"]


@pytest.mark.sqlite
@pytest.mark.req("T24")
def test_no_key_and_no_secret_is_in_a_backup(folder: Path) -> None:
    code = sealed.fill(open_installation(folder))
    vault = open_installation(folder).vault
    making.make(folder.parent / "b.tar", vault, CLI)
    content = (folder.parent / "b.tar").read_bytes()
    held = [path.read_bytes().split(b"\n")[0] for path in (folder / "keys").iterdir()]
    held += [vault.audit_key, vault.flask_secret, vault.signing_key.private_bytes_raw()]
    held += [
        sealed.PASSWORD.encode(),
        sealed.AUTHORIZATION.encode(),
        code.replace("-", "").encode(),
    ]
    assert [each for each in held if each in content and b"BEGIN" not in each] == []


@pytest.mark.sqlite
def test_it_is_of_one_moment_while_others_write(folder: Path) -> None:
    """Each person comes with a line in the log: a copy of two moments would have them differ."""
    vault, stop, made = open_installation(folder).vault, threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            made.append(people.person(f"p{len(made)}"))
        database.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(made) < 20:
            pass
        for number in range(5):
            before = len(made)
            making.make(folder.parent / f"{number}.tar", vault, CLI)
            while len(made) == before:  # nobody was shut out for good
                pass
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        (manifest, _), (_, content) = members(folder.parent / f"{number}.tar")
        (folder.parent / "copy").write_bytes(content)
        with sqlite3.connect(folder.parent / "copy") as copy:
            count = "SELECT count(*) FROM user"
            lines = "SELECT count(*) FROM audit_event WHERE event = 'user.created'"
            assert copy.execute(count).fetchone() == copy.execute(lines).fetchone()
            rows = copy.execute("SELECT count(*) FROM audit_event").fetchone()[0]
        told = json.loads(members(folder.parent / f"{number}.tar")[0][1])
        assert told["anchor"].startswith(f"{rows}:")
        assert manifest.size < 4096


@pytest.mark.sqlite
def test_a_writer_is_not_held_up_by_the_copying(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, seen = open_installation(folder), []
    digest = archive.sha256_of

    def meanwhile(path: Path) -> str:
        people.person("meanwhile")
        seen.append(User.select().count())
        return digest(path)

    monkeypatch.setattr(archive, "sha256_of", meanwhile)
    making.make(folder.parent / "b.tar", services.vault, CLI)
    assert seen == [1]


@pytest.mark.sqlite
def test_of_a_broken_database_no_backup_is_made(folder: Path) -> None:
    people.person("ada")
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    asked = "SELECT rootpage FROM sqlite_master WHERE name = 'user_living_user_name_key'"
    (root,) = database.execute_sql(asked).fetchone()
    database.close()
    with (folder / "keywright.sqlite3").open("r+b") as file:
        file.seek(4096 * (root - 1))
        file.write(b"\xff" * 64)
    told = run("backup", folder.parent / "b.tar", "--data", folder)
    assert told.exit_code == 1
    assert "The database is broken, and no backup was made" in told.output
    assert names(folder.parent) == {"kw"}


@pytest.mark.sqlite
def test_a_file_that_is_there_is_not_overwritten(folder: Path, file: Path) -> None:
    before = file.read_bytes()
    told = run("backup", file, "--data", folder)
    assert told.exit_code == 1
    assert "exists already, not overwritten" in told.output
    assert file.read_bytes() == before


@pytest.mark.sqlite
def test_a_backup_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "write", full)
    told = run("backup", folder.parent / "b.tar", "--data", folder)
    assert told.exit_code == 1
    assert "No space left on device" in told.output
    assert names(folder.parent) == {"kw"}


@pytest.mark.postgresql
def test_on_postgresql_it_is_left_to_pg_dump(folder: Path) -> None:
    told = run("backup", folder.parent / "b.tar", "--data", folder)
    assert told.exit_code == 1
    assert "pg_dump" in told.output
    assert "keys/" in told.output
    assert names(folder.parent) == {"kw"}
    (folder.parent / "b.tar").write_bytes(b"")
    told = run("restore", folder.parent / "b.tar", "--data", folder)
    assert told.exit_code == 1
    assert "pg_restore" in told.output


@pytest.mark.sqlite
@pytest.mark.parametrize("there", ["", "-wal", "-journal"])
def test_where_a_database_is_nothing_is_restored(file: Path, empty: Path, there: str) -> None:
    place = empty / f"keywright.sqlite3{there}"
    place.write_bytes(b"precious")
    refused(file, empty, ConfigurationError, "is there already, and nothing was restored")
    assert place.read_bytes() == b"precious"
    file.write_bytes(b"")  # said before the file is looked at, which may take a while
    refused(file, empty, ConfigurationError, "is there already, and nothing was restored")


@pytest.mark.sqlite
def test_a_database_that_came_in_the_meantime_is_not_overwritten(
    file: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = empty / "keywright.sqlite3"
    monkeypatch.setattr(restoring, "_look_over", lambda *_: place.write_bytes(b"precious"))
    with pytest.raises(ConfigurationError, match="is there already"):
        put_back(file, empty)
    assert names(empty) == {"keys", "keywright.env", "keywright.sqlite3"}
    assert place.read_bytes() == b"precious"


@pytest.mark.sqlite
def test_a_backup_of_a_newer_version_is_refused(folder: Path, file: Path, empty: Path) -> None:
    vault = open_installation(folder).vault
    with transaction():
        database.execute_sql(
            "INSERT INTO schema_migration (name, applied) VALUES ('0999_later', '2030-01-01')"
        )
    making.make(folder.parent / "newer.tar", vault, CLI)
    database.close()
    refused(folder.parent / "newer.tar", empty, CommandRefused, "of a newer version")


@pytest.mark.sqlite
def test_a_log_that_does_not_reach_its_anchor_is_refused(file: Path, empty: Path) -> None:
    vault = Vault.open(empty / "keys")

    def move(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        manifest = Manifest.open(found[0][1], vault)
        rows, _, mac = manifest.anchor.partition(":")
        manifest = replace(manifest, anchor=f"{int(rows) + 1}:{mac}")
        found[0] = (found[0][0], manifest.sealed(vault))

    refused(rewritten(file, move), empty, CommandRefused, "The audit log in this backup is broken")


@pytest.mark.sqlite
def test_without_the_keys_nothing_is_restored(file: Path, empty: Path) -> None:
    shutil.rmtree(empty / "keys")
    told = run("restore", file, "--data", empty)
    assert told.exit_code == 1
    assert "keys/kek: No such file" in told.output
    assert names(empty) == {"keywright.env"}


@pytest.mark.sqlite
def test_another_installations_keys_are_refused(file: Path, empty: Path) -> None:
    shutil.rmtree(empty / "keys")
    Vault.create(empty / "keys")
    refused(file, empty, CommandRefused, "belongs to another installation")


@pytest.mark.sqlite
def test_a_lost_kek_is_refused(folder: Path, file: Path, empty: Path) -> None:
    vault = Vault.open(empty / "keys")
    vault.keks.add()
    vault.keks.keep_newest()
    refused(file, empty, ConfigurationError, "does not open what this database holds")


@pytest.mark.sqlite
def test_a_backup_of_before_a_rotation_needs_the_old_key_only(
    folder: Path, file: Path, empty: Path
) -> None:
    rotation.begin(open_installation(folder).vault, CLI)
    database.close()
    shutil.copy(folder / "keys" / "kek", empty / "keys" / "kek")
    put_back(file, empty)
    open_installation(empty)
    assert [user.user_name for user in User.select()] == ["ada"]


def cut(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found.pop()


def swap(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found.reverse()


def climb(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found[1][0].name = "../keywright.sqlite3"


def link(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    member = found[1][0]
    member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0


def hard_link(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    member = found[1][0]
    member.type, member.linkname, member.size = tarfile.LNKTYPE, "manifest.json", 0


def node(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found[1][0].type, found[1][0].size = tarfile.CHRTYPE, 0


def longer(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found[1] = (found[1][0], found[1][1] + bytes(4096))


def long_manifest(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found[0] = (found[0][0], found[0][1] + b" " * 70_000)


def no_manifest(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    found[0] = (found[0][0], b"[1]")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "change",
    [cut, swap, climb, link, hard_link, node, longer, long_manifest, no_manifest],
)
def test_a_tar_that_we_did_not_write_is_refused(
    file: Path, empty: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], object]
) -> None:
    refused(rewritten(file, change), empty, CommandRefused, "This is no backup of Keywright")
    assert not (empty.parent / "keywright.sqlite3").exists()


@pytest.mark.sqlite
def test_one_altered_byte_of_the_database_is_found(file: Path, empty: Path) -> None:
    def flip(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        content = bytearray(found[1][1])
        content[len(content) // 2] ^= 1
        found[1] = (found[1][0], bytes(content))

    refused(rewritten(file, flip), empty, CommandRefused, "This backup is damaged")


@pytest.mark.sqlite
@pytest.mark.parametrize("name", ["anchor", "made_at", "sha256", "size", "migrations"])
def test_an_altered_manifest_is_found(file: Path, empty: Path, name: str) -> None:
    def alter(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        told = json.loads(found[0][1])
        told[name] = told[name][:-1] if isinstance(told[name], str | list) else told[name] - 1
        found[0] = (found[0][0], json.dumps(told).encode())

    refused(rewritten(file, alter), empty, CommandRefused, "This backup was altered")


@pytest.mark.sqlite
@pytest.mark.parametrize("left", [0, 100, 600, 30_000])
def test_a_file_that_was_cut_is_refused(file: Path, empty: Path, left: int) -> None:
    file.write_bytes(file.read_bytes()[:left])
    refused(file, empty, CommandRefused, "This is no backup of Keywright|This backup is damaged")


@pytest.mark.sqlite
def test_a_log_that_was_changed_before_the_backup_is_not_restored(folder: Path) -> None:
    people.person("ada")
    vault = open_installation(folder).vault
    with transaction():
        AuditEvent.update(actor_name="nobody").where(AuditEvent.event == "user.created").execute()
    making.make(folder.parent / "backup.tar", vault, CLI)
    database.close()
    empty = folder.parent / "new"
    empty.mkdir()
    shutil.copytree(folder / "keys", empty / "keys")
    shutil.copy(folder / "keywright.env", empty)
    refused(folder.parent / "backup.tar", empty, CommandRefused, "The audit log in this backup is")


@pytest.mark.sqlite
def test_a_broken_database_is_not_restored(
    file: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest fits, as the database was broken before the backup was made."""
    vault = Vault.open(empty / "keys")

    def break_index(found: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        broken = file.with_name("broken")
        broken.write_bytes(found[1][1])
        with sqlite3.connect(broken) as copy:
            swapped = "('user_living_user_name_key', 'group_display_name_key_index')"
            named = f"FROM sqlite_master WHERE type = 'index' AND name IN {swapped}"
            roots = [root for (root,) in copy.execute(f"SELECT rootpage {named} ORDER BY name")]
            assert len(roots) == 2
            copy.execute("PRAGMA writable_schema=ON")
            copy.execute(
                f"UPDATE sqlite_master SET rootpage = ? - rootpage WHERE name IN {swapped}",
                [sum(roots)],
            )
        content = broken.read_bytes()
        manifest = Manifest.open(found[0][1], vault)
        manifest = replace(manifest, size=len(content), sha256=archive.sha256_of(broken))
        found[:] = [(found[0][0], manifest.sealed(vault)), (found[1][0], content)]

    refused(rewritten(file, break_index), empty, CommandRefused, "The database in this backup is")


RESTORING = """
import sys
from pathlib import Path
from provisioning.audit import CLI
from provisioning.backups import restoring
from provisioning.installation import open_keys
def stop(*_):
    print("there", flush=True)
    sys.stdin.readline()
restoring._look_over = stop
restoring.restore(Path(sys.argv[1]), open_keys(Path(sys.argv[2])), CLI)
"""


@pytest.mark.sqlite
def test_who_is_killed_while_restoring_leaves_no_database_and_can_do_it_again(
    file: Path, empty: Path
) -> None:
    command, pipe = [sys.executable, "-c", RESTORING, str(file), str(empty)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
    assert not any(name.startswith("keywright.sqlite3-") for name in names(empty))
    assert "keywright.sqlite3" not in names(empty)
    put_back(file, empty)
    assert stat.S_IMODE((empty / "keywright.sqlite3").stat().st_mode) == 0o600
    assert names(empty) == {"keys", "keywright.env", "keywright.sqlite3"}
    open_installation(empty)
    assert [user.user_name for user in User.select()] == ["ada"]


@pytest.mark.sqlite
def test_who_is_killed_while_backing_up_is_in_nobodys_way(folder: Path) -> None:
    vault = open_installation(folder).vault
    (folder.parent / "b.tar.part").write_bytes(b"half")
    (folder.parent / "b.tar.scratch").mkdir()
    (folder.parent / "b.tar.scratch" / "copy-journal").write_bytes(b"old")
    making.make(folder.parent / "b.tar", vault, CLI)
    assert names(folder.parent) == {"kw", "b.tar"}


@pytest.mark.sqlite
def test_the_file_is_on_the_disk_before_it_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, done = open_installation(folder).vault, []
    sync, rename = os.fsync, Path.rename
    monkeypatch.setattr(
        os, "fsync", lambda fd: (done.append(stat.S_ISDIR(os.fstat(fd).st_mode)), sync(fd))
    )
    monkeypatch.setattr(Path, "rename", lambda a, b: (done.append(b.name), rename(a, b)))
    making.make(folder.parent / "b.tar", vault, CLI)
    assert done == [False, "b.tar", True]
