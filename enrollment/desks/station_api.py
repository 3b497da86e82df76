# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The stations' door: pair once, then poll for tickets and tell what happens at the card.

JSON in and out, no cookies: every request is signed by the station's own key (`tickets`), for
the address that is configured and not for the one in the Host header.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator
from importlib import metadata
from time import monotonic, sleep

from flask import Blueprint, Response, current_app, g, jsonify, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

from provisioning import errors
from provisioning.ceremonies import ceremony
from provisioning.clock import SECOND, now_ms
from provisioning.desks import desk_events, dispatch, jobs, stations, tickets, turns
from provisioning.desks.desk_events import Reply
from provisioning.desks.tickets import ClockSkew
from provisioning.errors import (
    InvalidValue,
    KeywrightError,
    LinkDead,
    NotFound,
    PolicyForbids,
    Unauthenticated,
)
from provisioning.lifecycle import JobState
from provisioning.models import Job, Station
from provisioning.processes.watch import EXTENSION as WATCH
from provisioning.processes.watch import Watch
from provisioning.services import EXTENSION, services
from provisioning.storage.db import BREATH, transaction

from .. import web

BODY_LIMIT = 64 * 1024
LONGEST_WAIT = 25
HINT_S = 2  # when to come back if all places are taken

Body = dict[str, object]

blueprint = Blueprint("station_api", __name__, url_prefix="/station/v1")


class Revoked(Unauthenticated):
    """The signature is right, and the station was ended. 410."""


class NotOut(KeywrightError):
    """The ticket is not the one that is out at the station. 409."""


_ANSWERS: dict[type[KeywrightError], tuple[int, str]] = {
    Revoked: (410, "revoked"),
    NotOut: (409, "ticket"),
    InvalidValue: (400, "invalid"),
    errors.Unauthenticated: (401, "signature"),
    errors.Forbidden: (403, "forbidden"),
    errors.NotFound: (404, "not_found"),
    errors.Taken: (409, "state"),
    errors.WrongState: (409, "state"),
    errors.LinkDead: (409, "state"),
}


