# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Orders: what a page asks of a station. Each checks that it may be, and becomes a queued job.

Functions never commit.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from ..audit import Actor
from ..errors import Forbidden, InvalidValue, WrongState
from ..issuing import approvals, group_policies, pins
from ..issuing.policy import Method, Policy
from ..lifecycle import JobState, KeyKind, KeyState, words
from ..models import Job, PanelAccount, SecurityKey, Session, Station, User
from ..services import Services
from ..settings import PinDelivery
from . import jobs, recognition, stations
from .jobs import Op, PinMode, Wipe

# A suspended key is resumed before its card is enrolled again: that is an officer's decision.
_WIPED_IN: Mapping[Wipe, frozenset[KeyState]] = {
    Wipe.AGAIN: frozenset({KeyState.ACTIVE, KeyState.NEEDS_RESET}),
    Wipe.STOCK: frozenset(
        {KeyState.ACTIVE, KeyState.SUSPENDED, KeyState.NEEDS_RESET, KeyState.REVOKED}
    ),
    Wipe.BLANK: frozenset({KeyState.DRAFT, KeyState.PENDING}),
}
_ROOM = 5  # how many may stand in line at a station for what needs no sign-in
# Look-alikes left out: the code is read from one screen and compared on another.
_CODE_LETTERS = "ABCDEFGHJKMNPQRTUVWXYZ2346789"


def queue_enrolment(
    station: Station,
    key: SecurityKey,
    services: Services,
    actor: Actor,
    *,
    own_pin: bool = False,
    session: Session | None = None,
    policy: Policy | None = None,
) -> Job:
    """Queue the enrolment of a drafted or pending key; its PIN is sealed here, before any tap.

    `policy` is the one of a person who is not there yet, `session` the one of a link's visit.

    An interrupted job of the key goes on (at this station) with the PIN that it has: a card may
    carry it already. One that has touched no card makes way if the other kind of PIN is wanted.
    """
    key.renew()
    _check_serves(station, key.user)
    if key.state not in (KeyState.DRAFT, KeyState.PENDING):
        raise WrongState(f"This key is {key.state}: no card can be assigned to it.")
    if key.user is not None:
        _check_active(key.user)
    if policy is None:
        policy = group_policies.of_user(key.user, services.settings).policy
    method = Method.ADMIN if session is None else Method.USER
    group_policies.check(policy, KeyKind(key.kind), method, actor)
    if key.state == KeyState.PENDING:  # a draft's second person is asked at Confirm
        approvals.require(policy, key)
    job = jobs.of_key(key, Op.ENROL)
    if job is not None and job.state in (JobState.QUEUED, JobState.RUNNING):
        raise WrongState("This card is being assigned already.")
    # A pending key with a finished enrolment had its card reset: it is enrolled anew.
    if job is not None and job.state == JobState.DONE and key.state == KeyState.DRAFT:
        raise WrongState("A card is assigned already.")
    own = own_pin or policy.pin_delivery is PinDelivery.USER_SETS
    if not own and key.user is not None and not key.user.email:
        _check_pin_can_travel(policy)
    mode = PinMode.OWN if own else PinMode.SERVER
    if job is not None and job.state == JobState.INTERRUPTED:
        if jobs.card_touched(job) or job.pin_mode == mode:
            jobs.requeue(job, actor, station)
            job.session = session
            job.save()
            return job
        jobs.cancel(job, actor)
    job = jobs.begin(Op.ENROL, station, actor, key=key, user=key.user, session=session)
    job.pin_mode = mode
    job.pin_length, job.force_change = policy.pin_length, policy.force_pin_change
    if not own:
        pins.seal(services.vault, job, pins.make(policy.pin_length))
    job.save()
    return job


def queue_assertion(
    station: Station,
    actor: Actor,
    *,
    purpose: str,
    binding: str,
    account: PanelAccount | None = None,
    session: Session | None = None,
) -> Job:
    """Queue a sign-in at the desk; `binding` names the browser that waits for it.

    The short code is shown on the page and at the desk, and the person compares the two.
    """
    jobs.cancel_bound(binding, actor)
    _check_room(station)
    job = jobs.begin(Op.ASSERT, station, actor, account=account, session=session)
    job.purpose, job.binding = purpose, binding
    job.code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(4))
    job.save()
    return job


