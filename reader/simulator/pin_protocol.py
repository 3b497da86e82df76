# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The authenticator's side of PIN/UV auth protocols one and two (CTAP 2.1 §6.5.6, §6.5.7).

Written apart from the client's classes in python-fido2, so that the two check each other.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fido2.ctap import CtapError

from reader.simulator.parameters import ERR, Parameters

AES_BLOCK = 16
COSE_EC2, COSE_P256, COSE_ECDH_ES_HKDF_256 = 2, 1, -25


@dataclass(frozen=True)
class SharedSecret:
    """What both sides know after one key agreement. Protocol two keeps two keys apart."""

    protocol: int
    hmac_key: bytes
    aes_key: bytes

    @classmethod
    def derive(cls, protocol: int, z: bytes) -> SharedSecret:
        if protocol == 1:
            key = sha256(z).digest()
            return cls(protocol, key, key)
        return cls(protocol, _hkdf(z, b"CTAP2 HMAC key"), _hkdf(z, b"CTAP2 AES key"))

    def encrypt(self, plaintext: bytes) -> bytes:
        iv = bytes(AES_BLOCK) if self.protocol == 1 else secrets.token_bytes(AES_BLOCK)
        encryptor = Cipher(algorithms.AES256(self.aes_key), modes.CBC(iv)).encryptor()
        ciphertext = encryptor.update(plaintext) + encryptor.finalize()
        return ciphertext if self.protocol == 1 else iv + ciphertext

    def decrypt(self, ciphertext: bytes) -> bytes:
        """:raises CtapError: INVALID_PARAMETER if it is not whole AES blocks."""
        iv = bytes(AES_BLOCK)
        if self.protocol == 2:
            iv, ciphertext = ciphertext[:AES_BLOCK], ciphertext[AES_BLOCK:]
        if not ciphertext or len(ciphertext) % AES_BLOCK or len(iv) != AES_BLOCK:
            raise CtapError(ERR.INVALID_PARAMETER)
        decryptor = Cipher(algorithms.AES256(self.aes_key), modes.CBC(iv)).decryptor()
        return decryptor.update(ciphertext) + decryptor.finalize()

    def verify(self, message: bytes, signature: bytes) -> bool:
        return verify(self.protocol, self.hmac_key, message, signature)


def verify(protocol: int, key: bytes, message: bytes, signature: bytes) -> bool:
    """Check a MAC; protocol one sends the left 16 bytes only."""
    expected = hmac.digest(key, message, "sha256")
    return hmac.compare_digest(expected[:16] if protocol == 1 else expected, signature)


class KeyAgreement:
    """The card's key pair for one protocol, fresh after each power-up and each wrong PIN."""

    def __init__(self, protocol: int) -> None:
        self.protocol = protocol
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> dict[int, int | bytes]:
        numbers = self._key.public_key().public_numbers()
        return {
            1: COSE_EC2,
            3: COSE_ECDH_ES_HKDF_256,
            -1: COSE_P256,
            -2: numbers.x.to_bytes(32, "big"),
            -3: numbers.y.to_bytes(32, "big"),
        }

    def decapsulate(self, peer: Parameters) -> SharedSecret:
        """:raises CtapError: INVALID_PARAMETER for a key that is not a point on P-256."""
        if peer.optional(1, int) != COSE_EC2 or peer.optional(-1, int) != COSE_P256:
            raise CtapError(ERR.INVALID_PARAMETER)
        x, y = peer.required(-2, bytes), peer.required(-3, bytes)
        if len(x) != 32 or len(y) != 32:
            raise CtapError(ERR.INVALID_PARAMETER)
        try:
            point = ec.EllipticCurvePublicNumbers(
                int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
            ).public_key()
        except ValueError:
            raise CtapError(ERR.INVALID_PARAMETER) from None
        return SharedSecret.derive(self.protocol, self._key.exchange(ec.ECDH(), point))


def _hkdf(z: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=bytes(32), info=info).derive(z)
