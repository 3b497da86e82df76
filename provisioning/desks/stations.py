# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Stations: desks with a reader, paired by a one-time code, known by their own keys."""

from __future__ import annotations

import json
import secrets
import uuid

from peewee import IntegrityError

from .. import audit
from ..audit import Actor, Event
from ..clock import MINUTE, SECOND, now_ms
from ..errors import Forbidden, InvalidValue, NotFound, Unauthenticated
from ..models import PairingCode, RequestId, Station, User
from ..vault import Vault

CODE_LIFETIME = 10 * MINUTE
CODE_TRIES = 5
OFFLINE_AFTER = 40 * SECOND  # a poll holds at most 25 s
_TOUCH_EVERY = 10 * SECOND
MAX_NAME = 64
MAX_READERS, MAX_READER_NAME = 16, 200
SKEW_TOLD = 60  # seconds; below that a station's clock is right enough, and nobody hears of it
_FAR = 10**10
STATES = ("no_reader", "no_card", "card", "busy")


def make_code(vault: Vault, actor: Actor, user: User | None = None) -> tuple[PairingCode, str]:
    """Return a pairing code of eight digits, ten minutes good, and its row (hash only).

    With `user` it makes a station of that person's own, which serves nobody else.
    """
    code = f"{secrets.randbelow(10**8):08d}"
    row = PairingCode.create(
        code_hash=vault.keyed_hash("pairing code", code.encode()),
        created_by=actor.name,
        user=user,
        expires_at=now_ms() + CODE_LIFETIME,
    )
    return row, code


def pair(
    vault: Vault, code: str, *, name: str, signing_key: bytes, sealing_key: bytes, version: str
) -> Station | None:
    """Take a code and make the station; None for a code that is wrong, used or too old.

    A wrong code counts against every code that is open, and the fifth closes them: None must be
    committed by the caller, not rolled back. Raises InvalidValue for bad keys or name.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidValue(f"A station's name has 1 to {MAX_NAME} characters.", "name")
    if len(signing_key) != 32 or len(sealing_key) != 32:
        raise InvalidValue("A station's keys have 32 bytes each.", "signing_key")
    now = now_ms()
    row = PairingCode.get_or_none(
        PairingCode.code_hash == vault.keyed_hash("pairing code", code.encode()),
        PairingCode.used_at.is_null(),
        PairingCode.expires_at > now,
        PairingCode.tries < CODE_TRIES,
    )
    if row is None or (row.user is not None and not row.user.active):
        PairingCode.update(tries=PairingCode.tries + 1).where(
            PairingCode.used_at.is_null(), PairingCode.expires_at > now
        ).execute()
        return None
    station = Station.create(
        resource_id=str(uuid.uuid4()),
        name=name,
        signing_key=signing_key,
        sealing_key=sealing_key,
        version=version[:32],
        last_seen_at=now,
        user=row.user,
    )
    row.used_at, row.station = now, station
    row.save()
    audit.record(
        Actor("station", station.resource_id, name),
        Event.STATION_PAIRED,
        user=row.user,
        station=name,
        code_made_by=row.created_by,
    )
    return station


def living(resource_id: str) -> Station:
    """Return a station that is not revoked; raises NotFound."""
    station = Station.get_or_none(Station.resource_id == resource_id, Station.revoked_at.is_null())
    if station is None:
        raise NotFound("There is no such station.")
    return station


def all_living() -> list[Station]:
    """Return every station that is not revoked, by name."""
    return list(Station.select().where(Station.revoked_at.is_null()).order_by(Station.name))


def serving(user: User | None) -> list[Station]:
    """Return the stations that may work for this person: the shared ones and their own."""
    return [station for station in all_living() if serves(station, user)]


def serves(station: Station, user: User | None) -> bool:
    """Say whether a station may work for this person (None: nobody known yet)."""
    return station.user_id is None or (user is not None and station.user_id == user.id)


def take_request(station: Station, jti: str, expires_at: int) -> None:
    """Remember a signed request's id; raises Unauthenticated for one that was seen."""
    try:
        RequestId.create(station=station, jti=jti, expires_at=expires_at)
    except IntegrityError as error:
        raise Unauthenticated("This request was sent before.") from error


def seen(
    station: Station,
    *,
    state: str,
    reader: str,
    version: str,
    readers: list[tuple[str, str]] | None = None,
    clock_offset: int = 0,
) -> None:
    """Store what a station tells of itself; `readers` are (name, state), as far as it has several.

    Raises InvalidValue for a state that is none, or for more readers than a desk can have.
    """
    readers = readers or []
    if not {state, *(one for _, one in readers)} <= set(STATES):
        raise InvalidValue(f"A station's state is one of {', '.join(STATES)}.", "state")
    if len(readers) > MAX_READERS:
        raise InvalidValue(f"A station has at most {MAX_READERS} readers.", "readers")
    told = [{"name": _printable(name), "state": one} for name, one in readers]
    Station.update(
        state=state,
        reader_name=_printable(reader),
        readers=json.dumps(told, ensure_ascii=False),
        clock_offset=max(-_FAR, min(clock_offset, _FAR)),
        version=version[:32],
        last_seen_at=now_ms(),
    ).where(Station.id == station.id).execute()


def readers_of(station: Station) -> list[dict[str, str]]:
    """Return the readers that the station told of last: name and state."""
    told: list[dict[str, str]] = json.loads(station.readers)
    return told


def _printable(name: str) -> str:
    """Return a reader's name as a page may show it: whatever a driver calls itself."""
    return "".join(c if c.isprintable() else "·" for c in name)[:MAX_READER_NAME]


def waits(station: Station, request_id: str) -> None:
    """Note which request of a station waits for work now; earlier ones get none any more."""
    Station.update(waits=request_id).where(Station.id == station.id).execute()


def at_work(station: Station) -> None:
    """Note that a station speaks of its job: it asks for no other work meanwhile."""
    now = now_ms()
    if station.state != "busy" or now - (station.last_seen_at or 0) > _TOUCH_EVERY:
        Station.update(state="busy", last_seen_at=now).where(Station.id == station.id).execute()


def shown_state(station: Station) -> str:
    """Return ready, card, busy, no_reader, offline or revoked, as it counts now."""
    if station.revoked_at is not None:
        return "revoked"
    if station.last_seen_at is None or now_ms() - station.last_seen_at > OFFLINE_AFTER:
        return "offline"
    return {"no_card": "ready"}.get(station.state, station.state)


def rename(station: Station, name: str, actor: Actor) -> None:
    """Give a station another name."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidValue(f"A station's name has 1 to {MAX_NAME} characters.", "name")
    old, station.name = station.name, name
    Station.update(name=name).where(Station.id == station.id).execute()
    audit.record(actor, Event.STATION_RENAMED, old=old, station=name)


def revoke_of(user: User, actor: Actor) -> None:
    """End the stations of a person's own."""
    for station in Station.select().where(Station.user == user, Station.revoked_at.is_null()):
        revoke(station, actor)


def revoke(station: Station, actor: Actor) -> None:
    """End a station at once: its next request is refused."""
    station.renew()
    if station.revoked_at is not None:
        raise Forbidden("This station is revoked already.")
    station.revoked_at = now_ms()
    Station.update(revoked_at=station.revoked_at).where(Station.id == station.id).execute()
    audit.record(actor, Event.STATION_REVOKED, station=station.name)
