# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Plain badges: cards without a FIDO2 application, kept as identifiers and never as keys.

A badge proves nothing: its UID can be read and copied by whoever comes near. So it signs nobody
in, and the UID is stored under a keyed hash only, to know the badge again. Functions never commit.
"""

from __future__ import annotations

import uuid

from .. import audit
from ..audit import Actor, Event
from ..errors import InvalidValue, NotFound, Taken
from ..models import Badge, Job, User
from ..services import Services

# ISO 14443-3 §6.5.4 and ISO 15693-3 §4.1: what the length of a UID tells.
_TECHNOLOGY = {
    4: "ISO 14443 A, UID of 4 bytes",
    7: "ISO 14443 A, UID of 7 bytes",
    10: "ISO 14443 A, UID of 10 bytes",
    8: "ISO 15693 or ISO 14443 B, UID of 8 bytes",
}


def uid_of(told: dict[str, object]) -> bytes | None:
    """Return the UID that a station told, if it is the same at each tap; else None."""
    try:
        uid = bytes.fromhex(str(told.get("uid") or ""))
    except ValueError:
        return None
    if not uid or (len(uid) == 4 and uid[0] == 0x08):  # ISO 14443-3: a random one
        return None
    return uid


def hash_of(uid: bytes, services: Services) -> str:
    """Return what is stored of a UID."""
    return services.vault.keyed_hash("card uid", uid).hex()


def add(user: User, uid: bytes | None, services: Services, actor: Actor) -> Badge:
    """Keep a badge as an identifier of this person.

    Raises InvalidValue for a card that shows another UID at each tap, Taken for one that is kept
    already, without naming whose it is.
    """
    if uid is None:
        raise InvalidValue(
            "This card shows another number at each tap: it cannot be told from others.", "uid"
        )
    uid_hash = hash_of(uid, services)
    if find(uid_hash) is not None:
        raise Taken("This badge is kept as an identifier already.", "uid")
    technology = _TECHNOLOGY.get(len(uid), f"UID of {len(uid)} bytes")
    made: Badge = Badge.create(
        resource_id=str(uuid.uuid4()),
        user=user,
        technology=technology,
        uid_hash=uid_hash,
        created_by=actor.name,
    )
    audit.record(actor, Event.BADGE_ADDED, user=user, technology=technology)
    return made


def remove(badge: Badge, actor: Actor) -> None:
    """Forget a badge."""
    audit.record(actor, Event.BADGE_REMOVED, user=badge.user, technology=badge.technology)
    badge.delete_instance()


def of_user(user: User) -> list[Badge]:
    """Return a person's badges, the oldest first."""
    return list(Badge.select().where(Badge.user == user).order_by(Badge.id))


def find(uid_hash: str) -> Badge | None:
    """Return the badge with this hash, or None."""
    found: Badge | None = Badge.get_or_none(Badge.uid_hash == uid_hash)
    return found


def get(resource_id: str, user: User) -> Badge:
    """Return a person's badge; raises NotFound."""
    found: Badge | None = Badge.get_or_none(Badge.resource_id == resource_id, Badge.user == user)
    if found is None:
        raise NotFound("There is no such identifier.")
    return found


def recognise(job: Job, told: dict[str, object], services: Services) -> None:
    """Note on a job that asks whose card this is that the badge is somebody's identifier."""
    uid = uid_of(told)
    badge = find(hash_of(uid, services)) if uid is not None else None
    if badge is not None:
        job.user = badge.user
