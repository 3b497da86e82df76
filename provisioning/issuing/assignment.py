# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""From a wizard's Confirm to a working key: who gets it, when it counts, and how its PIN travels.

`confirm` makes everything real in one transaction; `complete` finishes a key that was activated
by its user. A PIN leaves its seal only here: when the card is done and Confirm is committed.
"""

from __future__ import annotations

from .. import audit, keys
from ..audit import Actor, Event
from ..desks import jobs
from ..desks.jobs import Op, PinMode
from ..errors import InvalidValue, PolicyForbids, WrongState
from ..lifecycle import JobState, KeyKind, KeyState, LinkState, Reason
from ..mails import languages, notices, outbox
from ..mails.mail import Template
from ..models import Activation, Approval, Job, PanelAccount, SecurityKey, User
from ..services import Services
from ..settings import PinDelivery
from . import activations, approvals, group_policies, pins
from .policy import Method, Policy


def confirm_tapped(key: SecurityKey, user: User, services: Services, actor: Actor) -> bool:
    """Give a card that was tapped in the wizard to its user: active at once, PIN on its way.

    False where the person's policy asks for a second person, whose word it waits for.
    """
    job = jobs.of_key(key, Op.ENROL)
    if job is None or job.state != JobState.DONE:
        raise WrongState("Assign the card first, or choose Activate by user.")
    _check_there(user)
    policy = group_policies.of_user(user, services.settings).policy
    group_policies.check(policy, KeyKind(key.kind), Method.ADMIN, actor)
    _check_pin(job, key, policy, services)
    if _mails_pin(job, policy) and not user.email:
        raise InvalidValue(
            "This person has no e-mail address that a PIN could be sent to.", "emails"
        )
    key.user = job.user = user
    key.save()
    job.save()
    if policy.second_approver:
        keys.assign(key, user, actor)
        approvals.ask(key, user, actor)
        return False
    audit.record(actor, Event.KEY_ASSIGNED, user=user, key=key, name=key.name, method=key.method)
    _let_work(key, services, actor)
    _hand_over(job, key, user, policy, services, actor)
    return True


def confirm_in_person(key: SecurityKey, user: User, services: Services, actor: Actor) -> bool:
    """Give a key that was made in the admin's browser to its user: active at once, no PIN of ours.

    False where the person's policy asks for a second person, whose word it waits for.
    """
    _check_there(user)
    policy = group_policies.of_user(user, services.settings).policy
    group_policies.check(policy, KeyKind(key.kind), Method.ADMIN, actor)
    if not keys.is_registered(key):
        raise WrongState("Use the key in this browser first, or choose Activate by user.")
    key.user = user
    key.save()
    if policy.second_approver:
        keys.assign(key, user, actor)
        approvals.ask(key, user, actor)
        return False
    audit.record(actor, Event.KEY_ASSIGNED, user=user, key=key, name=key.name, method=key.method)
    _let_work(key, services, actor)
    notices.key_added(key, user, services)
    return True


def confirm_by_user(
    key: SecurityKey, user: User, services: Services, actor: Actor
) -> tuple[Activation, str] | None:
    """Give a drafted key to its user and send the link; returns the link and its URL.

    None where the person's policy asks for a second person: the link goes when they agree.
    """
    _check_there(user)
    policy = group_policies.of_user(user, services.settings).policy
    group_policies.check(policy, KeyKind(key.kind), Method.USER, actor)
    keys.assign(key, user, actor)
    if policy.second_approver:
        if not user.email:
            raise InvalidValue(
                "This person has no e-mail address that a link could be sent to.", "method"
            )
        approvals.ask(key, user, actor)
        return None
    return activations.issue(key, services, actor)


def approve(approval: Approval, account: PanelAccount, services: Services) -> None:
    """Let a key go on that waited for a second person: a tapped card works, a link is sent.

    Raises WrongState for a key that waits no more or whose PIN is gone, Forbidden (R25).
    """
    key, user = approval.key, approval.user
    key.renew()
    user.renew()
    if key.state != KeyState.PENDING or not user.active:
        raise WrongState("This key waits for nothing any more.")
    approvals.decide(approval, account, approved=True)
    actor = Actor("account", str(account.id), account.name)
    job = jobs.of_key(key, Op.ENROL)
    in_person = key.kind != KeyKind.CONTACTLESS_CARD and keys.is_registered(key)
    if not in_person and (job is None or key.id not in jobs.finished_for([key])):
        activations.issue(key, services, actor)
        return
    policy = group_policies.of_user(user, services.settings).policy
    group_policies.check(policy, KeyKind(key.kind), Method.ADMIN, actor)
    if in_person or job is None:
        _let_work(key, services, actor)
        notices.key_added(key, user, services)
        return
    _check_pin(job, key, policy, services)
    _let_work(key, services, actor)
    _hand_over(job, key, user, policy, services, actor)


def decline(approval: Approval, account: PanelAccount) -> bool:
    """Revoke a key that somebody else asked for; True when a card was written for it."""
    approvals.decide(approval, account, approved=False)
    actor = Actor("account", str(account.id), account.name)
    key = approval.key
    key.renew()
    activations.cancel(key, actor)
    touched = release_card(key, actor)
    if key.state != KeyState.REVOKED:
        keys.revoke(key, Reason.CANCELLED, actor)
    return touched


def complete(job: Job, services: Services, actor: Actor) -> None:
    """Finish a pending key at a station: link used, key active, PIN released, in one transaction.

    Raises LinkDead when the link died while the card was being written, PolicyForbids when the
    person's policy became stricter meanwhile.
    """
    key = jobs.key_of(job)
    user = keys.owner_of(key)
    session = job.session
    policy = group_policies.of_user(user, services.settings).policy
    method = Method.ADMIN if session is None else Method.USER
    group_policies.check(policy, KeyKind(key.kind), method, actor)
    approvals.require(policy, key)
    _check_pin(job, key, policy, services)
    if session is not None and session.activation is not None:
        activations.use(session.activation, actor)
    activations.end_for_key(key, LinkState.SUPERSEDED)
    _let_work(key, services, actor)
    _hand_over(job, key, user, policy, services, actor)


def complete_in_browser(
    key: SecurityKey, activation: Activation, services: Services, actor: Actor
) -> None:
    """Finish a key that the person made in the browser, whose own dialog asked for the PIN."""
    policy = group_policies.of_user(keys.owner_of(key), services.settings).policy
    group_policies.check(policy, KeyKind(key.kind), Method.USER, actor)
    approvals.require(policy, key)
    activations.use(activation, actor)
    _let_work(key, services, actor)
    job = jobs.of_key(key, Op.ENROL)
    if job is not None and job.state in jobs.OPEN:
        jobs.cancel(job, actor)  # begun at a reader and left there
    notices.key_added(key, keys.owner_of(key), services)


def complete_in_person(key: SecurityKey, services: Services, actor: Actor) -> None:
    """Finish a pending key that was made in the admin's browser; its link is superseded."""
    user = keys.owner_of(key)
    policy = group_policies.of_user(user, services.settings).policy
    group_policies.check(policy, KeyKind(key.kind), Method.ADMIN, actor)
    approvals.require(policy, key)
    activations.end_for_key(key, LinkState.SUPERSEDED)
    _let_work(key, services, actor)
    notices.key_added(key, user, services)


