# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The file `kek` changes while processes have it open; the vault on top is what they see of it."""

from __future__ import annotations

import base64
import os
import stat
import time
from pathlib import Path

import pytest

from provisioning import kek_file, key_files
from provisioning.errors import ConfigurationError
from provisioning.kek_file import KekFile
from provisioning.vault import SealBroken, Vault

pytestmark = pytest.mark.req("R31")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Vault.create(tmp_path / "keys")
    return tmp_path / "keys"


def lines(folder: Path) -> list[bytes]:
    return (folder / "kek").read_bytes().splitlines()


def test_a_new_key_stands_behind_the_others_in_a_file_of_mode_0600(folder: Path) -> None:
    (before,) = lines(folder)
    umask = os.umask(0)
    try:
        KekFile(folder / "kek").add()
    finally:
        os.umask(umask)
    kept, new = lines(folder)
    assert kept == before
    assert new != before
    assert len(base64.b64decode(new)) == 32
    assert stat.S_IMODE((folder / "kek").stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == [
        "audit.key", "kek", "secret.key", "ticket.key",
    ]  # fmt: skip


def test_a_process_that_is_running_seals_under_the_newest_key_and_opens_both(folder: Path) -> None:
    running, shell = Vault.open(folder), Vault.open(folder)
    before = running.seal(b"before", "here")
    new = shell.keks.add()
    theirs = shell.seal(b"theirs", "here")
    assert running.unseal(theirs, "here") == b"theirs"
    assert running.unseal(before, "here") == b"before"
    assert running.seal(b"after", "here")[:4] == new


def test_sealing_alone_is_enough_to_notice_the_new_key(folder: Path) -> None:
    running = Vault.open(folder)
    new = KekFile(folder / "kek").add()
    assert running.seal(b"after", "here")[:4] == new


def test_after_the_old_key_is_gone_only_the_newest_is_left(folder: Path) -> None:
    vault = Vault.open(folder)
    old = vault.seal(b"old", "here")
    new = vault.keks.add()
    vault.keks.keep_newest()
    assert vault.keks.ids() == [new]
    assert len(lines(folder)) == 1
    for each in (vault, Vault.open(folder)):
        with pytest.raises(SealBroken, match=old[:4].hex()):
            each.unseal(old, "here")


def test_values_under_keys_that_nobody_has_do_not_make_it_read_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, read = Vault.open(folder), []
    monkeypatch.setattr(kek_file, "read_private", lambda path: read.append(path) or b"")
    for number in range(100):
        with pytest.raises(SealBroken):
            vault.unseal(number.to_bytes(4, "big") + bytes(40), "here")
    vault.seal(b"x", "here")
    assert read == []


@pytest.mark.parametrize("fault", ["gone", "malformed", "open to others"])
def test_a_file_that_cannot_be_read_right_now_stops_nobody_who_has_read_it(
    folder: Path, fault: str
) -> None:
    vault, path = Vault.open(folder), folder / "kek"
    sealed, whole = vault.seal(b"old", "here"), path.read_bytes()
    if fault == "gone":
        path.unlink()
    elif fault == "malformed":
        path.write_bytes(whole[:20])
    else:
        path.write_bytes(whole + whole)
        path.chmod(0o644)
    assert vault.unseal(vault.seal(b"new", "here"), "here") == b"new"
    assert vault.unseal(sealed, "here") == b"old"
    path.unlink(missing_ok=True)
    key_files.write_new(path, whole)
    new = KekFile(path).add()
    assert vault.seal(b"new", "here")[:4] == new


@pytest.mark.parametrize("place", [(os, "fsync"), (Path, "replace")], ids=["content", "name"])
def test_who_is_killed_while_the_file_is_written_leaves_the_old_one(
    folder: Path, place: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    before = lines(folder)
    with monkeypatch.context() as patched:
        patched.setattr(*place, killed)
        with pytest.raises(Killed):
            KekFile(folder / "kek").add()
    assert lines(folder) == before
    KekFile(folder / "kek").add()
    assert lines(folder)[0] == before[0]
    assert len(lines(folder)) == 2


def test_the_key_is_on_the_disk_before_its_name_and_both_before_it_is_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: (done.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"),
                    sync(fd)),
    )  # fmt: skip
    monkeypatch.setattr(Path, "replace", lambda a, b: (done.append("name"), replace(a, b)))
    KekFile(folder / "kek").add()
    assert done == ["file", "name", "folder"]


def test_a_file_behind_a_link_is_changed_where_it_lies(folder: Path, tmp_path: Path) -> None:
    (folder / "kek").rename(tmp_path / "elsewhere")
    (folder / "kek").symlink_to(tmp_path / "elsewhere")
    KekFile(folder / "kek").add()
    assert (folder / "kek").is_symlink()
    assert len((tmp_path / "elsewhere").read_bytes().splitlines()) == 2


def test_what_root_writes_is_given_to_the_account_that_serves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, given = (folder / "kek").stat(), []
    monkeypatch.setattr(os, "geteuid", lambda: there.st_uid + 1)
    monkeypatch.setattr(os, "fchown", lambda _fd, *owner: given.append(owner))
    KekFile(folder / "kek").add()
    assert given == [(there.st_uid, there.st_gid)]


def test_a_folder_that_cannot_be_written_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ConfigurationError, match=r"kek: Permission denied"):
        KekFile(folder / "kek").add()


def test_its_age_is_the_time_since_it_was_changed(folder: Path) -> None:
    now = time.time()
    os.utime(folder / "kek", (now - 90, now - 90))
    assert KekFile(folder / "kek").age(now) == pytest.approx(90, abs=0.01)