def queue_verification(station: Station, actor: Actor, *, binding: str, session: Session) -> Job:
    """Queue the question whose card this is; the answer is for the panel's session that asks.

    It needs no PIN, so a person's own station, which anybody may have built, is not asked.
    """
    if station.user_id is not None:
        raise Forbidden("This reader is somebody's own.")
    jobs.cancel_bound(binding, actor)
    job = jobs.begin(Op.VERIFY, station, actor, session=session)
    job.purpose, job.binding = recognition.PURPOSE, binding
    job.save()
    return job


def queue_forced_change(station: Station, key: SecurityKey, actor: Actor) -> Job:
    """Queue that a card demands another PIN at its next use; its holder types the present one."""
    key.renew()
    if key.kind != KeyKind.CONTACTLESS_CARD:
        raise WrongState("Only a card can be told that at a reader.")
    if key.state != KeyState.ACTIVE:
        raise WrongState(f"This key is {key.state}: its PIN cannot be changed.")
    return _for_key(Op.FORCE_CHANGE, station, key, actor)


def queue_pin_change(station: Station, key: SecurityKey, actor: Actor) -> Job:
    """Queue a change of PIN: the holder types the present and the new one at the desk."""
    key.renew()
    if key.state != KeyState.ACTIVE:
        raise WrongState(f"This key is {key.state}: its PIN cannot be changed.")
    return _for_key(Op.CHANGE_PIN, station, key, actor)


def queue_pin_change_by_holder(station: Station, actor: Actor, *, binding: str) -> Job:
    """Queue a change of PIN for whoever holds the card: the tap will tell whose key it is.

    A card that must change its PIN signs nobody in before, so nobody can be asked to sign in.
    """
    jobs.cancel_bound(binding, actor)
    _check_room(station)
    job = jobs.begin(Op.CHANGE_PIN, station, actor)
    job.binding = binding
    job.save()
    return job


def queue_reset(
    station: Station,
    key: SecurityKey,
    services: Services,
    actor: Actor,
    purpose: Wipe = Wipe.AGAIN,
) -> Job:
    """Queue a reset of a card; it wipes every site's credentials on the card.

    What happens to the key, and when, is in `wipes`. Raises PolicyForbids for who may not assign
    the card that this leads to.
    """
    key.renew()
    if key.kind != KeyKind.CONTACTLESS_CARD:
        raise WrongState("Only a card can be reset at a reader.")
    if key.state not in _WIPED_IN[purpose]:
        raise WrongState(
            f"This key is {words(KeyState(key.state))}: its card cannot be reset for that."
        )
    if purpose is not Wipe.STOCK and key.user is not None:
        _check_active(key.user)
        # The station goes on with the enrolment, so who asks is looked at here.
        policy = group_policies.of_user(key.user, services.settings).policy
        group_policies.check_role(policy, actor)
    job = _for_key(Op.RESET, station, key, actor)
    job.purpose = purpose
    job.save()
    return job


def _check_active(user: User) -> None:
    if not user.active:
        raise WrongState("This person is suspended: reactivate first.")


def _check_pin_can_travel(policy: Policy) -> None:
    if policy.pin_delivery is PinDelivery.MAIL:
        raise InvalidValue(
            "This person has no e-mail address that a PIN could be sent to.", "emails"
        )


def _check_serves(station: Station, user: User | None) -> None:
    if not stations.serves(station, user):
        raise Forbidden("This reader is somebody's own.")


def _check_room(station: Station) -> None:
    # Who asks here has not signed in: a desk's day must not be theirs to spend.
    waiting = Job.select().where(
        Job.station == station, Job.state.in_((JobState.QUEUED, JobState.RUNNING))
    )
    if sum(not jobs.is_lost(job) for job in waiting) >= _ROOM:
        raise WrongState("Others are waiting at this reader. Try again in a minute.")


def _for_key(op: Op, station: Station, key: SecurityKey, actor: Actor) -> Job:
    _check_serves(station, key.user)
    for job in Job.select().where(Job.key == key, Job.op == op, Job.state.in_(jobs.OPEN)):
        jobs.cancel(job, actor)
    return jobs.begin(op, station, actor, key=key, user=key.user)