@blueprint.record_once
def _open(state: BlueprintSetupState) -> None:
    threads = state.app.extensions[EXTENSION].settings.web_threads
    state.app.extensions[WATCH] = Watch(max(1, threads // 2))


@blueprint.before_request
def _limit() -> None:
    request.max_content_length = BODY_LIMIT


@blueprint.post("/pair")
def pair() -> ResponseReturnValue:
    """Trade a one-time code for a station id; the request is signed by the key that it brings."""
    body = web.json_body()
    signing, sealing = _raw(body, "signing_key"), _raw(body, "sealing_key")
    tickets.seal_pin("", sealing, "")  # some 32 bytes are no X25519 key: said now, not at a tap
    _verify(lambda kid: signing if kid == "pairing" else b"")
    given = services()
    with transaction():
        # A wrong code is a try, and is committed as one.
        station = stations.pair(
            given.vault,
            _text(body, "code"),
            name=_text(body, "name"),
            signing_key=signing,
            sealing_key=sealing,
            version=_text(body, "version"),
        )
    if station is None:
        sentence = _("This pairing code is wrong, was used or is too old. Ask for a new one.")
        return jsonify(error="pairing_code", message=sentence), 403
    settings = given.settings
    return jsonify(
        station_id=station.resource_id,
        name=station.name,
        server_key=_encoded(given.vault.signing_key.public_key().public_bytes_raw()),
        rp_id=settings.rp_id,
        origin=settings.origin,
        organisation=settings.organisation,
        version=metadata.version("keywright"),
    ), 201


@blueprint.post("/poll")
def poll() -> ResponseReturnValue:
    """Hear how the station is, and answer with its next ticket: at once, or as soon as there is."""
    station, taken = _signed()
    body = web.json_body()
    with transaction():
        station = _living(taken.station_id)  # it may have been revoked while this one waited
        stations.take_request(station, taken.jti, taken.expires_at)
        stations.seen(
            station,
            state=_text(body, "state"),
            reader=_text(body, "reader"),
            version=_text(body, "version"),
            readers=_readers(body),
            clock_offset=_clock(body),
        )
        sure = dispatch.take_back(station)
        more = turns.tend(station, _text(body, "state"), services())
        ticket = dispatch.next_ticket(station, services())
        seconds = _seconds(body) if sure else min(_seconds(body), dispatch.QUIET / SECOND)
        if ticket is None and seconds:
            stations.waits(station, taken.jti)
    if ticket is not None:
        return jsonify(ticket=ticket)
    if not seconds:
        return _nothing()
    watch: Watch = current_app.extensions[WATCH]
    with watch.place() as mine:
        if not mine:
            return _nothing(HINT_S)
        looks = _looks(watch, station, seconds, lambda: more)
        for _look in looks:
            with transaction():
                station = _living(station.resource_id)
                if station.waits != taken.jti:
                    return _nothing()  # the station restarted, and asks anew
                more = more and turns.tend(station, _text(body, "state"), services())
                ticket = dispatch.next_ticket(station, services())
            if ticket is not None:
                return jsonify(ticket=ticket)
    return _nothing()


@blueprint.post("/jobs/<job_id>/events")
def events(job_id: str) -> ResponseReturnValue:
    """Take one event of the job whose ticket is out at this station."""
    station, signed = _signed()
    body = web.json_body()
    event, ticket = _text(body, "event"), _text(body, "ticket")
    with transaction():
        station = _living(signed.station_id)
        # What may be used once is used up before the event itself can fail and roll back.
        stations.take_request(station, signed.jti, signed.expires_at)
        stations.at_work(station)
        job = _job_of(station, job_id)
        purpose = desk_events.challenge_purpose(job, event) if jobs.is_out(job, ticket) else None
        taken = ceremony.take_challenge(purpose, jobs.binding_of(job)) if purpose else None
    try:
        with transaction():
            station = _living(signed.station_id)
            job = _job_of(station, job_id)
            reply = _before(job, event, ticket) or desk_events.handle(
                job, event, body, services(), taken
            )
    except LinkDead:
        with transaction():
            reply = desk_events.link_died(_job_of(station, job_id))
    except PolicyForbids as forbids:
        with transaction():
            reply = desk_events.policy_changed(_job_of(station, job_id), forbids)
    told = {"model": reply.model} if reply.model else {}
    if reply.go:
        return jsonify(go=True, **told)
    return jsonify(go=False, reason=reply.reason, message=reply.message, **told)


def _before(job: Job, event: str, ticket: str) -> Reply | None:
    """Answer for a job that has ended; None for one whose ticket is out. Raises NotOut."""
    if job.state == JobState.CANCELLED:
        return Reply(False, "cancelled", _("This was cancelled on the page."))
    if job.state == JobState.DONE and job.ticket_id == ticket and event in ("done", "assertion"):
        return desk_events.GO  # said again, because the answer was lost on the way
    if not jobs.is_out(job, ticket):
        raise NotOut(_("This job has stopped. Start it again on the page."))
    return None


def _job_of(station: Station, job_id: str) -> Job:
    job = jobs.get(job_id)
    if job.station_id != station.id:
        raise NotFound(_("There is no such job."))
    return job


def _signed() -> tuple[Station, tickets.StationRequest]:
    """Return who signed this request; raises Unauthenticated, ClockSkew, Revoked."""
    taken = _verify(lambda kid: bytes(_known(kid).signing_key))
    g.station = _living(taken.station_id)
    return g.station, taken


def _known(station_id: str) -> Station:
    station: Station | None = Station.get_or_none(Station.resource_id == station_id)
    if station is None:
        raise NotFound("There is no such station.")
    return station


def _living(station_id: str) -> Station:
    station = _known(station_id)
    if station.revoked_at is not None:
        raise Revoked(_("This station was revoked. Pair it again."))
    return station


def _verify(key_for: Callable[[str], bytes]) -> tickets.StationRequest:
    return tickets.verify_station_request(
        request.headers.get("Authorization", ""),
        method=request.method,
        url=services().settings.base_url + request.path,
        body=request.get_data(),
        key_for=key_for,
        now=now_ms(),
    )


def _text(body: Body, name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > 256:
        raise InvalidValue(f"{name} is a text of at most 256 characters.", name)
    return value


def _raw(body: Body, name: str) -> bytes:
    try:
        key = base64.urlsafe_b64decode(_text(body, name) + "==")
    except ValueError:
        key = b""
    if len(key) != 32:
        raise InvalidValue(f"{name} is 32 bytes in base64url.", name)
    return key


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _readers(body: Body) -> list[tuple[str, str]]:
    told = body.get("readers", [])
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise InvalidValue("readers is a list of objects with name and state.", "readers")
    return [(_text(one, "name"), _text(one, "state")) for one in told]


def _clock(body: Body) -> int:
    offset = body.get("clock", 0)
    if type(offset) is not int:
        raise InvalidValue("clock is a whole number of seconds.", "clock")
    return offset


def _looks(
    watch: Watch, station: Station, seconds: float, goes_on: Callable[[], bool]
) -> Iterator[None]:
    """Yield whenever to look for work: at once while `goes_on` says so, then when it may be there.

    Until the time is over; others can write before each.
    """
    until = monotonic() + seconds
    while goes_on() and monotonic() < until and not watch.is_over:
        sleep(BREATH)
        yield
    yield from watch.wakes(station.id, until - monotonic())


def _seconds(body: Body) -> float:
    wait = body.get("wait", 0)
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not math.isfinite(wait):
        raise InvalidValue("wait is a number of seconds.", "wait")
    return min(max(float(wait), 0.0), LONGEST_WAIT)


@blueprint.after_request
def _tell_version(response: Response) -> Response:
    """Tell a station that has proved itself which version runs here; nobody else (R30)."""
    if "station" in g:
        response.headers["Keywright-Version"] = metadata.version("keywright")
    return response


def _nothing(retry_after: int | None = None) -> Response:
    response = Response(status=204)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    if current_app.extensions[WATCH].is_over:
        response.headers["Connection"] = "close"  # or it would be asked again on this one
    return response


@blueprint.errorhandler(KeywrightError)
def _refuse(error: KeywrightError) -> ResponseReturnValue:
    if isinstance(error, ClockSkew):
        return jsonify(error="clock", message=str(error), server_time=now_ms() // SECOND), 401
    kinds = (kind for kind in type(error).__mro__ if kind in _ANSWERS)
    status, word = _ANSWERS.get(next(kinds, KeywrightError), (400, "refused"))
    return jsonify(error=word, message=str(error)), status


@blueprint.errorhandler(HTTPException)
def _http(error: HTTPException) -> ResponseReturnValue:
    words = {413: "too_large", 429: "slow_down"}
    status = error.code or 500
    kept = {n: v for n, v in error.get_headers() if n in ("Allow", "Retry-After")}
    return jsonify(error=words.get(status, "refused"), message=error.name), status, kept
