# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a station tells of a job, event by event, and what the server makes of it.

Each event is one transaction at the edge, so every step is on record before the station goes on
(R20): prepared → tapped → pin_set → registered → change_forced → done. A key becomes active at
`done`, never before, and only if its wizard is confirmed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .. import audit, keys
from ..audit import Actor, Event
from ..ceremonies import attestation, ceremony
from ..ceremonies.ceremony import TakenChallenge
from ..ceremonies.refusals import Refusal
from ..clock import now_ms
from ..errors import (
    CeremonyRefused,
    Forbidden,
    InvalidValue,
    KeywrightError,
    PolicyForbids,
    WrongState,
)
from ..issuing import assignment, badges
from ..lifecycle import JobState, JobStep, KeyState, reached
from ..models import Credential, Job, PanelCredential, SecurityKey
from ..panel import sign_in
from ..services import Services
from . import faults, jobs, recognition, stations, turns, wipes
from .jobs import Op

Body = Mapping[str, object]

# Words for what the card told that are safe to keep and to show.
_CARD_FACTS = (
    "uid",
    "fido",
    "versions",
    "aaguid",
    "client_pin",
    "force_pin_change",
    "can_force_change",
    "pin_retries",
    "min_pin_length",
)


@dataclass(frozen=True)
class Reply:
    """What the station hears: go on, or stop and why (a fault word and its sentence).

    `model` is what the card says it is, by name, for the desk to show.
    """

    go: bool
    reason: str = ""
    message: str = ""
    model: str = ""


GO = Reply(True)


def challenge_purpose(job: Job, event: str) -> str | None:
    """Return the purpose of the challenge that this event answers, or None.

    The edge takes the challenge in a transaction of its own first: a challenge is dead after one
    try, also when the try fails.
    """
    if event == "credential" and not _is_registered(job):
        return "enrol"
    if event == "assertion":
        return str(job.purpose)
    return None


def handle(
    job: Job, event: str, body: Body, services: Services, taken: TakenChallenge | None
) -> Reply:
    """Apply one event in the caller's transaction. Raises InvalidValue for one it cannot read."""
    actor = Actor("station", job.station.resource_id, job.station.name)
    jobs.heard(job)
    if event == "fault":
        return _fault(job, body, actor)
    if event == "waiting":
        # Said again every few seconds, also while a PIN is typed: only the first one is news.
        if "at" not in jobs.card_of(job):
            jobs.tell(job, at="waiting", since=now_ms())
        return GO
    if event == "card":
        reply = _card(job, body, services, actor)
        return replace(reply, model=str(jobs.card_of(job).get("model") or ""))
    if event == "done":
        return _done(job, services, actor)
    if job.op == Op.ENROL:
        if event == "pin_setting":
            jobs.tell(job, pin_setting=True)
            _written(job, services)
            return GO
        if event == "pin_set":
            jobs.step_to(job, JobStep.PIN_SET)
            return GO
        if event == "credential":
            return _credential(job, body, services, taken, actor)
        if event == "change_forced":
            return _change_forced(job, body, services, actor)
    if job.op == Op.RESET and event == "wiping":
        wipes.begin(job, services, actor)
        return GO
    if event == "assertion" and job.op == Op.ASSERT:
        return _assertion(job, body, services, taken, actor)
    if event == "assertion" and job.op == Op.VERIFY:
        return _recognised(job, body, services, taken, actor)
    if event == "change_forced" and job.op == Op.FORCE_CHANGE:
        return _demands_change(job, body, actor)
    raise InvalidValue(f"There is no event {event[:32]!r} in a job of the kind {job.op}.", "event")


def link_died(job: Job) -> Reply:
    """Stop a job whose activation link ended while its card was written; a new link resumes it."""
    actor = Actor("station", job.station.resource_id, job.station.name)
    return _stop(job, "link_dead", actor)


def policy_changed(job: Job, forbids: PolicyForbids) -> Reply:
    """Stop a job for which the policy became stricter while its card was written."""
    actor = Actor("station", job.station.resource_id, job.station.name)
    return _stop(job, "refused", actor, str(forbids))


