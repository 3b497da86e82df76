# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""Packed attestation (WebAuthn §8.2) under a root that is public, key and all.

WARNING. The root key below is computed from a published sentence, so anyone can sign with it.
It shows that the chain check works; it proves nothing about a card. Trust it in a demo or in
a test, nowhere else.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier
from fido2.webauthn import Aaguid

from reader.simulator.credentials import Credential
from reader.simulator.profile import ES256, MODEL_NAME, Attestation, Faults

AAGUID_EXTENSION = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")

ROOT_SEED = b"Keywright software card: a test root that anyone can sign with"
FOREIGN_SEED = b"Keywright software card: a root that nobody trusts"

VALID_FROM = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
VALID_TO = dt.datetime(2075, 1, 1, tzinfo=dt.UTC)


def root_pem() -> bytes:
    """The test root, PEM: what a demo server lists as the simulator's trust anchor."""
    return ROOT_PEM


def attestation_root() -> x509.Certificate:
    return x509.load_pem_x509_certificate(ROOT_PEM)


def statement(
    kind: Attestation,
    credential: Credential,
    auth_data: bytes,
    client_data_hash: bytes,
    model: Aaguid,
    faults: Faults,
) -> tuple[str, dict[str, object]]:
    """The attestation format and statement for a new credential."""
    if kind == "none":
        return "none", {}
    message = auth_data + client_data_hash
    if faults.bad_signature:
        message += b"?"
    if kind == "self":
        return "packed", {"alg": credential.algorithm, "sig": credential.sign(message)}
    seed = FOREIGN_SEED if faults.foreign_root else ROOT_SEED
    signature = _key(seed, model).sign(message, ec.ECDSA(hashes.SHA256()))
    return "packed", {"alg": ES256, "sig": signature, "x5c": [_leaf(seed, model)]}


def build_root(seed: bytes) -> x509.Certificate:
    """Self-sign a root. ROOT_PEM was made by this; ECDSA makes each call's signature new."""
    key = _key(seed)
    return (
        _certificate(_root_name(), _root_name(), key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


@cache
def _leaf(seed: bytes, model: Aaguid) -> bytes:
    """The batch certificate of a model, DER; all cards of one model share it (§8.2.1)."""
    name = _name(MODEL_NAME, unit="Authenticator Attestation")
    return (
        _certificate(name, _root_name(), _key(seed, model).public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # §8.2.1: the AAGUID in an OCTET STRING, not critical.
        .add_extension(
            x509.UnrecognizedExtension(AAGUID_EXTENSION, b"\x04\x10" + bytes(model)),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(_key(seed).public_key()),
            critical=False,
        )
        .sign(_key(seed), hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(int.from_bytes(key_id.digest[:8], "big") | 1)
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_TO)
        .add_extension(key_id, critical=False)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _root_name() -> x509.Name:
    return _name("Keywright software card TEST root", unit="Anyone can sign with this root")


def _name(common_name: str, *, unit: str) -> x509.Name:
    return x509.Name(
        [
            # ISO 3166 leaves ZZ to its users: the simulator comes from no country.
            x509.NameAttribute(NameOID.COUNTRY_NAME, "ZZ"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Keywright"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key(seed: bytes, model: bytes = b"") -> ec.EllipticCurvePrivateKey:
    # A 256-bit digest is a valid P-256 scalar but for one chance in 2**32; ours are.
    scalar = int.from_bytes(sha256(seed + model).digest(), "big")
    return ec.derive_private_key(scalar, ec.SECP256R1())


ROOT_PEM = b"""\
-----BEGIN CERTIFICATE-----
MIICKjCCAc+gAwIBAgIIOV9WKXIEplUwCgYIKoZIzj0EAwIwdjELMAkGA1UEBhMC
WloxEjAQBgNVBAoMCUtleXdyaWdodDEnMCUGA1UECwweQW55b25lIGNhbiBzaWdu
IHdpdGggdGhpcyByb290MSowKAYDVQQDDCFLZXl3cmlnaHQgc29mdHdhcmUgY2Fy
ZCBURVNUIHJvb3QwIBcNMjUwMTAxMDAwMDAwWhgPMjA3NTAxMDEwMDAwMDBaMHYx
CzAJBgNVBAYTAlpaMRIwEAYDVQQKDAlLZXl3cmlnaHQxJzAlBgNVBAsMHkFueW9u
ZSBjYW4gc2lnbiB3aXRoIHRoaXMgcm9vdDEqMCgGA1UEAwwhS2V5d3JpZ2h0IHNv
ZnR3YXJlIGNhcmQgVEVTVCByb290MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
6X7E1bn6UWs6zdv/bj/XZBuBCGcSG1OYWU207Bb0fZRbWFivpCmQpHx2sPDbQoxx
7wByJmpvpIajbsU716yyZ6NFMEMwHQYDVR0OBBYEFDlfVilyBKZVIG76sQKFywHN
/MI7MBIGA1UdEwEB/wQIMAYBAf8CAQAwDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49
BAMCA0kAMEYCIQDlIreG/tfHZl1ItajUjPuOePL8oyRMz+dPI5WbkPh12wIhAOhy
fn0MMvPp1HX/uLwlaApiwpIjEB3wbIqkI/N0HLV1
-----END CERTIFICATE-----
"""
