# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The file of a backup: a tar of two members, the manifest and the database, and nothing else.

Nothing is ever unpacked by the name that it has in there: the first member is read into memory,
the second one to where we say.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import CommandRefused, ConfigurationError
from ..key_files import sync_folder
from ..vault import Vault
from .manifest import Manifest

_MANIFEST, _DATABASE = "manifest.json", "keywright.sqlite3"
_LONGEST_MANIFEST = 64 * 1024
_CHUNK = 1024 * 1024


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file for its owner alone, under another name until it is whole and on the disk.

    Of a block that fails nothing is left. Raises ConfigurationError where a file is already.
    """
    if path.exists():
        raise ConfigurationError(f"{path}: exists already, not overwritten")
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)  # left behind by one that was killed
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(fd)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Lend a folder beside a file, for its owner alone, that is gone afterwards."""
    folder = path.with_name(path.name + ".scratch")
    shutil.rmtree(folder, ignore_errors=True)  # left behind by one that was killed
    folder.mkdir(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write(file: IO[bytes], manifest: Manifest, database: Path, vault: Vault) -> None:
    """Write both members."""
    text = manifest.sealed(vault)
    with tarfile.open(fileobj=file, mode="w") as tar, database.open("rb") as content:
        head = _member(_MANIFEST, len(text), manifest)
        tar.addfile(head, io.BytesIO(text))
        tar.addfile(_member(_DATABASE, manifest.size, manifest), content)


def read(file: IO[bytes], into: IO[bytes], vault: Vault) -> Manifest:
    """Copy the database, and return the manifest.

    Raises CommandRefused unless it is, to the byte, what was written with these keys.
    """
    try:
        # Without compression, whatever the file says: nothing in here is longer than the file is.
        with tarfile.open(fileobj=file, mode="r:") as tar:
            manifest = Manifest.open(
                _content(tar, _MANIFEST, _LONGEST_MANIFEST).read(_LONGEST_MANIFEST), vault
            )
            digest, left = hashlib.sha256(), manifest.size
            content = _content(tar, _DATABASE, manifest.size)
            while chunk := content.read(min(_CHUNK, left)):
                left -= len(chunk)
                digest.update(chunk)
                into.write(chunk)
    except (tarfile.TarError, EOFError):
        raise CommandRefused("This is no backup of Keywright, or not a whole one.") from None
    if left or digest.hexdigest() != manifest.sha256:
        raise CommandRefused("This backup is damaged: the database in it is not the one that was.")
    into.flush()
    return manifest


def sync(path: Path) -> None:
    """Bring a file that others have written to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """Return the digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(name: str, size: int, manifest: Manifest) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, manifest.made_at // 1000
    return member


def _content(tar: tarfile.TarFile, name: str, longest: int) -> IO[bytes]:
    """Return what the next member holds, if it is the one that has to be there."""
    member = tar.next()
    # REGTYPE alone: no link, no device, and no sparse file, which would be longer than it looks.
    if member is None or member.name != name or member.type != tarfile.REGTYPE:
        raise CommandRefused("This is no backup of Keywright.")
    if member.size > longest:
        raise CommandRefused("This is no backup of Keywright: a part of it is too long.")
    content = tar.extractfile(member)
    if content is None:
        raise CommandRefused("This is no backup of Keywright.")
    return content
