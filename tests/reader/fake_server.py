# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The server's side of the station protocol, as small as it can be and strict about signatures.

It verifies what a real server verifies (request signatures, replays, registrations, assertions)
and lets a test steal, delay, refuse and alter what it answers.
"""

from __future__ import annotations

import json
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import webauthn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from provisioning.desks.tickets import ClockSkew, seal_pin, verify_station_request
from provisioning.errors import NotFound, Unauthenticated
from reader.identity import Identity, b64url, unb64url

Json = dict[str, Any]
STEPS = ["prepared", "tapped", "pin_set", "credential_made", "registered", "change_forced", "done"]
ORGANISATION = "Example Works"


@dataclass
class FakeJob:
    """A job as the server keeps it. `events` has all that the station said, pulses too."""

    op: str
    pin: str | None = None
    options: Json = field(default_factory=dict)
    user: str = "Ada Lovelace"
    key: str = "Card of Ada Lovelace"
    code: str = ""
    own_pin: bool = False
    tap_seconds: int = 5
    force_change: bool = True
    claims: Json = field(default_factory=dict)
    """Override claims of the ticket."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    jti: str = ""
    step: str = "prepared"
    pin_maybe_set: bool = False
    uid: str | None = None
    credential_id: bytes | None = None
    public_key: bytes = b""
    sign_count: int = 0
    challenge: bytes = b""
    signed_in: bool = False
    forced: bool | None = None
    fault: Json | None = None
    events: list[Json] = field(default_factory=list)
    replies: dict[str, Json] = field(default_factory=dict)
    """Answers other than go, by event."""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def story(self) -> list[str]:
        """The events in order, `waiting` told once."""
        names = [event["event"] for event in self.events]
        return [
            name
            for at, name in enumerate(names)
            if name != "waiting" or "waiting" not in names[:at]
        ]

    def event(self, name: str) -> Json:
        return next(event for event in self.events if event["event"] == name)

    def advance(self, step: str) -> None:
        self.step = max(self.step, step, key=STEPS.index)


