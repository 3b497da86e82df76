# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.desks.tickets import seal_pin
from reader.identity import Identity, b64url, unb64url
from reader.ticket import JobStep, Op, TicketBook, TicketRefused, read_ticket

NOW = 1_780_000_000
SERVER = Ed25519PrivateKey.generate()
SEALING = X25519PrivateKey.generate()
ME = Identity(
    server="https://keys.example.com",
    station_id="station-1",
    name="Desk",
    organisation="Example Works",
    rp_id="example.com",
    origin="https://keys.example.com",
    signing_key=Ed25519PrivateKey.generate(),
    sealing_key=SEALING,
    server_key=SERVER.public_key(),
)


def sealed(pin: str = "482915", job: str = "job-1") -> str:
    return seal_pin(pin, SEALING.public_key().public_bytes_raw(), job)


def claims(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "iss": ME.origin,
        "aud": ME.station_id,
        "jti": "ticket-1",
        "iat": NOW,
        "exp": NOW + 120,
        "job": "job-1",
        "op": "enrol",
        "user": "Ada Lovelace",
        "key": "Card of Ada Lovelace",
        "organisation": "Example Works",
        "rp_id": ME.rp_id,
        "origin": ME.origin,
        "options": {"rp": {"id": ME.rp_id, "name": "Example Works"}},
        "pin": {"mode": "server", "sealed": sealed()},
        "resume": {"step": "prepared", "uid": None, "credential_id": None},
        "min_pin_length": 6,
        "force_change": True,
        "code": "",
        "tap_seconds": 60,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def signed(payload: dict[str, Any], key: Any = SERVER, **header: Any) -> str:
    content = json.dumps(payload).encode()
    return jwt.PyJWS().encode(
        content, key, algorithm="EdDSA", headers={"typ": "ticket+jwt", **header}
    )


def refusal(token: str, now: float = NOW) -> str:
    with pytest.raises(TicketRefused) as refused:
        read_ticket(token, ME, now)
    return str(refused.value)


def test_a_good_ticket_is_read() -> None:
    ticket = read_ticket(signed(claims()), ME, NOW)
    assert (ticket.jti, ticket.job, ticket.op) == ("ticket-1", "job-1", Op.ENROL)
    assert (ticket.user, ticket.key) == ("Ada Lovelace", "Card of Ada Lovelace")
    assert ticket.resume.step is JobStep.PREPARED
    assert not ticket.resume.card_may_be_written
    assert (ticket.min_pin_length, ticket.tap_seconds, ticket.force_change) == (6, 60, True)


def test_what_an_earlier_run_did_is_read() -> None:
    resume = {"step": "pin_set", "uid": "04AABB", "credential_id": "AQI", "pin_maybe_set": True}
    ticket = read_ticket(signed(claims(resume=resume)), ME, NOW)
    assert (ticket.resume.uid, ticket.resume.credential_id) == (b"\x04\xaa\xbb", b"\x01\x02")
    assert ticket.resume.card_may_be_written
    assert not ticket.resume.registered


# R21


@pytest.mark.req("R21")
def test_another_key_s_signature_is_refused() -> None:
    assert "signature" in refusal(signed(claims(), Ed25519PrivateKey.generate()))


@pytest.mark.req("R21")
@pytest.mark.parametrize("part", [0, 1, 2])
def test_an_altered_ticket_is_refused(part: int) -> None:
    pieces = signed(claims()).split(".")
    raw = bytearray(base64.urlsafe_b64decode(pieces[part] + "=="))
    raw[len(raw) // 2] ^= 1
    pieces[part] = b64url(bytes(raw))
    refusal(".".join(pieces))


@pytest.mark.req("R21")
def test_no_signature_at_all_is_refused() -> None:
    header = b64url(b'{"alg":"none","typ":"ticket+jwt"}')
    refusal(f"{header}.{b64url(json.dumps(claims()).encode())}.")


@pytest.mark.req("R21")
def test_a_mac_under_the_public_key_is_refused() -> None:
    key = ME.server_key.public_bytes_raw()
    token = jwt.encode(claims(), key, algorithm="HS256", headers={"typ": "ticket+jwt"})
    refusal(token)


@pytest.mark.req("R21")
def test_a_request_of_a_station_is_no_ticket() -> None:
    assert "not a ticket" in refusal(signed(claims(), typ="station+jwt"))


@pytest.mark.req("R21")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "station-2"}, "another station"),
        ({"aud": ...}, "signature"),
        ({"iss": "https://evil.example"}, "another server"),
        ({"rp_id": "evil.example"}, "another site"),
        ({"origin": "https://evil.example"}, "another site"),
        ({"options": {"rp": {"id": "evil.example"}}}, "options"),
        ({"options": {}}, "options"),
        ({"options": {"rp": "example.com"}}, "options"),
        ({"op": "assert", "options": {"rpId": "evil.example"}}, "options"),
        ({"op": "assert", "options": {}}, "options"),
        ({"exp": NOW + 121}, "too long"),
        ({"exp": NOW - 1}, "expired"),
        ({"iat": NOW + 61, "exp": NOW + 120}, "future"),
        ({"op": "format_disk"}, "unknown"),
        ({"jti": ...}, "signature"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, ""),
        ({"job": "../poll"}, "job"),
        ({"job": ...}, "job"),
        ({"exp": "soon"}, ""),
        ({"iat": 1.5}, ""),
        ({"user": ["Ada"]}, "user"),
        ({"tap_seconds": 10**9}, "tap_seconds"),
        ({"tap_seconds": True}, "tap_seconds"),
        ({"min_pin_length": 3}, "min_pin_length"),
        ({"pin": {"mode": "server", "sealed": "***"}}, "sealed"),
        ({"pin": {"mode": "server", "sealed": None}}, "sealed"),
        ({"pin": {"mode": "own", "min_length": 2}}, "min_length"),
        ({"pin": "482915"}, "pin"),
        ({"resume": {"step": "halfway"}}, "unknown"),
        ({"resume": {"uid": 4}}, "resume"),
        ({"resume": {"credential_id": "***"}}, "resume"),
    ],
    ids=str,
)
def test_a_ticket_that_is_not_for_here_and_now_is_refused(
    changes: dict[str, Any], reason: str
) -> None:
    assert reason in refusal(signed(claims(**changes)))


