# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A WebAuthn answer as it comes in: JSON read strictly, sizes bounded, client data checked.

WebAuthn L3 §5.1 (RegistrationResponseJSON, AuthenticationResponseJSON) and §5.8.1 (client data).
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from .refusals import Refusal, refused, refusing

# Generous for real answers, small enough that no parser below takes noticeable time.
MAX_CLIENT_DATA = 8_192
MAX_ATTESTATION = 32_768
MAX_AUTHENTICATOR_DATA = 4_096
MAX_SIGNATURE = 8_192
_MAX_ID = 2_048
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Answer:
    """An answer whose outer shape holds; what is inside is yet to be judged."""

    id: str
    credential_id: bytes
    response: Mapping[str, object]

    def required(self, name: str, most: int) -> bytes:
        """The bytes of a member of `response`. Raises CeremonyRefused."""
        return _bytes(self.response.get(name), most)

    def optional(self, name: str) -> bytes | None:
        """The bytes of a member that may be missing or null. Raises CeremonyRefused."""
        value = self.response.get(name)
        return None if value is None else _bytes(value, _MAX_ID)

    def client_data(self, kind: str, challenge: bytes, origin: str) -> bytes:
        """Check type, challenge, origin and the frame, and return clientDataJSON as it came.

        Raises CeremonyRefused. `crossOrigin` and `topOrigin` appear when a page of ours is
        framed by another: we never are.
        """
        raw = self.required("clientDataJSON", MAX_CLIENT_DATA)
        with refusing(Refusal.MALFORMED):
            data = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
        if not isinstance(data, dict):
            raise refused(Refusal.MALFORMED)
        if data.get("type") != kind:
            raise refused(Refusal.WRONG_TYPE)
        if not secrets.compare_digest(_bytes(data.get("challenge"), 256), challenge):
            raise refused(Refusal.WRONG_CHALLENGE)
        if data.get("origin") != origin:
            raise refused(Refusal.WRONG_ORIGIN)
        if data.get("crossOrigin", False) is not False or "topOrigin" in data:
            raise refused(Refusal.CROSS_ORIGIN)
        return raw


def read(answer: object) -> Answer:
    """Read an answer, JSON text or its parsed value. Raises CeremonyRefused("malformed")."""
    if isinstance(answer, str):
        with refusing(Refusal.MALFORMED):
            answer = json.loads(answer, object_pairs_hook=_unique)
    if not isinstance(answer, Mapping) or answer.get("type") != "public-key":
        raise refused(Refusal.MALFORMED)
    name, response = answer.get("id"), answer.get("response")
    credential_id = _bytes(answer.get("rawId"), _MAX_ID)
    if not isinstance(response, Mapping) or not isinstance(name, str) or not credential_id:
        raise refused(Refusal.MALFORMED)
    if name != base64.urlsafe_b64encode(credential_id).rstrip(b"=").decode():
        raise refused(Refusal.ID_MISMATCH)
    return Answer(name, credential_id, response)


def _bytes(value: object, most: int) -> bytes:
    # Strictly: Python's decoder skips what is not in the alphabet.
    if not isinstance(value, str) or len(value) > most * 4 // 3 + 4:
        raise refused(Refusal.MALFORMED)
    if not _BASE64URL.fullmatch(value) or len(value) % 4 == 1:
        raise refused(Refusal.MALFORMED)
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found