class FakeServer:
    """Serves on http://localhost. Use as a context manager."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.codes: set[str] = {"12345678"}
        self.station_keys: dict[str, bytes] = {}
        self.sealing_key = b""
        self.station_id = ""
        self.revoked = False
        self.offset_ms = 0
        """How far the server's clock is ahead of the test's."""
        self.polls: list[Json] = []
        self.requests: list[tuple[str, str]] = []
        self.seen: set[str] = set()
        self.jobs: dict[str, FakeJob] = {}
        self.tickets: queue.Queue[str] = queue.Queue()
        self.before: Callable[[str, Json], tuple[int, Json] | None] | None = None
        """Looks at each request first (path, body) and may answer it (status, JSON)."""
        self.max_wait = 25.0
        self.version = ""
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.fake = self
        self.url = f"http://localhost:{self._http.server_address[1]}"
        self.origin = self.url
        self.rp_id = "localhost"

    def __enter__(self) -> FakeServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping = True
        self._http.shutdown()
        self._http.server_close()

    stopping = False

    # What a test does

    def identity(self) -> Identity:
        """A paired station without the pairing."""
        signing, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        self.station_id = "station-" + secrets.token_hex(4)
        self.station_keys[self.station_id] = signing.public_key().public_bytes_raw()
        self.sealing_key = sealing.public_key().public_bytes_raw()
        return Identity(
            server=self.url,
            station_id=self.station_id,
            name="Desk",
            organisation=ORGANISATION,
            rp_id=self.rp_id,
            origin=self.origin,
            signing_key=signing,
            sealing_key=sealing,
            server_key=self.key.public_key(),
        )

    def send(self, job: FakeJob) -> FakeJob:
        """Queue the job with a new ticket, also again after a fault."""
        self.jobs[job.id] = job
        job.fault = None
        job.ended.clear()
        self.tickets.put(self.ticket(job))
        return job

    def ticket(self, job: FakeJob, key: Ed25519PrivateKey | None = None) -> str:
        job.jti = secrets.token_urlsafe(16)
        now = int(time.time() + self.offset_ms / 1000)
        pin: Json | None = None
        if job.own_pin:
            pin = {"mode": "own", "min_length": 6}
        elif job.pin is not None:
            pin = {"mode": "server", "sealed": seal_pin(job.pin, self.sealing_key, job.id)}
        claims = {
            "iss": self.origin,
            "aud": self.station_id,
            "jti": job.jti,
            "iat": now,
            "exp": now + 120,
            "job": job.id,
            "op": job.op,
            "user": job.user,
            "key": job.key,
            "organisation": ORGANISATION,
            "rp_id": self.rp_id,
            "origin": self.origin,
            "options": self._options(job),
            "pin": pin,
            "resume": {
                "step": job.step,
                "uid": job.uid,
                "credential_id": b64url(job.credential_id) if job.credential_id else None,
                "pin_maybe_set": job.pin_maybe_set,
            },
            "min_pin_length": 6,
            "force_change": job.force_change,
            "code": job.code,
            "tap_seconds": job.tap_seconds,
            **job.claims,
        }
        return jwt.encode(claims, key or self.key, algorithm="EdDSA", headers={"typ": "ticket+jwt"})

    def enrol(self, pin: str = "482915", **values: Any) -> FakeJob:
        return self.send(FakeJob("enrol", pin=pin, **values))

    def sign_in(self, enrolled: FakeJob, **values: Any) -> FakeJob:
        job = FakeJob("assert", code="KX7P", **values)
        job.credential_id, job.public_key = enrolled.credential_id, enrolled.public_key
        return self.send(job)

    def _options(self, job: FakeJob) -> Json:
        if job.op == "enrol":
            options = webauthn.generate_registration_options(
                rp_id=self.rp_id,
                rp_name=ORGANISATION,
                user_name="ada",
                user_display_name=job.user,
                user_id=job.id.encode(),
                attestation=AttestationConveyancePreference.DIRECT,
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.REQUIRED,
                    user_verification=UserVerificationRequirement.REQUIRED,
                ),
            )
        elif job.op == "verify":
            options = webauthn.generate_authentication_options(
                rp_id=self.rp_id, user_verification=UserVerificationRequirement.DISCOURAGED
            )
        elif job.op == "assert":
            allow = [PublicKeyCredentialDescriptor(id=job.credential_id or b"")]
            options = webauthn.generate_authentication_options(
                rp_id=self.rp_id,
                allow_credentials=allow if job.credential_id else None,
                user_verification=UserVerificationRequirement.REQUIRED,
            )
        else:
            return {}
        job.challenge = options.challenge
        return {**json.loads(webauthn.options_to_json(options)), **job.options}

    # What a station asks

    def answer(self, path: str, body: Json, authorization: str, raw: bytes) -> tuple[int, Json]:
        self.requests.append((path, body.get("event", "")))
        if self.before is not None and (given := self.before(path, body)) is not None:
            return given
        try:
            self._check(path, authorization, raw, body)
        except ClockSkew:
            told = int(time.time() * 1000) + self.offset_ms
            return 401, {"error": "clock", "message": "Your clock is wrong", "server_time": told}
        except Unauthenticated as error:
            return 401, {"error": "signature", "message": str(error)}
        if path == "pair":
            return self._pair(body)
        if self.revoked:
            return 410, {"error": "revoked", "message": "This station was revoked"}
        if path == "poll":
            return self._poll(body)
        return self._event(path.split("/")[1], body)

    def _check(self, path: str, authorization: str, raw: bytes, body: Json) -> None:
        def key_for(kid: str) -> bytes:
            if kid == "pairing" and path == "pair":
                return unb64url(body["signing_key"])
            if kid not in self.station_keys:
                raise NotFound("no such station")
            return self.station_keys[kid]

        request = verify_station_request(
            authorization,
            method="POST",
            url=f"{self.url}/station/v1/{path}",
            body=raw,
            key_for=key_for,
            now=int(time.time() * 1000) + self.offset_ms,
        )
        if request.jti in self.seen:
            raise Unauthenticated("replayed")
        self.seen.add(request.jti)

    def _pair(self, body: Json) -> tuple[int, Json]:
        if body["code"] not in self.codes:
            return 403, {"error": "pairing_code", "message": "This code is wrong or used up"}
        self.codes.remove(body["code"])
        self.station_id = "station-" + secrets.token_hex(4)
        self.station_keys[self.station_id] = unb64url(body["signing_key"])
        self.sealing_key = unb64url(body["sealing_key"])
        return 201, {
            "station_id": self.station_id,
            "name": body["name"],
            "server_key": b64url(self.key.public_key().public_bytes_raw()),
            "rp_id": self.rp_id,
            "origin": self.origin,
            "organisation": ORGANISATION,
            "version": "1",
        }

    def _poll(self, body: Json) -> tuple[int, Json]:
        self.polls.append(body)
        until = time.monotonic() + min(body["wait"], self.max_wait)
        while not self.stopping:
            try:
                return 200, {"ticket": self.tickets.get(timeout=0.02)}
            except queue.Empty:
                if time.monotonic() >= until:
                    break
        return 204, {}

    def _event(self, job_id: str, body: Json) -> tuple[int, Json]:
        job = self.jobs.get(job_id)
        if job is None:
            return 404, {"error": "not_found", "message": "No such job"}
        if body["ticket"] != job.jti:
            return 409, {"error": "ticket", "message": "Another ticket is out"}
        job.events.append(body)
        name = body["event"]
        if name in job.replies:
            reply = job.replies[name]
            if reply.get("go") is not True:
                job.ended.set()
            return 200, reply
        getattr(self, f"_on_{name}")(job, body)
        return 200, {"go": True}

    def _on_waiting(self, job: FakeJob, body: Json) -> None: ...

    def _on_card(self, job: FakeJob, body: Json) -> None:
        if job.step in ("prepared", "tapped") and not job.pin_maybe_set:
            job.uid = body["uid"]
        job.advance("tapped")

    def _on_pin_setting(self, job: FakeJob, body: Json) -> None:
        job.pin_maybe_set = True

    def _on_pin_set(self, job: FakeJob, body: Json) -> None:
        job.advance("pin_set")

    def _on_credential(self, job: FakeJob, body: Json) -> None:
        verified = webauthn.verify_registration_response(
            credential=body["response"],
            expected_challenge=job.challenge,
            expected_rp_id=self.rp_id,
            expected_origin=self.origin,
            require_user_verification=True,
        )
        job.credential_id = verified.credential_id
        job.public_key = verified.credential_public_key
        job.sign_count = verified.sign_count
        job.advance("registered")

    def _on_wiping(self, job: FakeJob, body: Json) -> None: ...

    def _on_change_forced(self, job: FakeJob, body: Json) -> None:
        job.forced = body["forced"]
        job.advance("change_forced")

    def _on_assertion(self, job: FakeJob, body: Json) -> None:
        webauthn.verify_authentication_response(
            credential=body["response"],
            expected_challenge=job.challenge,
            expected_rp_id=self.rp_id,
            expected_origin=self.origin,
            credential_public_key=job.public_key,
            credential_current_sign_count=0,
            require_user_verification=job.op == "assert",
        )
        job.signed_in = True
        job.ended.set()

    def _on_done(self, job: FakeJob, body: Json) -> None:
        job.advance("done")
        job.ended.set()

    def _on_fault(self, job: FakeJob, body: Json) -> None:
        job.fault = body
        job.ended.set()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A station that hangs up in the middle is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        fake = self.server.fake  # type: ignore[attr-defined]
        path = self.path.removeprefix("/station/v1/")
        status, body = fake.answer(path, json.loads(raw), self.headers["Authorization"] or "", raw)
        content = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Keywright-Version", fake.version)
        for name, value in body.pop("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...
