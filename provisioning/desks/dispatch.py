# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""From a queued job to the signed ticket that one station may run once."""

from __future__ import annotations

import base64
import json
import uuid

from .. import audit, keys
from ..ceremonies import ceremony
from ..clock import SECOND, now_ms
from ..issuing import group_policies, pins
from ..lifecycle import JobState, JobStep
from ..models import Credential, Job, PanelCredential, Station
from ..services import Services
from ..storage.db import tuples
from ..vault import SealBroken
from . import jobs, tickets, wipes
from .jobs import Op, PinMode

ENROL = "enrol"
_LONGEST_WAIT = 30 * SECOND  # of a poll; a station that was revoked in it hears so at once
QUIET = 3 * SECOND


def next_ticket(station: Station, services: Services) -> str | None:
    """Claim the station's oldest queued job and return its ticket, or None.

    One job at a time: while one runs, none is given. Called in a write transaction, so two web
    processes cannot claim the same job.
    """
    waiting = (
        Job.select()
        .where(Job.station == station, Job.state.in_((JobState.QUEUED, JobState.RUNNING)))
        .order_by(Job.id)
    )
    open_jobs = [job for job in map(jobs.settle, waiting) if job.state in jobs.OPEN]
    if any(job.state == JobState.RUNNING for job in open_jobs):
        return None
    job = next((job for job in open_jobs if job.state == JobState.QUEUED), None)
    if job is None:
        return None
    try:
        claims = _claims(job, station, services)
    except SealBroken:
        jobs.interrupt(job, "refused_ticket", audit.SYSTEM)
        return None
    job.state = JobState.RUNNING
    job.ticket_id = str(claims["jti"])
    job.ticket_expires_at = now_ms() + jobs.TICKET_S * SECOND
    jobs.save(job)
    return tickets.sign_ticket(services.vault, claims, jobs.TICKET_S)


def stations_with_news() -> dict[int, int]:
    """Return the stations that a job waits for and that are not at work, and those just revoked.

    By row id, each with the time of its newest job's last change, so that news can be told.
    """
    open_jobs = list(
        tuples(
            Job.select(Job.station, Job.state, Job.updated_at).where(
                Job.finished_at.is_null(), Job.state.in_((JobState.QUEUED, JobState.RUNNING))
            )
        )
    )
    busy = {station for station, state, _ in open_jobs if state == JobState.RUNNING}
    wanted: dict[int, int] = {}
    for station, _, changed in open_jobs:
        if station not in busy:
            wanted[station] = max(changed, wanted.get(station, 0))
    ended = Station.select(Station.id, Station.revoked_at).where(
        Station.revoked_at > now_ms() - _LONGEST_WAIT
    )
    return wanted | dict(tuples(ended))


def take_back(station: Station) -> bool:
    """Let go of a job that the station does not have, though its ticket went out.

    False where it is too early to say: let the station ask again in `QUIET` ms.

    Called when a station asks for work: it runs one job at a time and asks only between two. A
    ticket whose answer was lost on the way is given out anew; a job that broke off (the station
    restarted, or could not tell its end) is interrupted at once instead of minutes later.
    """
    out = Job.get_or_none(Job.station == station, Job.state == JobState.RUNNING)
    # It may ask on two connections at once, so a ticket of this very moment says nothing.
    if out is None:
        return True
    if now_ms() - jobs.heard_at(out) < QUIET:
        return False
    jobs.interrupt(out, "station_gone", audit.SYSTEM)
    if "at" not in jobs.card_of(out):
        jobs.requeue(out, audit.SYSTEM)
    return True


def _claims(job: Job, station: Station, services: Services) -> dict[str, object]:
    settings = services.settings
    return {
        "iss": settings.origin,
        "aud": station.resource_id,
        "jti": str(uuid.uuid4()),
        "job": job.resource_id,
        "op": job.op,
        "user": _shown_person(job),
        "key": job.key.name if job.key is not None else "",
        "organisation": settings.organisation,
        "rp_id": settings.rp_id,
        "origin": settings.origin,
        "options": _options(job, services),
        "pin": _pin(job, station, services),
        "resume": _resume(job),
        "min_pin_length": _least(job, services),
        "force_change": job.pin_mode == PinMode.SERVER,
        "code": job.code,
        "tap_seconds": jobs.TAP_S,
    }


def _shown_person(job: Job) -> str:
    if job.account is not None:
        return str(job.account.name)
    if job.user is not None:
        return str(job.user.display_name)
    return str(jobs.card_of(job).get("person") or "")


def _options(job: Job, services: Services) -> dict[str, object] | None:
    party = ceremony.RelyingParty(
        services.settings.rp_id, services.settings.origin, services.settings.organisation
    )
    binding = jobs.binding_of(job)
    if job.op == Op.ENROL:
        key = jobs.key_of(job)
        person = _shown_person(job) or key.name
        text = ceremony.registration_options(
            party,
            purpose=ENROL,
            binding=binding,
            user_handle=bytes(key.user_handle),
            user_name=job.user.user_name if job.user is not None else person,
            display_name=person,
            exclude=keys.credential_ids(job.user),
            resident=True,
            attachment="cross-platform",
            attestation="direct",
            user=job.user,
            key=key,
        )
    elif job.op == Op.ASSERT:
        allow = None
        if job.account is not None:
            mine = PanelCredential.select().where(PanelCredential.account == job.account)
            allow = [bytes(row.credential_id) for row in mine]
        text = ceremony.authentication_options(
            party, purpose=job.purpose, binding=binding, allow=allow, user=job.user
        )
    elif job.op == Op.VERIFY:
        text = ceremony.authentication_options(
            party, purpose=job.purpose, binding=binding, allow=None, need_uv=False
        )
    else:
        return None
    options: dict[str, object] = json.loads(text)
    return options


def _pin(job: Job, station: Station, services: Services) -> dict[str, object] | None:
    if job.op != Op.ENROL:
        return None
    if job.pin_mode == PinMode.OWN:
        return {"mode": "own", "min_length": _least(job, services)}
    pin = pins.unseal(services.vault, job)
    sealed = tickets.seal_pin(pin, bytes(station.sealing_key), job.resource_id)
    return {"mode": "server", "sealed": sealed}


def _least(job: Job, services: Services) -> int:
    """Return the length that a PIN must have: an enrolment knows it, a change asks the policy."""
    if job.pin_length:
        return int(job.pin_length)
    return group_policies.of_user(job.user, services.settings).policy.pin_length


def _resume(job: Job) -> dict[str, object]:
    card = jobs.card_of(job)
    made = (
        Credential.get_or_none(Credential.key == job.key)
        if job.key is not None and job.op == Op.ENROL and job.step != JobStep.PREPARED
        else None
    )
    known = None
    if made is not None:
        known = base64.urlsafe_b64encode(bytes(made.credential_id)).rstrip(b"=").decode()
    return {
        "step": job.step,
        "uid": card.get("uid"),
        "credential_id": known,
        "pin_maybe_set": jobs.card_touched(job) or wipes.has_begun(job),
    }
