# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given
from hypothesis import strategies as st

from provisioning.clock import now_ms
from provisioning.desks.tickets import (
    ClockSkew,
    StationRequest,
    seal_pin,
    sign_ticket,
    verify_station_request,
)
from provisioning.errors import InvalidValue, NotFound, Unauthenticated
from provisioning.vault import Vault

STATION = "6b0cf2f0-9b3c-4a52-8f0a-5f1f9f6f3c11"
URL = "https://keys.example.com/station/v1/poll"
BODY = b'{"state":"card"}'
KEY = Ed25519PrivateKey.generate()
NOW = 1_780_000_000_000


def b64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unb64url(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def key_for(station_id: str) -> bytes:
    if station_id != STATION:
        raise NotFound("no such station")
    return KEY.public_key().public_bytes_raw()


def claims(**changes: object) -> dict[str, Any]:
    good: dict[str, Any] = {
        "htm": "POST",
        "htu": URL,
        "iat": NOW // 1000,
        "exp": NOW // 1000 + 60,
        "jti": "0123456789abcdef01234567",
        "bh": b64url(hashlib.sha256(BODY).digest()),
    }
    good.update(changes)
    return {name: value for name, value in good.items() if value is not None}


def signed(
    payload: dict[str, Any],
    key: Ed25519PrivateKey = KEY,
    header: dict[str, Any] | None = None,
) -> str:
    header = header or {"kid": STATION, "typ": "station+jwt"}
    # By the lower interface, which signs what no honest library would.
    content = json.dumps(payload).encode()
    return "Station " + jwt.PyJWS().encode(content, key, algorithm="EdDSA", headers=header)


def verify(authorization: str, **changes: Any) -> StationRequest:
    request: dict[str, Any] = {
        "method": "POST",
        "url": URL,
        "body": BODY,
        "key_for": key_for,
        "now": NOW,
    }
    return verify_station_request(authorization, **{**request, **changes})


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.create(tmp_path_factory.mktemp("keys"))


# Tickets


@pytest.mark.req("R21")
def test_a_ticket_is_signed_by_the_server_and_dated(vault: Vault) -> None:
    before = now_ms() // 1000
    ticket = sign_ticket(vault, {"iss": "o", "aud": STATION, "jti": "n", "op": "enrol"}, 120)
    opened = jwt.decode(
        ticket, vault.signing_key.public_key(), algorithms=["EdDSA"], audience=STATION, issuer="o"
    )
    assert (opened["op"], opened["jti"], opened["exp"] - opened["iat"]) == ("enrol", "n", 120)
    assert before <= opened["iat"] <= before + 5
    assert jwt.get_unverified_header(ticket) == {"alg": "EdDSA", "typ": "ticket+jwt"}


@pytest.mark.req("R21")
def test_claims_cannot_lengthen_a_ticket(vault: Vault) -> None:
    ticket = sign_ticket(vault, {"iss": "o", "aud": "s", "jti": "n", "exp": 1 << 40, "iat": 0}, 30)
    opened = jwt.decode(ticket, options={"verify_signature": False})
    assert opened["exp"] - opened["iat"] == 30


@pytest.mark.req("R21")
@pytest.mark.parametrize("lifetime", [121, 0, -1])
def test_no_ticket_lives_longer_than_two_minutes(vault: Vault, lifetime: int) -> None:
    with pytest.raises(ValueError, match="lives"):
        sign_ticket(vault, {"iss": "o", "aud": "s", "jti": "n"}, lifetime)


@pytest.mark.req("R21")
@pytest.mark.parametrize("name", ["iss", "aud", "jti"])
def test_no_ticket_without_issuer_station_and_nonce(vault: Vault, name: str) -> None:
    given_claims = {"iss": "o", "aud": "s", "jti": "n"}
    del given_claims[name]
    with pytest.raises(ValueError, match=name):
        sign_ticket(vault, given_claims, 60)


# Sealed PINs


@pytest.mark.req("R23")
def test_only_the_station_opens_the_pin_and_only_for_the_job() -> None:
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    station = X25519PrivateKey.generate()
    sealed = seal_pin("482915", station.public_key().public_bytes_raw(), "job-1")
    raw = unb64url(sealed)
    assert "482915" not in sealed
    assert b"482915" not in raw
    assert suite.decrypt(raw, station, info=b"keywright pin job-1") == b"482915"
    with pytest.raises(InvalidTag):
        suite.decrypt(raw, station, info=b"keywright pin job-2")
    with pytest.raises(InvalidTag):
        suite.decrypt(raw, X25519PrivateKey.generate(), info=b"keywright pin job-1")
    with pytest.raises(InvalidTag):
        suite.decrypt(raw[:-1] + bytes([raw[-1] ^ 1]), station, info=b"keywright pin job-1")


def test_a_pin_never_seals_the_same_twice() -> None:
    key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    assert seal_pin("482915", key, "job") != seal_pin("482915", key, "job")


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\x01" + bytes(31)])
def test_an_unusable_sealing_key_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidValue) as refusal:
        seal_pin("482915", key, "job")
    assert "482915" not in str(refusal.value)


