# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The keys that never enter the database: sealing, hashing, signing.

Four files in one folder, mode 0600: `kek` (the key-encryption keys, one a line; see `kek_file`),
`audit.key`, `secret.key` (base64) and `ticket.key` (Ed25519, PKCS #8 PEM). A stolen database or
backup holds only what these files open (security threat T24).

A sealed value is: key id (4 bytes) ‖ nonce (12 bytes) ‖ AES-256-GCM ciphertext and tag.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import ConfigurationError, KeywrightError
from .kek_file import ID_BYTES, KekFile
from .key_files import (
    KEY_BYTES,
    new_key_line,
    parse_key_lines,
    read_private,
    sync_folder,
    write_new,
)

_NONCE_BYTES = 12
_FILES = ("kek", "audit.key", "ticket.key", "secret.key")


class SealBroken(KeywrightError):
    """A sealed value does not open: altered, bound to something else, or under a lost key."""


class Vault:
    """Seals small secrets and lends the server's other keys. Holds them in memory only."""

    def __init__(
        self,
        keks: KekFile,
        *,
        audit_key: bytes,
        signing_key: Ed25519PrivateKey,
        flask_secret: bytes,
    ) -> None:
        self.keks = keks
        self.audit_key = audit_key
        self.signing_key = signing_key
        self.flask_secret = flask_secret
        # From the audit key and not from a KEK: look-ups by hash must outlive a rotation.
        self._hash_key = HKDF(
            hashes.SHA256(), KEY_BYTES, salt=None, info=b"keywright keyed hash"
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
            content = ticket_key if name == "ticket.key" else new_key_line()
            write_new(folder / name, content)
        sync_folder(folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the key files.

        Raises ConfigurationError that names every file that is missing, malformed, or readable
        by anyone but its owner (R3).
        """
        faults: list[str] = []
        content: dict[str, bytes] = {}
        keks: KekFile | None = None
        for name in _FILES:
            try:
                if name == "kek":
                    keks = KekFile(folder / name)
                    continue
                content[name] = read_private(folder / name)
            except ConfigurationError as fault:
                faults.append(str(fault))
        keys: dict[str, bytes] = {}
        signing_key: Ed25519PrivateKey | None = None
        for name, text in content.items():
            try:
                if name == "ticket.key":
                    signing_key = _parse_signing_key(text)
                else:
                    (keys[name],) = parse_key_lines(text, several=False)
            except ValueError as fault:
                faults.append(f"{folder / name}: {fault}")
        if faults or signing_key is None or keks is None:
            raise ConfigurationError("; ".join(faults))
        return cls(
            keks,
            audit_key=keys["audit.key"],
            signing_key=signing_key,
            flask_secret=keys["secret.key"],
        )

    def seal(self, plaintext: bytes, bound_to: str) -> bytes:
        """Encrypt under the newest KEK of now; only `unseal` with the same `bound_to` opens it."""
        key_id, kek = self.keks.newest()
        nonce = os.urandom(_NONCE_BYTES)
        return key_id + nonce + kek.encrypt(nonce, plaintext, bound_to.encode())

    def unseal(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypt with whichever KEK sealed it. Raises SealBroken."""
        key_id, rest = bytes(sealed[:ID_BYTES]), bytes(sealed[ID_BYTES:])
        kek = self.keks.find(key_id)
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


def _parse_signing_key(text: bytes) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError):  # TypeError: the PEM is encrypted
        raise ValueError("not an unencrypted PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key
