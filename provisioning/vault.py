# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The keys that never enter the database: sealing, hashing, signing.

Four files in one folder, mode 0600: `kek` (one base64 line per key-encryption key, newest last),
`audit.key`, `secret.key` (base64) and `ticket.key` (Ed25519, PKCS #8 PEM). A stolen database or
backup holds only what these files open (security threat T24).

A sealed value is: key id (4 bytes) ‖ nonce (12 bytes) ‖ AES-256-GCM ciphertext and tag.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import ConfigurationError, KeywrightError

_KEY_BYTES = 32
_ID_BYTES = 4
_NONCE_BYTES = 12
_FILES = ("kek", "audit.key", "ticket.key", "secret.key")


class SealBroken(KeywrightError):
    """A sealed value does not open: altered, bound to something else, or under a lost key."""


class Vault:
    """Seals small secrets and lends the server's other keys. Holds them in memory only."""

    def __init__(
        self,
        keks: list[bytes],
        *,
        audit_key: bytes,
        signing_key: Ed25519PrivateKey,
        flask_secret: bytes,
    ) -> None:
        self._keks: Mapping[bytes, AESGCM] = {_key_id(kek): AESGCM(kek) for kek in keks}
        self._newest = _key_id(keks[-1])
        self.audit_key = audit_key
        self.signing_key = signing_key
        self.flask_secret = flask_secret
        # From the audit key and not from a KEK: look-ups by hash must outlive a rotation.
        self._hash_key = HKDF(
            hashes.SHA256(), _KEY_BYTES, salt=None, info=b"keywright keyed hash"
        ).derive(audit_key)

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make all four key files and open them.

        Raises ConfigurationError, and leaves every file as it was, if one exists already: a new
        KEK over an old one would make every sealed value unreadable.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        there = [str(folder / name) for name in _FILES if (folder / name).exists()]
        if there:
            raise ConfigurationError(f"{', '.join(there)}: exists already, not overwritten")
        ticket_key = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        for name in _FILES:
            content = ticket_key if name == "ticket.key" else _new_key_line()
            _write_new(folder / name, content)
        _sync_folder(folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the key files.

        Raises ConfigurationError that names every file that is missing, malformed, or readable
        by anyone but its owner (R3).
        """
        faults: list[str] = []
        content: dict[str, bytes] = {}
        for name in _FILES:
            try:
                content[name] = _read_private(folder / name)
            except ConfigurationError as fault:
                faults.append(str(fault))
        keys: dict[str, list[bytes]] = {}
        signing_key: Ed25519PrivateKey | None = None
        for name, text in content.items():
            try:
                if name == "ticket.key":
                    signing_key = _parse_signing_key(text)
                else:
                    keys[name] = _parse_key_lines(text, several=name == "kek")
            except ValueError as fault:
                faults.append(f"{folder / name}: {fault}")
        if faults or signing_key is None:
            raise ConfigurationError("; ".join(faults))
        return cls(
            keys["kek"],
            audit_key=keys["audit.key"][0],
            signing_key=signing_key,
            flask_secret=keys["secret.key"][0],
        )

    def seal(self, plaintext: bytes, bound_to: str) -> bytes:
        """Encrypt under the newest KEK; only `unseal` with the same `bound_to` opens it."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keks[self._newest].encrypt(nonce, plaintext, bound_to.encode())
        return self._newest + nonce + sealed

    def unseal(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypt with whichever KEK sealed it. Raises SealBroken."""
        key_id, rest = bytes(sealed[:_ID_BYTES]), bytes(sealed[_ID_BYTES:])
        kek = self._keks.get(key_id)
        if kek is None:
            raise SealBroken(f"Sealed under key {key_id.hex() or '(none)'}, which is not here")
        nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return kek.decrypt(nonce, ciphertext, bound_to.encode())
        except (InvalidTag, ValueError):  # ValueError: cut so short that the nonce is missing
            raise SealBroken("The sealed value was altered or belongs elsewhere") from None

    def keyed_hash(self, purpose: str, value: bytes) -> bytes:
        """HMAC-SHA-256 (32 bytes), apart for each purpose, to find a value without storing it."""
        message = hashlib.sha256(purpose.encode()).digest() + value
        return hmac.digest(self._hash_key, message, "sha256")


def _key_id(kek: bytes) -> bytes:
    """Derive the public id from the key, so that no list of ids can go out of step."""
    return hmac.digest(kek, b"keywright key id", "sha256")[:_ID_BYTES]


def _new_key_line() -> bytes:
    return base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n"


def _parse_key_lines(text: bytes, *, several: bool) -> list[bytes]:
    lines = text.split()
    if not lines or (len(lines) > 1 and not several):
        raise ValueError("one line of base64 expected")
    keys = []
    for line in lines:
        try:
            key = base64.b64decode(line, validate=True)
        except binascii.Error:
            raise ValueError("not base64") from None
        if len(key) != _KEY_BYTES:
            raise ValueError(f"{_KEY_BYTES} bytes expected in a line")
        keys.append(key)
    return keys


def _parse_signing_key(text: bytes) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError):  # TypeError: the PEM is encrypted
        raise ValueError("not an unencrypted PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key


def _read_private(path: Path) -> bytes:
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


def _write_new(path: Path, content: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, 0o600)
        file.write(content)
        file.flush()
        os.fsync(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
