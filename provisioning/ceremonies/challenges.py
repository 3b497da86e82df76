# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Challenges: asked once, of one browser or job, for one purpose, answered at most once (R13)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ..clock import MINUTE, now_ms
from ..models import Challenge, SecurityKey, User
from .refusals import Refusal, refused

BYTES = 64
LIFETIME = 5 * MINUTE


@dataclass(frozen=True)
class TakenChallenge:
    """A challenge taken out of the database, good for one answer; `fault` says if it is none."""

    challenge: bytes
    user_id: int | None = None
    key_id: int | None = None
    fault: Refusal | None = None


def ask(
    purpose: str, binding: str, *, user: User | None = None, key: SecurityKey | None = None
) -> bytes:
    """Make a challenge and forget an older one for the same purpose and binding."""
    where = (Challenge.purpose == purpose) & (Challenge.binding == binding)
    Challenge.delete().where(where).execute()
    challenge = secrets.token_bytes(BYTES)
    Challenge.create(
        purpose=purpose,
        binding=binding,
        user=user,
        key=key,
        challenge=challenge,
        expires_at=now_ms() + LIFETIME,
    )
    return challenge


def take_challenge(
    purpose: str, binding: str, *, user: User | None = None, key: SecurityKey | None = None
) -> TakenChallenge:
    """Take the challenge out: whatever the answer is like, there is no second try.

    Never raises, so that the edge can commit the deletion before it verifies: what is wrong
    stands in `fault`, and verifying refuses it. `user` and `key`, if given, must be those that
    the question was made for.
    """
    where = (Challenge.purpose == purpose) & (Challenge.binding == binding)
    # One statement, so that of two answers at once only one finds the row.
    rows = list(Challenge.delete().where(where).returning(Challenge).execute())
    if not rows:
        return TakenChallenge(b"", fault=Refusal.NO_CHALLENGE)
    row = max(rows, key=lambda found: found.id)
    fault = None
    if row.expires_at <= now_ms():
        fault = Refusal.CHALLENGE_EXPIRED
    elif (user is not None and row.user_id != user.id) or (
        key is not None and row.key_id != key.id
    ):
        fault = Refusal.CHALLENGE_FOREIGN
    return TakenChallenge(bytes(row.challenge), row.user_id, row.key_id, fault)


def value_of(taken: TakenChallenge | None) -> bytes:
    """The bytes that an answer must hold. Raises CeremonyRefused where there are none."""
    if taken is None:
        raise refused(Refusal.NO_CHALLENGE)
    if taken.fault is not None:
        raise refused(taken.fault)
    return taken.challenge