# Station requests


def test_a_good_request_is_told_apart_by_station_and_id() -> None:
    request = verify(signed(claims()))
    assert (request.station_id, request.jti) == (STATION, claims()["jti"])


def test_the_id_is_remembered_as_long_as_the_request_is_good() -> None:
    authorization = signed(claims())
    request = verify(authorization)
    assert verify(authorization, now=request.expires_at) == request
    with pytest.raises(ClockSkew):
        verify(authorization, now=request.expires_at + 1)


@pytest.mark.req("R21")
@pytest.mark.parametrize(
    "changes",
    [
        {"body": BODY + b" "},
        {"body": b""},
        {"method": "GET"},
        {"url": "https://keys.example.com/station/v1/pair"},
        {"url": "https://evil.example.com/station/v1/poll"},
        {"url": "http://keys.example.com/station/v1/poll"},
    ],
    ids=["body", "no-body", "method", "path", "host", "scheme"],
)
def test_a_signature_holds_for_its_own_request_only(changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated, match="another request"):
        verify(signed(claims()), **changes)


@pytest.mark.parametrize("length", [16, 128])
def test_a_request_id_has_16_to_128_characters(length: int) -> None:
    assert verify(signed(claims(jti="x" * length))).jti == "x" * length


def test_the_query_is_no_part_of_the_signed_url() -> None:
    assert verify(signed(claims()), url=URL + "?wait=25#x").station_id == STATION


@pytest.mark.req("R21")
@pytest.mark.parametrize("offset", [-61_000, 121_000, -(1 << 40), 1 << 40])
def test_a_wrong_clock_has_an_error_of_its_own(offset: int) -> None:
    with pytest.raises(ClockSkew):
        verify(signed(claims()), now=NOW + offset)


@pytest.mark.parametrize("offset", [-60_000, 0, 60_000, 120_000])
def test_a_minute_of_skew_is_tolerated(offset: int) -> None:
    assert verify(signed(claims()), now=NOW + offset).station_id == STATION


def test_a_forger_with_a_wrong_clock_is_not_told_the_time() -> None:
    with pytest.raises(Unauthenticated) as refusal:
        verify(signed(claims(), Ed25519PrivateKey.generate()), now=NOW + 10**9)
    assert not isinstance(refusal.value, ClockSkew)


@pytest.mark.req("R21")
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW // 1000 + 61},
        {"exp": NOW // 1000},
        {"exp": NOW // 1000 - 5},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        {"iat": True},
        {"iat": 1.5},
        {"iat": float("inf")},
        {"jti": None},
        {"jti": "short"},
        {"jti": 10**20},
        {"jti": "x" * 129},
        {"jti": "\ud800" * 20},
        {"htm": None},
        {"htm": "\ud800"},
        {"htu": None},
        {"bh": None},
        {"bh": ["x"]},
        {"aud": "somebody"},
    ],
    ids=str,
)
def test_claims_that_are_missing_or_odd_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        verify(signed(claims(**changes)))
    assert not isinstance(refusal.value, ClockSkew)


@pytest.mark.req("R21")
def test_another_key_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        verify(signed(claims(), Ed25519PrivateKey.generate()))


@pytest.mark.req("R21")
def test_alg_none_is_refused() -> None:
    token = jwt.encode(
        claims(), None, algorithm="none", headers={"kid": STATION, "typ": "station+jwt"}
    )
    with pytest.raises(Unauthenticated):
        verify("Station " + token)