def release_card(key: SecurityKey, actor: Actor) -> bool:
    """Undo a wizard's draft; True when a card was written and should be reset."""
    touched = False
    key.renew()
    for job in Job.select().where(Job.key == key, Job.op == Op.ENROL):
        touched = touched or jobs.card_touched(job)
        if job.state in jobs.OPEN:
            jobs.cancel(job, actor)
        else:
            pins.erase(job)
            job.save()
    jobs.cancel_for_key(key, actor)  # a reset that waits at the reader
    if key.state == KeyState.DRAFT:
        keys.revoke(key, Reason.CANCELLED, actor)
    return touched


def reveal_pin(job: Job, services: Services, actor: Actor) -> str:
    """Return the PIN of a finished enrolment once, and forget it (`pin_delivery=reveal_once`)."""
    job.renew()
    if (
        job.sealed_pin is None
        or job.state != JobState.DONE
        or jobs.key_of(job).state != KeyState.ACTIVE
    ):
        raise WrongState("The PIN was shown already, or there is none.")
    pin = pins.unseal(services.vault, job)
    pins.erase(job)
    job.save()
    audit.record(actor, Event.PIN_REVEALED, user=job.user, key=job.key)
    return pin


def replace(new: SecurityKey, old: SecurityKey) -> None:
    """Let a new key take over from an old one of the same person, as soon as it works.

    Raises WrongState for an old key that is over or somebody else's.
    """
    if old.user_id != new.user_id or old.state not in keys.LIVING:
        raise WrongState("The key to be replaced is over already: assign a new one.")
    new.replaces = old
    new.save()


def _let_work(key: SecurityKey, services: Services, actor: Actor) -> None:
    keys.activate(key, actor)
    # In the transaction that makes the new one work: its holder is never left without a key.
    old = key.replaces
    if old is not None and old.state in keys.LIVING:
        activations.cancel(old, actor)
        jobs.cancel_for_key(old, actor)
        keys.revoke(old, Reason.SUPERSEDED, actor)
        notices.key_revoked(old, actor, services)


def _check_there(user: User) -> None:
    """Raise WrongState for somebody who left while a key was being assigned."""
    user.renew()
    if user.deleted_at is not None or not user.active:
        raise WrongState(f"{user.display_name} is suspended or gone: no key can be assigned.")


def _check_pin(job: Job, key: SecurityKey, policy: Policy, services: Services) -> None:
    """Raise PolicyForbids for a card whose PIN is not what the policy asks for by now."""
    own = job.pin_mode == PinMode.OWN
    if not own and job.sealed_pin is None:
        raise WrongState(
            "The PIN of this card was kept for 72 hours only: reset the card and assign it anew."
        )
    if policy.pin_delivery is PinDelivery.USER_SETS and not own:
        raise PolicyForbids(
            "This person's groups want a PIN that nobody else ever knew: assign the card again.",
            "method",
        )
    if job.pin_length < policy.pin_length:
        raise PolicyForbids(
            f"This person's groups want a PIN of {policy.pin_length}: assign the card again.",
            "method",
        )
    if policy.force_pin_change and not own and not key.pin_change_forced:
        raise PolicyForbids(
            "This person's groups want a card that forces a PIN change, and this one cannot.",
            "method",
        )


def _hand_over(
    job: Job, key: SecurityKey, user: User, policy: Policy, services: Services, actor: Actor
) -> None:
    if _mails_pin(job, policy):
        pin = pins.unseal(services.vault, job)
        outbox.queue(
            Template.PIN,
            str(user.email),
            vault=services.vault,
            user=user,
            key=key,
            context=notices.context_of(key, user, services, actor),
            secret=pin,
            locale=languages.of_user(user, services.settings),
        )
        pins.erase(job)
        job.save()
        audit.record(actor, Event.PIN_RELEASED, user=user, key=key)
    else:
        notices.key_added(key, user, services)


def _mails_pin(job: Job, policy: Policy) -> bool:
    return job.pin_mode == PinMode.SERVER and policy.pin_delivery is PinDelivery.MAIL
