# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A job as the server signed it. Nothing reaches a card before all of this holds (R21)."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from reader.identity import Identity, unb64url, write_private

MAX_LIFE = 120
SKEW = 60
REMEMBERED = 600
"""Seconds that a used ticket is remembered: much longer than it could be valid."""

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class Op(StrEnum):
    ENROL = "enrol"
    CHANGE_PIN = "change_pin"
    ASSERT = "assert"
    RESET = "reset"
    VERIFY = "verify"
    FORCE_CHANGE = "force_change"


class JobStep(StrEnum):
    """How far a card has come; the server's words."""

    PREPARED = "prepared"
    TAPPED = "tapped"
    PIN_SET = "pin_set"
    CREDENTIAL_MADE = "credential_made"
    REGISTERED = "registered"
    CHANGE_FORCED = "change_forced"
    DONE = "done"


class TicketRefused(Exception):
    """`genuine` when it is the server's own ticket for this station, with its `job` and `jti`."""

    def __init__(self, reason: str, job: str = "", jti: str = "") -> None:
        super().__init__(reason)
        self.job = job
        self.jti = jti

    @property
    def genuine(self) -> bool:
        return bool(self.job)


@dataclass(frozen=True)
class PinOrder:
    """Where the card's PIN comes from: made by the server and sealed, or typed at the desk."""

    own: bool
    sealed: bytes = field(default=b"", repr=False)
    min_length: int = 4


@dataclass(frozen=True)
class Resume:
    """What an earlier run of this job did to the card."""

    step: JobStep = JobStep.PREPARED
    uid: bytes | None = None
    credential_id: bytes | None = None
    pin_maybe_set: bool = False

    @property
    def card_may_be_written(self) -> bool:
        return self.pin_maybe_set or self.step not in (JobStep.PREPARED, JobStep.TAPPED)

    @property
    def registered(self) -> bool:
        return self.step in (JobStep.REGISTERED, JobStep.CHANGE_FORCED, JobStep.DONE)


@dataclass(frozen=True)
class Ticket:
    jti: str
    job: str
    op: Op
    user: str
    key: str
    organisation: str
    rp_id: str
    origin: str
    options: Mapping[str, Any]
    pin: PinOrder | None
    resume: Resume
    min_pin_length: int
    force_change: bool
    code: str
    tap_seconds: int
    expires_at: int

    def open_pin(self, identity: Identity) -> str:
        """The server-made PIN. HPKE's `info` binds it to the job, as AAD would.

        Raises TicketRefused: sealed for another station or another job.
        """
        if self.pin is None or self.pin.own:
            raise TicketRefused("no PIN was sent", self.job, self.jti)
        info = b"keywright pin " + self.job.encode()
        try:
            return _SUITE.decrypt(self.pin.sealed, identity.sealing_key, info=info).decode()
        except (InvalidTag, UnicodeDecodeError, ValueError):
            raise TicketRefused("the PIN cannot be opened", self.job, self.jti) from None