def _card(job: Job, body: Body, services: Services, actor: Actor) -> Reply:
    facts = {name: body[name] for name in _CARD_FACTS if name in body}
    if len(str(facts)) > 2_000:
        raise InvalidValue("The card's description is too long.", "card")
    model = attestation.told_name(services.settings, str(body.get("aaguid")))
    jobs.tell(job, at="card", model=model, **facts)
    known = _credential_ids(body.get("known"))
    if job.op == Op.VERIFY and body.get("fido") is False:
        badges.recognise(job, jobs.card_of(job), services)
        jobs.save(job)
    if job.op == Op.ENROL:
        jobs.step_to(job, JobStep.TAPPED)
        audit.record(actor, Event.JOB_TAPPED, user=job.user, key=job.key, op=job.op)
        if _must_force(job) and not body.get("can_force_change"):
            return _stop(job, "cannot_force_change", actor)
        return _whose(job, known, services, actor)
    if job.op == Op.CHANGE_PIN and job.key is None:
        return _find_key(job, known, actor)
    if job.op == Op.FORCE_CHANGE and not body.get("can_force_change"):
        return _stop(job, "no_forced_change", actor)
    if job.op in (Op.CHANGE_PIN, Op.RESET, Op.FORCE_CHANGE) and job.key is not None:
        mine = Credential.select().where(
            Credential.key == job.key, Credential.credential_id.in_(known)
        )
        if not (known and mine.exists()) and not wipes.any_card_will_do(job):
            return _stop(job, "no_credential", actor)
        if job.op == Op.RESET:
            return _whose(job, known, services, actor)
    return GO


def _find_key(job: Job, known: list[bytes], actor: Actor) -> Reply:
    """Learn from the card whose PIN is to be changed: an active key of somebody served here."""
    key = (
        SecurityKey.select()
        .join(Credential)
        .where(Credential.credential_id.in_(known), SecurityKey.state == KeyState.ACTIVE)
        .first()
    )
    if key is None or not stations.serves(job.station, key.user):
        return _stop(job, "no_credential", actor)
    job.key, job.user = key, key.user
    jobs.save(job)
    return GO


def _whose(job: Job, known: list[bytes], services: Services, actor: Actor) -> Reply:
    """Refuse a card that is a living key already, without naming its holder."""
    holders = (
        list(
            SecurityKey.select(SecurityKey.id, SecurityKey.user)
            .join(Credential)
            .where(
                Credential.credential_id.in_(known),
                SecurityKey.id != job.key_id,
                SecurityKey.state.in_(keys.LIVING),
            )
        )
        if known
        else []
    )
    word = turns.taken_from(job, holders, _uid_hash(job, services))
    if word is not None:
        return _stop(job, word, actor)
    for holder in holders:
        mine = job.user_id is not None and holder.user_id == job.user_id
        return _stop(job, "already_enrolled" if mine else "card_taken", actor)
    return GO


def _uid_hash(job: Job, services: Services) -> str | None:
    """Return the keyed hash of the card's UID, if that is the same at each tap."""
    uid = badges.uid_of(jobs.card_of(job))
    return badges.hash_of(uid, services) if uid is not None else None


def _written(job: Job, services: Services) -> None:
    """Note on the key which card may carry it from here on."""
    key = jobs.key_of(job)
    key.uid_hash = _uid_hash(job, services)
    key.save()


def _credential(
    job: Job, body: Body, services: Services, taken: TakenChallenge | None, actor: Actor
) -> Reply:
    response = body.get("response")
    if not isinstance(response, dict):
        raise InvalidValue("The registration response is missing.", "response")
    if _is_registered(job):
        # Sent again because the answer was lost on the way.
        same = Credential.get_or_none(Credential.key == job.key)
        sent = ceremony.credential_id_of(response)
        if same is not None and bytes(same.credential_id) == sent:
            return GO
        return _stop(job, "card_swapped", actor)
    try:
        verified = ceremony.verify_registration(
            response,
            taken,
            policy=attestation.load_policy(services.settings),
            party=sign_in.party(services),
        )
    except CeremonyRefused as refused:
        audit.record(actor, Event.KEY_REFUSED, user=job.user, key=job.key, reason=refused.reason)
        proof = refused.reason.startswith(("attestation_", "model_"))
        fault = "attestation_refused" if proof else "refused"
        return _stop(job, fault, actor, str(refused))
    jobs.step_to(job, JobStep.CREDENTIAL_MADE)
    _written(job, services)
    keys.register(jobs.key_of(job), verified, services.settings.rp_id, actor)
    jobs.step_to(job, JobStep.REGISTERED)
    return GO


def _change_forced(job: Job, body: Body, services: Services, actor: Actor) -> Reply:
    if not _is_registered(job):
        raise WrongState("The credential comes before the forced change.")
    forced = body.get("forced") is True
    if _must_force(job) and not forced:
        return _stop(job, "cannot_force_change", actor)
    key = jobs.key_of(job)
    key.pin_change_forced = forced
    key.save()
    jobs.step_to(job, JobStep.CHANGE_FORCED)
    return GO


