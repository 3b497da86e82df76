# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which reader: the paired stations, the one used last on this browser first, with their states."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from provisioning.clock import DAY, SECOND
from provisioning.desks import stations
from provisioning.errors import InvalidValue, NotFound
from provisioning.models import Station, User

from .. import web

COOKIE = "__Host-kw_station"
_KEPT = 365 * DAY // SECOND


def offered(user: User | None) -> list[Station]:
    """Return the stations that may work for this person, the one used last here first."""
    last = request.cookies.get(COOKIE, "")
    return sorted(stations.serving(user), key=lambda station: station.resource_id != last)


def choices(user: User | None) -> dict[str, str]:
    """Return them as a drop-down's choices."""
    return {station.resource_id: station.name for station in offered(user)}


def chosen(resource_id: str) -> Station:
    """Return the station that was chosen; raises InvalidValue in words for the form."""
    try:
        return stations.living(resource_id)
    except NotFound as error:
        raise InvalidValue("Choose a reader.", "station") from error


def state(resource_id: str | None, user: User | None) -> dict[str, object] | None:
    """Return the live state of a station (of the first one by default), or None without any."""
    paired = offered(user)
    station = next((s for s in paired if s.resource_id == resource_id), None)
    if station is None:
        station = next(iter(paired), None)
    return shown(station) if station is not None else None


def shown(station: Station) -> dict[str, object]:
    """Return a station's state as the templates name it."""
    word = stations.shown_state(station)
    return {
        "state": "no_card" if word == "ready" else word,
        "reader": station.reader_name,
        "seen_at": station.last_seen_at,
    }


def remember(response: Response, station: Station) -> None:
    """Have this browser offer the station first the next time."""
    web.set_cookie(response, COOKIE, station.resource_id, max_age=_KEPT)
