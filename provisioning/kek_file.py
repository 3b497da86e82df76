# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The file `kek`: one base64 line for each key-encryption key, newest last, followed as it changes.

The file is only ever replaced as a whole, so whoever has opened it sees that it is another one by
a look at its inode and time, and reads it anew. That look costs two microseconds, so there is one
before each sealing and at each key that is not known: a running process never seals under a key
that was not the newest at that moment, and never misses one that another process has used.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import ConfigurationError
from .key_files import new_key_line, parse_key_lines, read_private, replace_private

ID_BYTES = 4

Keys = Mapping[bytes, AESGCM]  # by id, newest last


class KekFile:
    """The keys of one file `kek`; they are held in memory only, and never shown."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises ConfigurationError."""
        self._path = path
        # Of one piece, so that no thread finds the keys of one file beside the stamp of another.
        self._seen = self._read()

    def newest(self) -> tuple[bytes, AESGCM]:
        """Return the key to seal under, of now, with its id."""
        keys = self._look()
        key_id = next(reversed(list(keys)))
        return key_id, keys[key_id]

    def find(self, key_id: bytes) -> AESGCM | None:
        """Return the key with this id, if need be after another look at the file."""
        return self._seen[1].get(key_id) or self._look().get(key_id)

    def ids(self) -> list[bytes]:
        """Return the ids of now, newest last."""
        return list(self._look())

    def age(self, now: float) -> float:
        """Return how many seconds ago the file was changed, by its own time."""
        return now - self._path.stat().st_mtime

    def add(self) -> bytes:
        """Put a new key behind the others and return its id. Raises ConfigurationError."""
        line = new_key_line()
        replace_private(self._path, b"".join([*self._lines(), line]))
        self._seen = self._read()
        return key_id_of(base64.b64decode(line))

    def keep_newest(self) -> None:
        """Take out all keys but the newest. Raises ConfigurationError."""
        replace_private(self._path, self._lines()[-1])
        self._seen = self._read()

    def _look(self) -> Keys:
        # A file that cannot be read right now, because somebody copies another one there by hand,
        # stops nobody who has read it before; the next start tells.
        with suppress(ConfigurationError, OSError):
            if _stamp(self._path) != self._seen[0]:
                self._seen = self._read()
        return self._seen[1]

    def _read(self) -> tuple[object, Keys]:
        try:
            stamp = _stamp(self._path)  # before the content: a change in between is seen next time
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror}") from None
        try:
            keks = parse_key_lines(read_private(self._path), several=True)
        except ValueError as fault:
            raise ConfigurationError(f"{self._path}: {fault}") from None
        return stamp, {key_id_of(kek): AESGCM(kek) for kek in keks}

    def _lines(self) -> list[bytes]:
        content = read_private(self._path)
        return [line + b"\n" for line in content.split()]


def key_id_of(kek: bytes) -> bytes:
    """Derive the public id from the key, so that no list of ids can go out of step."""
    return hmac.digest(kek, b"keywright key id", "sha256")[:ID_BYTES]


def _stamp(path: Path) -> object:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
