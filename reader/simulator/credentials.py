# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""What the card keeps when the power is off: its PIN, its settings and its credentials."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from fido2.cose import CoseKey
from fido2.ctap import CtapError

from reader.simulator.parameters import ERR
from reader.simulator.profile import EDDSA, Profile

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

CRED_PROTECT_UV_OPTIONAL = 1
CRED_PROTECT_UV_OPTIONAL_WITH_LIST = 2
CRED_PROTECT_UV_REQUIRED = 3


@dataclass
class Credential:
    """A key pair for one relying party. ``private_key`` is PKCS #8 in DER."""

    credential_id: bytes
    rp_id: str
    user_id: bytes
    private_key: bytes = field(repr=False)
    algorithm: int
    discoverable: bool
    user_name: str | None = None
    user_display_name: str | None = None
    cred_protect: int = CRED_PROTECT_UV_OPTIONAL
    hmac_secret_uv: bytes = field(default=b"", repr=False)
    """CredRandomWithUV of hmac-secret; empty if the credential was made without it."""
    hmac_secret_no_uv: bytes = field(default=b"", repr=False)

    @property
    def rp_id_hash(self) -> bytes:
        return sha256(self.rp_id.encode()).digest()

    @property
    def public_key(self) -> CoseKey:
        key = _load(self.private_key).public_key()
        return CoseKey.for_alg(self.algorithm).from_cryptography_key(key)

    @property
    def descriptor(self) -> dict[str, object]:
        return {"id": self.credential_id, "type": "public-key"}

    def user(self, *, with_names: bool) -> dict[str, object]:
        entity: dict[str, object] = {"id": self.user_id}
        if with_names and self.user_name is not None:
            entity["name"] = self.user_name
        if with_names and self.user_display_name is not None:
            entity["displayName"] = self.user_display_name
        return entity

    def sign(self, message: bytes) -> bytes:
        key = _load(self.private_key)
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(message)
        return key.sign(message, ec.ECDSA(hashes.SHA256()))


def hash_pin(pin: bytes) -> bytes:
    """LEFT(SHA-256(PIN), 16), the form in which CTAP sends and keeps a PIN."""
    return sha256(pin).digest()[:16]


def new_private_key(algorithm: int) -> bytes:
    """A fresh PKCS #8 key for ES256 (-7) or EdDSA (-8)."""
    key: PrivateKey
    if algorithm == EDDSA:
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _load(pkcs8: bytes) -> PrivateKey:
    key = load_der_private_key(pkcs8, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("A credential key is either P-256 or Ed25519.")
    return key


@dataclass
class Memory:
    """The card's non-volatile memory. Credentials stand oldest first."""

    min_pin_length: int
    pin_retries: int
    always_uv: bool
    sign_count: int
    pin_hash: bytes | None = field(default=None, repr=False)
    """All that CTAP lets a card keep of its PIN."""
    pin_length: int = 0
    force_pin_change: bool = False
    min_pin_rp_ids: list[str] = field(default_factory=list)
    credentials: list[Credential] = field(default_factory=list)

    @classmethod
    def factory(cls, profile: Profile) -> Memory:
        """The state after a reset: no PIN, no credentials, the model's own settings."""
        return cls(
            min_pin_length=profile.min_pin_length,
            pin_retries=profile.max_pin_retries,
            always_uv=profile.always_uv,
            sign_count=profile.sign_count_start,
        )

    def store_pin(self, pin: bytes, retries: int) -> None:
        self.pin_hash = hash_pin(pin)
        self.pin_length = len(pin.decode(errors="replace"))
        self.pin_retries = retries
        self.force_pin_change = False

    @property
    def discoverable(self) -> list[Credential]:
        return [credential for credential in self.credentials if credential.discoverable]

    def find(self, credential_id: bytes) -> Credential | None:
        for credential in self.credentials:
            if secrets.compare_digest(credential.credential_id, credential_id):
                return credential
        return None

    def room(self, profile: Profile) -> int:
        return max(0, profile.resident_credentials - len(self.discoverable))

    def add(self, credential: Credential, room: int) -> None:
        """Keep a new credential; a discoverable one replaces that of the same RP and user.

        :raises CtapError: KEY_STORE_FULL.
        """
        if credential.discoverable:
            replaced = [
                old
                for old in self.discoverable
                if (old.rp_id, old.user_id) == (credential.rp_id, credential.user_id)
            ]
            if not replaced and room <= 0:
                raise CtapError(ERR.KEY_STORE_FULL)
            for old in replaced:
                self.credentials.remove(old)
        self.credentials.append(credential)

    def count_signature(self, step: int) -> int:
        """One counter for the whole card, as WebAuthn §6.1.1 allows; 0 stays 0 with step 0."""
        self.sign_count = (self.sign_count + step) % 2**32
        return self.sign_count