@pytest.mark.req("R21")
def test_a_ticket_is_good_to_its_last_second() -> None:
    read_ticket(signed(claims()), ME, NOW + 120)
    assert "expired" in refusal(signed(claims()), NOW + 120.5)


def test_a_refusal_says_whose_job_it_was_only_if_the_server_signed_it() -> None:
    with pytest.raises(TicketRefused) as genuine:
        read_ticket(signed(claims()), ME, NOW + 500)
    assert (genuine.value.genuine, genuine.value.job) == (True, "job-1")
    with pytest.raises(TicketRefused) as forged:
        read_ticket(signed(claims(), Ed25519PrivateKey.generate()), ME, NOW + 500)
    assert not forged.value.genuine


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(sorted(claims())), json_values, min_size=1))
def test_whatever_the_server_signs_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        ticket = read_ticket(signed({**claims(), **changes}), ME, NOW)
    except TicketRefused:
        return
    assert (ticket.rp_id, ticket.origin) == (ME.rp_id, ME.origin)


@given(token=st.text())
def test_garbage_is_refused(token: str) -> None:
    refusal(token)


# The sealed PIN


@pytest.mark.req("R23")
def test_the_pin_is_opened_for_its_job_only() -> None:
    assert read_ticket(signed(claims()), ME, NOW).open_pin(ME) == "482915"
    other = claims(pin={"mode": "server", "sealed": sealed(job="job-2")})
    with pytest.raises(TicketRefused, match="cannot be opened"):
        read_ticket(signed(other), ME, NOW).open_pin(ME)


@pytest.mark.req("R23")
def test_a_pin_sealed_for_another_station_is_not_opened() -> None:
    key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    other = claims(pin={"mode": "server", "sealed": seal_pin("482915", key, "job-1")})
    with pytest.raises(TicketRefused, match="cannot be opened"):
        read_ticket(signed(other), ME, NOW).open_pin(ME)


@pytest.mark.parametrize("pin", [None, {"mode": "own", "min_length": 6}])
def test_no_pin_is_opened_where_none_was_sent(pin: dict[str, Any] | None) -> None:
    with pytest.raises(TicketRefused):
        read_ticket(signed(claims(pin=pin)), ME, NOW).open_pin(ME)


def test_a_ticket_does_not_print_its_pin() -> None:
    ticket = read_ticket(signed(claims()), ME, NOW)
    assert repr(unb64url(sealed())) not in repr(ticket)
    assert "sealed" not in repr(ticket)


# Used once


@pytest.mark.req("R21")
def test_a_ticket_is_taken_once() -> None:
    book = TicketBook(None)
    ticket = read_ticket(signed(claims()), ME, NOW)
    book.take(ticket, NOW)
    with pytest.raises(TicketRefused, match="used before"):
        book.take(ticket, NOW)


@pytest.mark.req("R21")
def test_a_restart_does_not_forget_used_tickets(tmp_path: Path) -> None:
    path = tmp_path / "tickets.json"
    ticket = read_ticket(signed(claims()), ME, NOW)
    TicketBook(path).take(ticket, NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TicketRefused, match="used before"):
        TicketBook(path).take(ticket, NOW)


def test_the_book_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "tickets.json"
    book = TicketBook(path)
    for number in range(50):
        late = NOW + number * 100
        token = signed(claims(jti=f"ticket-{number}", iat=late, exp=late + 120))
        book.take(read_ticket(token, ME, late), late)
    kept = json.loads(path.read_text())
    assert len(kept) < 10
    assert all(until >= NOW + 49 * 100 for until in kept.values())


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": "b"}', "null", "\udcff"])
def test_a_damaged_book_is_begun_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tickets.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    TicketBook(path).take(read_ticket(signed(claims()), ME, NOW), NOW)


def test_a_book_that_cannot_be_written_takes_no_ticket(tmp_path: Path) -> None:
    book = TicketBook(tmp_path / "gone" / "tickets.json")
    with pytest.raises(TicketRefused, match="noted"):
        book.take(read_ticket(signed(claims()), ME, NOW), NOW)


def test_this_test_s_tickets_are_of_their_own_time() -> None:
    assert abs(time.time() - NOW) > 120
