# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""An authenticator, its browser and its maker in memory: answers good, and forged in every way.

It shares nothing with the product's software card, so that one mistake cannot hide in both.
`create` and `get` take the options JSON that the product makes and give the response JSON that a
browser would send; what a forger would change is an argument.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier
from fido2 import cbor
from fido2.cose import CoseKey

UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
AAGUID = "11223344-5566-4788-99aa-bbccddeeff00"
AAGUID_EXTENSION = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
NOW = dt.datetime.now(dt.UTC)
YEAR = dt.timedelta(days=365)

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def b64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unb64url(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def raw_aaguid(aaguid: str) -> bytes:
    return bytes.fromhex(aaguid.replace("-", ""))


def sign(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(message)


def new_key(algorithm: int = -7) -> PrivateKey:
    if algorithm == -8:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == -257:
        return rsa.generate_private_key(65_537, 2_048)
    curve = {-35: ec.SECP384R1(), -36: ec.SECP521R1()}.get(algorithm, ec.SECP256R1())
    return ec.generate_private_key(curve)


def subject(common_name: str, unit: str | None = "Authenticator Attestation") -> x509.Name:
    parts = [
        (NameOID.COUNTRY_NAME, "SE"),
        (NameOID.ORGANIZATION_NAME, "Test Maker"),
        (NameOID.COMMON_NAME, common_name),
    ]
    if unit is not None:
        parts.insert(2, (NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


@dataclass(frozen=True)
class Issuer:
    """A CA: its certificate and key, and the intermediates up to (not including) the root."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What a batch of one model carries: the attestation key and its chain, leaf first."""

    key: PrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def x5c(self) -> list[bytes]:
        return [c.public_bytes(Encoding.DER) for c in self.chain]


class Maker:
    """A maker of authenticators with a root of its own."""

    def __init__(self, name: str = "Test Maker root", **certificate: Any) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        root = certify(
            subject(name, unit=None), key, issuer=None, ca=True, aaguid=None, **certificate
        )
        self.issuer = Issuer(root, key)

    @property
    def root(self) -> x509.Certificate:
        return self.issuer.certificate

    def intermediate(self, issuer: Issuer | None = None, **certificate: Any) -> Issuer:
        issuer = issuer or self.issuer
        key = ec.generate_private_key(ec.SECP256R1())
        given = {"ca": True, "aaguid": None, **certificate}
        name = subject(f"Test Maker line {len(issuer.above) + 1} {os.urandom(4).hex()}", unit=None)
        made = certify(name, key, issuer=issuer, **given)
        above = (
            issuer.above
            if issuer.certificate == self.root
            else (
                issuer.certificate,
                *issuer.above,
            )
        )
        return Issuer(made, key, above)

    def batch(
        self,
        aaguid: str | None = AAGUID,
        *,
        issuer: Issuer | None = None,
        key: PrivateKey | None = None,
        name: x509.Name | None = None,
        **certificate: Any,
    ) -> Batch:
        """Make a batch; `aaguid` None leaves the extension out."""
        issuer = issuer or self.issuer
        key = key or ec.generate_private_key(ec.SECP256R1())
        leaf = certify(
            name or subject("Test Maker batch"), key, issuer=issuer, aaguid=aaguid, **certificate
        )
        above = () if issuer.certificate == self.root else (issuer.certificate, *issuer.above)
        return Batch(key, (leaf, *above))


def certify(
    name: x509.Name,
    key: PrivateKey,
    *,
    issuer: Issuer | None,
    aaguid: str | None,
    ca: bool | None = False,
    path_length: int | None = None,
    key_cert_sign: bool | None = None,
    extension: bytes | None = None,
    critical_extension: bool = False,
    valid_from: dt.datetime = NOW - YEAR,
    valid_to: dt.datetime = NOW + YEAR,
    dns_name: str | None = None,
) -> x509.Certificate:
    """Sign a certificate; `ca` None leaves Basic Constraints out."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_to)
    )
    if ca is not None:
        constraints = x509.BasicConstraints(ca=ca, path_length=path_length if ca else None)
        builder = builder.add_extension(constraints, critical=True)
    if key_cert_sign is not None:
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, key_cert_sign=key_cert_sign,
            crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(usage, critical=True)
    if aaguid is not None and extension is None:
        extension = b"\x04\x10" + raw_aaguid(aaguid)
    if extension is not None:
        unknown = x509.UnrecognizedExtension(AAGUID_EXTENSION, extension)
        builder = builder.add_extension(unknown, critical=critical_extension)
    if dns_name is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(dns_name)])
        builder = builder.add_extension(names, critical=False)
    signer: Any = issuer.key if issuer else key
    return builder.sign(signer, hashes.SHA256())


@dataclass
class Authenticator:
    """One authenticator with one credential, and the browser around it."""

    origin: str
    rp_id: str
    batch: Batch | None = None
    aaguid: str = AAGUID
    algorithm: int = -7
    count: int = 0
    step: int = 1
    key: PrivateKey = field(init=False)
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    user_handle: bytes | None = None

    def __post_init__(self) -> None:
        self.key = new_key(self.algorithm)

    def cose_key(self) -> dict[int, Any]:
        made = CoseKey.for_alg(self.algorithm).from_cryptography_key(self.key.public_key())
        return dict(made)

    def create(
        self,
        options: str,
        *,
        fmt: str | None = None,
        statement: Mapping[str, Any] | None = None,
        flags: int = UP | UV,
        rp_id: str | None = None,
        client: Mapping[str, Any] | None = None,
        public_key: Mapping[int, Any] | None = None,
        attested: bool = True,
        tail: bytes = b"",
        transports: Any = ("nfc",),
        signed: bytes | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """Answer `create()`. `changes` go over the JSON's top level; `client` over client data;
        `signed` is what the attestation signs instead of the truth."""
        asked = json.loads(options)
        self.user_handle = unb64url(asked["user"]["id"])
        client_data = self._client_data("webauthn.create", asked["challenge"], client)
        data = self._data(flags | (AT if attested else 0), rp_id)
        if attested:
            data += raw_aaguid(self.aaguid) + struct.pack(">H", len(self.credential_id))
            data += self.credential_id + cbor.encode(public_key or self.cose_key())
        data += tail
        message = signed if signed is not None else data + hashlib.sha256(client_data).digest()
        if fmt is None:
            fmt = "packed" if self.batch else "none"
        if statement is None:
            statement = self._statement(fmt, message)
        attestation = cbor.encode({"fmt": fmt, "attStmt": statement, "authData": data})
        return {
            "id": b64url(self.credential_id),
            "rawId": b64url(self.credential_id),
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": b64url(client_data),
                "attestationObject": b64url(attestation),
                "transports": list(transports) if isinstance(transports, tuple) else transports,
            },
            **changes,
        }

    def _statement(self, fmt: str, message: bytes) -> dict[str, Any]:
        if fmt != "packed":
            return {}
        if self.batch is None:
            return self.self_statement(message)
        algorithm = -8 if isinstance(self.batch.key, ed25519.Ed25519PrivateKey) else -7
        return {"alg": algorithm, "sig": sign(self.batch.key, message), "x5c": self.batch.x5c}

    def self_statement(self, message: bytes) -> dict[str, Any]:
        return {"alg": self.algorithm, "sig": sign(self.key, message)}

    def get(
        self,
        options: str,
        *,
        flags: int = UP | UV,
        rp_id: str | None = None,
        client: Mapping[str, Any] | None = None,
        user_handle: Any = "own",
        key: PrivateKey | None = None,
        count: int | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """Answer `get()`; `user_handle` None leaves it out."""
        asked = json.loads(options)
        client_data = self._client_data("webauthn.get", asked["challenge"], client)
        self.count = self.count + self.step if count is None else count
        data = self._data(flags, rp_id)
        signature = sign(key or self.key, data + hashlib.sha256(client_data).digest())
        handle = self.user_handle if user_handle == "own" else user_handle
        return {
            "id": b64url(self.credential_id),
            "rawId": b64url(self.credential_id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": b64url(client_data),
                "authenticatorData": b64url(data),
                "signature": b64url(signature),
                "userHandle": b64url(handle) if isinstance(handle, bytes) else handle,
            },
            **changes,
        }

    def _client_data(self, kind: str, challenge: str, changes: Mapping[str, Any] | None) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps({**told, **(changes or {})}).encode()

    def _data(self, flags: int, rp_id: str | None) -> bytes:
        rp_id_hash = hashlib.sha256((rp_id or self.rp_id).encode()).digest()
        return rp_id_hash + struct.pack(">BI", flags, self.count)