def read_ticket(token: str, identity: Identity, now: float) -> Ticket:
    """Check and read a ticket; `now` is the server's time in seconds. Raises TicketRefused."""
    try:
        if jwt.get_unverified_header(token).get("typ") != "ticket+jwt":
            raise TicketRefused("not a ticket")
        claims = jwt.decode(
            token,
            identity.server_key,
            algorithms=["EdDSA"],
            audience=identity.station_id,
            issuer=identity.origin,
            # Times are checked below, by the server's clock and not by this computer's.
            options={
                "require": ["iss", "aud", "jti", "iat", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidAudienceError:
        raise TicketRefused("it is for another station") from None
    except jwt.InvalidIssuerError:
        raise TicketRefused("it is from another server") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise TicketRefused("its signature is not the server's") from None
    return _Reader(claims).ticket(identity, now)


class _Reader:
    """Claims of a genuine ticket, type by type."""

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self._claims = claims
        self._jti = self._id("jti")
        self._job = self._id("job")

    def ticket(self, identity: Identity, now: float) -> Ticket:
        issued, expires = self._number("iat", 0), self._number("exp", 0)
        if expires - issued > MAX_LIFE:
            raise self._refused("it lives too long")
        if now > expires:
            raise self._refused("it has expired")
        if now < issued - SKEW:
            raise self._refused("it is from the future")
        if self._text("rp_id") != identity.rp_id or self._text("origin") != identity.origin:
            raise self._refused("it is for another site")
        op = self._word(Op, self._claims.get("op"))
        return Ticket(
            jti=self._jti,
            job=self._job,
            op=op,
            user=self._text("user"),
            key=self._text("key"),
            organisation=self._text("organisation"),
            rp_id=identity.rp_id,
            origin=identity.origin,
            options=self._options(op, identity),
            pin=self._pin(),
            resume=self._resume(),
            min_pin_length=self._number("min_pin_length", 4, 4, 63),
            force_change=self._claims.get("force_change") is True,
            code=self._text("code"),
            tap_seconds=self._number("tap_seconds", 60, 1, 600),
            expires_at=expires,
        )

    def _refused(self, reason: str) -> TicketRefused:
        return TicketRefused(reason, self._job, self._jti)

    def _id(self, name: str) -> str:
        value = self._claims.get(name)
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise TicketRefused(f"it has no usable {name}")
        return value

    def _text(self, name: str) -> str:
        value = self._claims.get(name)
        if not isinstance(value, str | None):
            raise self._refused(f"{name} is no text")
        return value or ""

    def _number(self, name: str, default: int, least: int = 0, most: int = 1 << 53) -> int:
        value = self._claims.get(name, default)
        if type(value) is not int or not least <= value <= most:
            raise self._refused(f"{name} is not a number from {least} to {most}")
        return value

    def _word(self, kind: type[Any], value: object) -> Any:
        try:
            return kind(value)
        except ValueError:
            raise self._refused(f"unknown {kind.__name__}: update this program") from None

    def _map(self, name: str) -> Mapping[str, Any]:
        value = self._claims.get(name)
        if not isinstance(value, dict | None):
            raise self._refused(f"{name} is no object")
        return value or {}

    def _options(self, op: Op, identity: Identity) -> Mapping[str, Any]:
        options = self._map("options")
        if op is Op.ENROL:
            rp = options.get("rp")
            named = rp.get("id") if isinstance(rp, dict) else None
        elif op in (Op.ASSERT, Op.VERIFY):
            named = options.get("rpId")
        else:
            return options
        if named != identity.rp_id:
            raise self._refused("its options are for another site")
        return options

    def _pin(self) -> PinOrder | None:
        order = self._map("pin")
        if not order:
            return None
        least = self._number("min_pin_length", 4, 4, 63)
        if order.get("mode") == "own":
            wanted = order.get("min_length", least)
            if type(wanted) is not int or not 4 <= wanted <= 63:
                raise self._refused("min_length is not a number from 4 to 63")
            return PinOrder(own=True, min_length=wanted)
        try:
            return PinOrder(own=False, sealed=unb64url(order.get("sealed")), min_length=least)
        except ValueError:
            raise self._refused("the PIN is not sealed") from None

    def _resume(self) -> Resume:
        resume = self._map("resume")
        if not resume:
            return Resume()
        uid, credential_id = resume.get("uid"), resume.get("credential_id")
        try:
            card = bytes.fromhex(uid) if uid else None
            credential = None if credential_id is None else unb64url(credential_id)
        except (TypeError, ValueError):
            raise self._refused("resume names no card") from None
        return Resume(
            step=self._word(JobStep, resume.get("step", JobStep.PREPARED)),
            uid=card,
            credential_id=credential,
            pin_maybe_set=resume.get("pin_maybe_set") is True,
        )


class TicketBook:
    """Tickets that were taken once. On disk, so that a restart opens no second chance."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: dict[str, float] = {}
        if path is not None:
            # A damaged book is no reason to stand still: what it held is expired in 120 s.
            with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
                stored = json.loads(path.read_text(encoding="utf-8"))
                self._seen = {str(jti): float(until) for jti, until in stored.items()}

    def take(self, ticket: Ticket, now: float) -> None:
        """Raises TicketRefused the second time. The book is on disk before the job begins."""
        if ticket.jti in self._seen:
            raise TicketRefused("it was used before")
        self._seen = {jti: until for jti, until in self._seen.items() if until > now}
        self._seen[ticket.jti] = max(now, ticket.expires_at) + REMEMBERED
        if self._path is not None:
            try:
                write_private(self._path, json.dumps(self._seen))
            except OSError:
                raise TicketRefused("it cannot be noted down", ticket.job, ticket.jti) from None
