# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The models of key in these tests, and the certificates that vouch for them.

Outside demo mode the server refuses the simulator's own model, so these cards say that they are
another one. The server checks them as it checks any maker's.
"""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509.oid import NameOID
from fido2.webauthn import Aaguid

from reader.simulator import Profile, SoftwareCard, root_pem

CARD_MODEL = "3f1c7a52-60d1-4d2e-9b7c-5e1a90b7c4d8"
CARD_NAME = "Test contactless card"

CHROMIUM_MODEL = "01020304-0506-0708-0102-030405060708"
_CHROMIUM_KEY = b"""\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjWF+ZclQjmS8xWc6yCpnmdo8FEZo
LCWMRj//31jf0vo+bDeLU9eVxKTf+0GZ7deGLyOrrwIDtLiRG6BWmZThAQ==
-----END PUBLIC KEY-----
"""


def new_card() -> SoftwareCard:
    """A card fresh from its maker.

    Its counter jumps by five, as some do. That lets a copy of its key in a browser sign once
    before the card does, without looking like what it is: a copy.
    """
    return SoftwareCard(Profile(aaguid=Aaguid.parse(CARD_MODEL), sign_count_step=5))


def card_maker() -> bytes:
    """The root of the cards' maker, PEM."""
    return root_pem()


def chromium_maker() -> tuple[str, bytes]:
    """The model of Chromium's virtual authenticator, and a certificate that vouches for it.

    Each of its attestation certificates is new and signs itself, by the one key that is
    compiled into Chromium. What is pinned is that key, as a CA that another one has certified.
    """
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Chromium"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Batch Certificate"),
        ]
    )
    key = load_pem_public_key(_CHROMIUM_KEY)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    now = dt.datetime.now(dt.UTC)
    anchor = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test anchor")]))
        .public_key(key)
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return CHROMIUM_MODEL, anchor.public_bytes(Encoding.PEM)
