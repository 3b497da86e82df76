# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A station in a few lines: it signs requests as the protocol says and reads tickets.

It shares nothing with the reader program, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from provisioning.audit import CLI
from provisioning.desks import stations
from provisioning.models import Station
from provisioning.services import Services
from provisioning.storage.db import transaction

Json = dict[str, Any]

KNOWS_ALL: Json = {
    "uid": "04aabbcc",
    "fido": True,
    "versions": ["FIDO_2_1"],
    "aaguid": "11223344-5566-4788-99aa-bbccddeeff00",
    "client_pin": False,
    "force_pin_change": False,
    "can_force_change": True,
    "pin_retries": None,
    "min_pin_length": 4,
    "known": [],
}


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def pairing_code(services: Services) -> str:
    with transaction():
        return stations.make_code(services.vault, CLI)[1]


class Desk:
    """One station and its client. `claims` and `header` go over what it signs."""

    def __init__(self, client: FlaskClient, base_url: str) -> None:
        self.client = client
        self.base_url = base_url
        self.signing = Ed25519PrivateKey.generate()
        self.sealing = X25519PrivateKey.generate()
        self.id = "pairing"
        self.server_key: Ed25519PublicKey | None = None

    @classmethod
    def paired(cls, client: FlaskClient, services: Services, name: str = "Desk NFC") -> Desk:
        desk = cls(client, services.settings.base_url)
        answer = desk.pair(pairing_code(services), name)
        assert answer.status_code == 201, answer.json
        return desk

    @property
    def row(self) -> Station:
        return stations.living(self.id)

    def pair(self, code: str, name: str = "Desk NFC", **changes: object) -> TestResponse:
        body = {
            "code": code,
            "name": name,
            "signing_key": b64url(self.signing.public_key().public_bytes_raw()),
            "sealing_key": b64url(self.sealing.public_key().public_bytes_raw()),
            "version": "1",
            **changes,
        }
        answer = self.post("pair", body)
        if answer.status_code == 201:
            self.id = str(answer.json["station_id"])
            raw = base64.urlsafe_b64decode(answer.json["server_key"] + "==")
            self.server_key = Ed25519PublicKey.from_public_bytes(raw)
        return answer

    def poll(self, state: str = "no_card", wait: float = 0, **changes: object) -> TestResponse:
        body = {"state": state, "reader": "Soft reader", "version": "1", "wait": wait, **changes}
        return self.post("poll", body)

    def ticket(self) -> Json:
        """Poll, and read the ticket that must be there."""
        answer = self.poll()
        assert answer.status_code == 200, answer.status
        assert self.server_key is not None
        claims: Json = jwt.decode(
            answer.json["ticket"], self.server_key, algorithms=["EdDSA"], audience=self.id
        )
        return claims

    def tell(self, ticket: Json, event: str, **body: object) -> TestResponse:
        return self.post(
            f"jobs/{ticket['job']}/events", {"ticket": ticket["jti"], "event": event, **body}
        )

    def pin_of(self, ticket: Json) -> str:
        suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        sealed = base64.urlsafe_b64decode(ticket["pin"]["sealed"] + "==")
        info = b"keywright pin " + ticket["job"].encode()
        return suite.decrypt(sealed, self.sealing, info=info).decode()

    def post(
        self,
        path: str,
        body: Json | bytes,
        *,
        claims: Json | None = None,
        header: Json | None = None,
        key: Ed25519PrivateKey | None = None,
        sent: bytes | None = None,
        **request: Any,
    ) -> TestResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = self.sign(path, raw, claims, header, key)
        return self.client.post(
            f"/station/v1/{path}",
            data=raw if sent is None else sent,
            content_type="application/json",
            headers={"Authorization": signed, **request.pop("headers", {})},
            **request,
        )

    def sign(
        self,
        path: str,
        raw: bytes,
        claims: Json | None = None,
        header: Json | None = None,
        key: Ed25519PrivateKey | None = None,
    ) -> str:
        now = int(time.time())
        told = {
            "htm": "POST",
            "htu": f"{self.base_url}/station/v1/{path}",
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(24),
            "bh": b64url(hashlib.sha256(raw).digest()),
            **(claims or {}),
        }
        headers = {"kid": self.id, "typ": "station+jwt", **(header or {})}
        token = jwt.encode(told, key or self.signing, algorithm="EdDSA", headers=headers)
        return f"Station {token}"
