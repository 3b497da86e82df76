# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What passes between server and station: signed tickets, sealed PINs, signed requests.

Tickets and requests are JWTs by EdDSA; a request has the shape of RFC 9449 (htm, htu, iat, jti)
plus a hash of its body. A PIN travels by HPKE (RFC 9180), never in the clear.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeGuard
from urllib.parse import urlsplit, urlunsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ..clock import SECOND, now_ms
from ..errors import InvalidValue, NotFound, Unauthenticated
from ..vault import Vault

MAX_TICKET_S = 120  # R21
REQUEST_S = 60  # longest life that a station may give its request
SKEW_S = 60
_MAX_AUTHORIZATION = 2_048
_ID = re.compile(r"[!-~]{1,128}")
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class ClockSkew(Unauthenticated):
    """The request is the station's own, but its clock and ours are too far apart."""


@dataclass(frozen=True)
class StationRequest:
    """A request proved to come from a station.

    `jti` must be unseen: the caller remembers it until `expires_at` (ms), after which the request
    would be refused for its age anyway.
    """

    station_id: str
    jti: str
    expires_at: int


def sign_ticket(vault: Vault, claims: Mapping[str, object], lifetime_s: int) -> str:
    """Sign a job for a station; `iat` and `exp` (seconds) are set here.

    `claims` carries at least iss, aud (station id) and jti, which the caller keeps with the job.
    Raises ValueError when one is missing or the lifetime is not 1 to 120 s.
    """
    if not 0 < lifetime_s <= MAX_TICKET_S:
        raise ValueError(f"a ticket lives 1 to {MAX_TICKET_S} s, not {lifetime_s}")
    missing = {"iss", "aud", "jti"} - claims.keys()
    if missing:
        raise ValueError(f"ticket without {', '.join(sorted(missing))}")
    issued = now_ms() // SECOND
    return jwt.encode(
        {**claims, "iat": issued, "exp": issued + lifetime_s},
        vault.signing_key,
        algorithm="EdDSA",
        headers={"typ": "ticket+jwt"},
    )


def seal_pin(pin: str, station_sealing_key: bytes, job_id: str) -> str:
    """Seal a PIN to one station and one job: base64url of HPKE enc ‖ ciphertext.

    X25519, HKDF-SHA-256, AES-256-GCM. The job id goes into `info`, which enters the key schedule
    and so binds as additional data would; the one-shot interface offers no other.
    Raises InvalidValue when the station's key is not a usable X25519 public key (32 bytes).
    """
    try:
        key = X25519PublicKey.from_public_bytes(station_sealing_key)
        sealed = _SUITE.encrypt(pin.encode(), key, info=pin_info(job_id))
    except ValueError:
        raise InvalidValue("The station's sealing key is not usable", "sealing_key") from None
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def pin_info(job_id: str) -> bytes:
    """The HPKE `info` that binds a sealed PIN to its job."""
    return b"keywright pin " + job_id.encode()


def verify_station_request(
    authorization: str,
    *,
    method: str,
    url: str,
    body: bytes,
    key_for: Callable[[str], bytes],
    now: int,
) -> StationRequest:
    """Check `Authorization: Station <JWT>` against the request that carries it.

    `url` is the full URL as the station knows it (built from the configured base URL, not from
    the Host header); a query is ignored. `key_for(kid)` gives the raw Ed25519 public key and
    raises NotFound or Unauthenticated for a station it does not know. `now` is in ms.
    Raises Unauthenticated, or ClockSkew when the time alone is wrong.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "station" or len(authorization) > _MAX_AUTHORIZATION:
        raise Unauthenticated("A station's signature is needed")
    claims, station_id = _verified_claims(token.strip(), key_for)
    jti, issued, expires = claims.get("jti"), claims.get("iat"), claims.get("exp")
    if not _is_id(jti) or len(jti) < 16:
        raise Unauthenticated("The station's request has no usable id")
    if type(issued) is not int or type(expires) is not int:
        raise Unauthenticated("The station's request does not say when it was made")
    expected = {
        "htm": method.upper(),
        "htu": urlunsplit(urlsplit(url)._replace(query="", fragment="")),
        "bh": base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode(),
    }
    for name, value in expected.items():
        if claims.get(name) != value:
            raise Unauthenticated("The station signed another request than this one")
    if not 0 < expires - issued <= REQUEST_S:
        raise Unauthenticated("The station's request lives too long")
    if not (issued - SKEW_S) * SECOND <= now <= (expires + SKEW_S) * SECOND:
        raise ClockSkew("The station's clock is wrong")
    return StationRequest(station_id, jti, (expires + SKEW_S) * SECOND)


def _is_id(value: object) -> TypeGuard[str]:
    """Say whether it is printable ASCII of bounded length: PostgreSQL takes no NUL."""
    return isinstance(value, str) and bool(_ID.fullmatch(value))


def _verified_claims(token: str, key_for: Callable[[str], bytes]) -> tuple[dict[str, object], str]:
    refused = Unauthenticated("The station's signature is not valid")
    try:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        if header.get("typ") != "station+jwt" or not _is_id(kid):
            raise refused
        key = Ed25519PublicKey.from_public_bytes(key_for(kid))
        # Times are checked by the caller, against its own clock and with its own answer.
        claims: dict[str, object] = jwt.decode(
            token,
            key,
            algorithms=["EdDSA"],
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    # RecursionError: the header is parsed before any signature is checked.
    except (jwt.PyJWTError, ValueError, RecursionError, NotFound):
        raise refused from None
    return claims, kid
