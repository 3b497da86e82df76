# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Files that hold keys: mode 0600, else not read; whole and on the disk before they count."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from contextlib import suppress
from pathlib import Path

from .errors import ConfigurationError

KEY_BYTES = 32


def new_key_line() -> bytes:
    """Return a new random key as a line of base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)) + b"\n"


def parse_key_lines(text: bytes, *, several: bool) -> list[bytes]:
    """Return the keys of a file's lines of base64. Raises ValueError, whose text shows none."""
    lines = text.split()
    if not lines or (len(lines) > 1 and not several):
        raise ValueError("one line of base64 expected")
    keys = []
    for line in lines:
        try:
            key = base64.b64decode(line, validate=True)
        except binascii.Error:
            raise ValueError("not base64") from None
        if len(key) != KEY_BYTES:
            raise ValueError(f"{KEY_BYTES} bytes expected in a line")
        keys.append(key)
    return keys


def read_private(path: Path) -> bytes:
    """Return what a file holds. Raises ConfigurationError if others may read it as well (R3)."""
    try:
        with path.open("rb") as file:
            # Of the open file, so that nothing can be put in its place in between.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigurationError(
                    f"{path}: mode is {mode:04o}, others can read it; make it 0600"
                )
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None


def write_new(path: Path, content: bytes, *, owner: tuple[int, int] | None = None) -> None:
    """Write a file that is not there yet, for its owner alone. Raises ConfigurationError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            if owner is not None:
                os.fchown(fd, *owner)
            file.write(content)
            file.flush()
            os.fsync(fd)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None


def replace_private(path: Path, content: bytes) -> None:
    """Put a file in the place of another one, whole or not at all, and for the same owner.

    The owner, since root at a shell would else take it away from the account that serves. Raises
    ConfigurationError.
    """
    path = path.resolve()  # the file, where its name is a link
    new = path.with_name(path.name + ".new")
    try:
        there = path.stat()
        with suppress(FileNotFoundError):  # left behind by one that was killed
            new.unlink()
        mine = (os.geteuid(), os.getegid())
        owner = (there.st_uid, there.st_gid)
        write_new(new, content, owner=None if owner == mine else owner)
        new.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