@pytest.mark.req("R21")
def test_an_hmac_under_the_public_key_is_refused() -> None:
    headers = {"kid": STATION, "typ": "station+jwt"}
    token = jwt.encode(claims(), key_for(STATION), algorithm="HS256", headers=headers)
    with pytest.raises(Unauthenticated):
        verify("Station " + token)


@pytest.mark.req("R21")
def test_the_servers_ticket_is_no_station_request(vault: Vault, tmp_path: Path) -> None:
    ticket = sign_ticket(vault, {**claims(), "iss": "o", "aud": STATION}, 60)
    with pytest.raises(Unauthenticated):
        verify("Station " + ticket, now=now_ms())
    with pytest.raises(Unauthenticated):
        verify(signed(claims(), header={"kid": STATION, "typ": "ticket+jwt"}))


@pytest.mark.parametrize("kid", ["unknown", None, ""])
def test_an_unknown_station_answers_like_a_bad_signature(kid: str | None) -> None:
    header = {"typ": "station+jwt"} | ({} if kid is None else {"kid": kid})
    with pytest.raises(Unauthenticated, match="signature is not valid"):
        verify(signed(claims(), header=header))


@pytest.mark.parametrize("odd", ["a\0b" * 8, "a b" * 8, "é" * 20, "", "x" * 129])
def test_ids_that_no_database_should_be_asked_for_are_refused(odd: str) -> None:
    asked: list[str] = []

    def key_for(station_id: str) -> bytes:
        asked.append(station_id)
        return KEY.public_key().public_bytes_raw()

    with pytest.raises(Unauthenticated):
        verify(signed(claims(), header={"kid": odd, "typ": "station+jwt"}), key_for=key_for)
    assert not asked
    with pytest.raises(Unauthenticated):
        verify(signed(claims(jti=odd)))


def test_a_key_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        verify(signed(claims()), key_for=lambda _: b"short")


@pytest.mark.parametrize("part", [0, 1, 2])
def test_an_altered_token_is_refused(part: int) -> None:
    pieces = signed(claims()).removeprefix("Station ").split(".")
    raw = bytearray(unb64url(pieces[part]))
    raw[len(raw) // 2] ^= 1
    pieces[part] = b64url(bytes(raw))
    with pytest.raises(Unauthenticated):
        verify("Station " + ".".join(pieces))


@pytest.mark.parametrize(
    "authorization",
    ["", "Station", "Station ", "Bearer x.y.z", "Station x", "Station ..", "Station a.b.c.d"],
)
def test_a_header_that_is_no_token_is_refused(authorization: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(authorization)


def test_the_scheme_is_read_without_case() -> None:
    assert verify(signed(claims()).replace("Station", "station")).station_id == STATION


def test_a_deeply_nested_header_is_refused_like_any_other() -> None:
    nested = b64url(b"[" * 1_400)
    with pytest.raises(Unauthenticated):
        verify(f"Station {nested}.e30.AA")


def test_a_huge_header_is_refused_unread() -> None:
    with pytest.raises(Unauthenticated, match="needed"):
        verify(signed(claims(filler="x" * 4_000)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    changes=st.dictionaries(
        st.sampled_from(["htm", "htu", "iat", "exp", "jti", "bh", "nbf", "aud", "sub", "iss"]),
        json_values,
        min_size=1,
    )
)
def test_a_station_that_signs_anything_is_answered_or_refused(changes: dict[str, Any]) -> None:
    payload = {**claims(), **changes}
    try:
        request = verify(signed(payload))
    except Unauthenticated:
        return
    assert {name: payload[name] for name in ("htm", "htu", "bh")} == {
        name: claims()[name] for name in ("htm", "htu", "bh")
    }
    assert request.jti == payload["jti"]


@given(header=json_values, payload=json_values, signature=st.binary(max_size=64))
def test_garbage_is_only_ever_refused(header: Any, payload: Any, signature: bytes) -> None:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    with pytest.raises(Unauthenticated):
        verify("Station " + ".".join(b64url(part) for part in parts))


@given(text=st.text())
def test_any_text_is_only_ever_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verify("Station " + text)