def _done(job: Job, services: Services, actor: Actor) -> Reply:
    if job.op == Op.ENROL:
        own = job.pin_mode == jobs.PinMode.OWN
        wanted = JobStep.REGISTERED if own else JobStep.CHANGE_FORCED
        if not reached(JobStep(job.step), wanted):
            raise WrongState("The card is not finished yet.")
        jobs.step_to(job, JobStep.DONE)
        jobs.finish(job, actor)
        if jobs.key_of(job).state == KeyState.PENDING:
            assignment.complete(job, services, actor)
            turns.done(job)
        return GO
    if job.op in (Op.ASSERT, Op.VERIFY):
        raise WrongState("This ends with the card's assertion.")
    key = jobs.key_of(job)
    if job.op == Op.RESET and not wipes.has_begun(job):
        raise WrongState("The wipe comes before its end.")
    jobs.finish(job, actor)
    if job.op == Op.RESET:
        wipes.end(job, services, actor)
    elif job.op == Op.CHANGE_PIN:
        key.pin_change_forced = False
        key.save()
        audit.record(actor, Event.PIN_CHANGED, user=job.user, key=key, name=key.name)
    return GO


def _assertion(
    job: Job, body: Body, services: Services, taken: TakenChallenge | None, actor: Actor
) -> Reply:
    response = body.get("response")
    if not isinstance(response, dict):
        raise InvalidValue("The authentication response is missing.", "response")
    try:
        _check_own_station(job, response)
        if job.account is not None or job.purpose != sign_in.USER:
            account = sign_in.account_by(response, taken, services)
            if job.account is not None and account != job.account:
                raise CeremonyRefused("This is not your key.", "foreign_credential")
            job.account = account
        else:
            key = sign_in.user_key_by(response, taken, services)
            job.key, job.user = key, key.user
    except KeywrightError as refused:
        reason = getattr(refused, "reason", "refused")
        audit.record(actor, Event.SIGN_IN_REFUSED, reason=reason, station=job.station.name)
        if reason == Refusal.SIGN_COUNT_REGRESSED:
            sign_in.lock_regressed(response, actor)
        return _stop(job, "refused", actor, str(refused))
    jobs.finish(job, actor)
    return GO


def _recognised(
    job: Job, body: Body, services: Services, taken: TakenChallenge | None, actor: Actor
) -> Reply:
    response = body.get("response")
    try:
        recognition.recognise(job, response, taken, services, actor)
    except CeremonyRefused as refused:
        if refused.reason == Refusal.SIGN_COUNT_REGRESSED:
            sign_in.lock_regressed(response, actor)
        unknown = refused.reason == "unknown_credential"
        return _stop(job, "no_credential" if unknown else "refused", actor, str(refused))
    jobs.finish(job, actor)
    return GO


def _demands_change(job: Job, body: Body, actor: Actor) -> Reply:
    if body.get("forced") is not True:
        return _stop(job, "no_forced_change", actor)
    key = jobs.key_of(job)
    key.pin_change_forced = True
    key.save()
    audit.record(actor, Event.PIN_CHANGE_FORCED, user=job.user, key=key, name=key.name)
    return GO


def _check_own_station(job: Job, response: object) -> None:
    """Raise Forbidden where a person's own station answers for somebody else's key."""
    if job.station.user_id is None:
        return
    credential_id = ceremony.credential_id_of(response)
    used = Credential.get_or_none(Credential.credential_id == credential_id)
    panels = PanelCredential.get_or_none(PanelCredential.credential_id == credential_id)
    holder = used.key.user if used else panels.account.user if panels else None
    if not stations.serves(job.station, holder):
        raise Forbidden("This reader is somebody's own.")


def _fault(job: Job, body: Body, actor: Actor) -> Reply:
    word = str(body.get("fault"))
    fault = faults.of(word)
    jobs.tell(job, detail=str(body.get("detail") or "")[:200])
    jobs.interrupt(job, fault.word, actor)
    return GO


def _stop(job: Job, word: str, actor: Actor, message: str = "") -> Reply:
    if job.state == JobState.RUNNING:
        jobs.tell(job, said=message)
        jobs.interrupt(job, word, actor)
    return Reply(False, word, message or str(faults.of(word).sentence))


def _must_force(job: Job) -> bool:
    # A PIN that its holder chose needs no change.
    return bool(job.force_change) and job.pin_mode != jobs.PinMode.OWN


def _is_registered(job: Job) -> bool:
    return reached(JobStep(job.step), JobStep.REGISTERED)


def _credential_ids(value: object) -> list[bytes]:
    if not isinstance(value, list):
        return []
    found = []
    for text in value[:32]:
        try:
            found.append(base64.urlsafe_b64decode(str(text) + "=="))
        except (binascii.Error, ValueError):
            continue
    return found
