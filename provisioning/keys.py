# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Security keys: draft, assign, register, activate, suspend, resume, revoke.

Functions never commit. Every change of state goes through the table in `lifecycle`, leaves an
audit row, and refreshes the owner's shown status.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from . import audit
from .audit import Actor, Event
from .ceremonies.ceremony import VerifiedAuthentication, VerifiedRegistration
from .clock import now_ms
from .errors import InvalidValue, NotFound, Taken, WrongState
from .event_streams import events
from .ids import new_id
from .lifecycle import (
    KEY,
    KeyKind,
    KeyState,
    Reason,
    UserStatus,
    advance,
    user_status,
)
from .mails import outbox
from .mails.mail import WITH_SECRET
from .models import Credential, SecurityKey, User
from .naming import fold
from .storage.db import tuples
from .storage.statements import Statements, parameter, update

MAX_NAME = 64
LIVING = (KeyState.PENDING, KeyState.ACTIVE, KeyState.SUSPENDED, KeyState.NEEDS_RESET)


def draft(kind: KeyKind, name: str, method: str, *, user: User | None, actor: Actor) -> SecurityKey:
    """Make a key for an unfinished wizard; its WebAuthn user handle is fixed from here on.

    Raises InvalidValue or Taken (a living key of this user has the name).
    """
    key = SecurityKey.create(
        resource_id=new_id(),
        user=user,
        kind=kind,
        name=check_name(name, user),
        state=KeyState.DRAFT,
        method=method,
        user_handle=_handle(user),
    )
    audit.record(actor, Event.KEY_DRAFTED, user=user, key=key, name=key.name, kind=kind)
    return key


def check_name(name: str, user: User | None, besides: SecurityKey | None = None) -> str:
    """Return the name without surrounding space; raises InvalidValue or Taken."""
    name = " ".join(name.split())
    if not name:
        raise InvalidValue("A key needs a name, so that it can be told from others.", "key_name")
    if len(name) > MAX_NAME:
        raise InvalidValue(f"A key's name has at most {MAX_NAME} characters.", "key_name")
    if user is not None and user.id is not None:
        twins = SecurityKey.select().where(SecurityKey.user == user, SecurityKey.state.in_(LIVING))
        if any(fold(twin.name) == fold(name) and twin != besides for twin in twins):
            raise Taken(f"This person already has a key named {name}.", "key_name")
    return name


def free_name(name: str, user: User | None, besides: SecurityKey | None = None) -> str:
    """Return the name, numbered if a living key of this user has it already."""
    taken = (
        {fold(key.name) for key in of_user(user) if key != besides and key.state in LIVING}
        if (user is not None and user.id is not None)
        else set()
    )
    numbered = (name if n == 1 else f"{name[: MAX_NAME - 4]} {n}" for n in range(1, 1_000))
    return next((free for free in numbered if fold(free) not in taken), name)


def assign(key: SecurityKey, user: User, actor: Actor) -> None:
    """Give a drafted key to a user: it now waits for its activation."""
    _move(key, KeyState.PENDING)
    key.user = user
    key.save()
    audit.record(actor, Event.KEY_ASSIGNED, user=user, key=key, name=key.name, method=key.method)
    refresh_status(user)


def register(key: SecurityKey, verified: VerifiedRegistration, rp_id: str, actor: Actor) -> None:
    """Store the credential that a card or browser made. The key's state stays as it is.

    A second registration of the same key replaces the first: it comes from a repeated tap.
    """
    Credential.delete().where(Credential.key == key).execute()
    Credential.create(
        key=key,
        rp_id=rp_id,
        credential_id=verified.credential_id,
        public_key=verified.public_key,
        sign_count=verified.sign_count,
        aaguid=verified.aaguid,
        transports=" ".join(verified.transports),
        attestation_format=verified.fmt,
        attestation_object=verified.attestation_object,
        backup_eligible=verified.backup_eligible,
        backed_up=verified.backed_up,
    )
    key.aaguid = verified.aaguid
    key.model = verified.model
    key.save()
    audit.record(
        actor,
        Event.KEY_REGISTERED,
        user=key.user,
        key=key,
        name=key.name,
        model=key.model,
        aaguid=key.aaguid,
        attestation=verified.fmt,
    )


def activate(key: SecurityKey, actor: Actor) -> None:
    """Make a registered key count. Raises InvalidValue when no credential is there."""
    if not is_registered(key):
        raise InvalidValue("This key has no credential yet.", "key")
    _move(key, KeyState.ACTIVE)
    key.activated_at = now_ms()
    key.save()
    audit.record(actor, Event.KEY_ACTIVATED, user=key.user, key=key, name=key.name)
    _refresh(key)


def has_living(user: User) -> bool:
    """Say whether a user has a key that works, waits or may work again."""
    return bool(
        SecurityKey.select().where(SecurityKey.user == user, SecurityKey.state.in_(LIVING)).exists()
    )


def is_registered(key: SecurityKey) -> bool:
    """Say whether a key has a credential."""
    return bool(Credential.select().where(Credential.key == key).exists())


def made_in_person(some: Sequence[SecurityKey]) -> set[int]:
    """Return the row ids of those of these keys, cards left out, that have a credential."""
    wanted = [key.id for key in some if key.kind != KeyKind.CONTACTLESS_CARD]
    rows = Credential.select(Credential.key).where(Credential.key.in_(wanted))
    return {row[0] for row in tuples(rows)} if wanted else set()


def suspend(key: SecurityKey, reason: Reason, actor: Actor) -> None:
    """Stop a key for now; `resume` undoes it."""
    key.renew()
    _suspend(key, reason, actor)
    _refresh(key)


def _suspend(key: SecurityKey, reason: Reason, actor: Actor) -> None:
    key.state = advance(KEY, KeyState(key.state), KeyState.SUSPENDED, "key")
    key.reason = reason
    key.suspended_at = now_ms()
    update(key, "state", "reason", "suspended_at", refusable=False)
    events.note_keys(key.user)
    _record_suspended(key.user, key.id, key.name, reason, actor)


def _record_suspended(user: User | None, key: int, name: str, reason: Reason, actor: Actor) -> None:
    audit.record(actor, Event.KEY_SUSPENDED, user=user, key=key, name=name, reason=reason)


def resume(key: SecurityKey, actor: Actor) -> None:
    """Let a suspended key go on where it was: active if it ever was, else pending."""
    key.renew()
    _move(key, KeyState.ACTIVE if key.activated_at is not None else KeyState.PENDING)
    key.reason = key.suspended_at = None
    key.save()
    audit.record(actor, Event.KEY_RESUMED, user=key.user, key=key, name=key.name)
    _refresh(key)


def revoke(key: SecurityKey, reason: Reason, actor: Actor) -> None:
    """End a key for ever, and what mails still carry for it. Its row and its history stay."""
    _move(key, KeyState.REVOKED)
    outbox.withdraw_pin(key, actor)
    outbox.cancel(key=key, templates=WITH_SECRET)
    key.reason = reason
    key.revoked_at = now_ms()
    key.save()
    audit.record(actor, Event.KEY_REVOKED, user=key.user, key=key, name=key.name, reason=reason)
    _refresh(key)


def need_reset(key: SecurityKey, actor: Actor, why: str) -> None:
    """Say that the card carries something that cannot be used or resumed."""
    _move(key, KeyState.NEEDS_RESET)
    key.save()
    audit.record(actor, Event.KEY_NEEDS_RESET, user=key.user, key=key, name=key.name, why=why)
    _refresh(key)


def was_reset(key: SecurityKey, actor: Actor) -> None:
    """After a reset at a reader the key waits for its activation again."""
    _move(key, KeyState.PENDING)
    Credential.delete().where(Credential.key == key).execute()
    key.activated_at = key.confirmed_at = key.pin_change_forced = None
    key.save()
    audit.record(actor, Event.KEY_ASSIGNED, user=key.user, key=key, name=key.name, after="reset")
    _refresh(key)


def rename(key: SecurityKey, name: str, actor: Actor) -> None:
    """Give a key another name."""
    old, key.name = key.name, check_name(name, key.user, besides=key)
    key.save()
    events.note_keys(key.user)
    audit.record(actor, Event.KEY_RENAMED, user=key.user, key=key, old=old, name=key.name)


def suspend_all(user: User, reason: Reason, actor: Actor) -> int:
    """Suspend what may be suspended, as part of the cascade; return how many.

    The cascade stores the shown status: it follows from the user's being inactive.
    """
    suspended = sorted(_SUSPEND.rows((), (reason, now_ms(), user.id)))
    if suspended:
        events.note_keys(user)
    for key, name in suspended:
        _record_suspended(user, key, name, reason, actor)
    return len(suspended)


def drop_drafts(user: User, actor: Actor) -> int:
    """End the keys of wizards that are not finished, as part of the cascade; return how many."""
    drafts = list(
        SecurityKey.select().where(SecurityKey.user == user, SecurityKey.state == KeyState.DRAFT)
    )
    for key in drafts:
        key.user = user
        revoke(key, Reason.CANCELLED, actor)
    return len(drafts)


def revoke_all(user: User, reason: Reason, actor: Actor) -> int:
    """Revoke every key that is not revoked yet; return how many."""
    living = SecurityKey.select().where(
        SecurityKey.user == user, SecurityKey.state != KeyState.REVOKED
    )
    revoked = list(living)
    for key in revoked:
        revoke(key, reason, actor)
    return len(revoked)


def used(key: SecurityKey, credential: Credential, verified: VerifiedAuthentication) -> None:
    """Note a sign-in. The first one with the changed PIN confirms the key (R25)."""
    now = now_ms()
    credential.sign_count = verified.new_sign_count
    credential.backed_up = verified.backed_up
    credential.last_used_at = key.last_used_at = now
    credential.save()
    if key.confirmed_at is None:
        key.confirmed_at = now
        audit.record(_owner(key), Event.KEY_CONFIRMED, user=key.user, key=key, name=key.name)
    key.save()
    User.update(last_activity_at=now).where(User.id == key.user_id).execute()


def owner_of(key: SecurityKey) -> User:
    """Return whose key this is; raises WrongState for a draft, which is nobody's yet."""
    if key.user is None:
        raise WrongState("This key is not assigned to anybody yet.")
    return key.user


def get_key(resource_id: str) -> SecurityKey:
    """Return a key; raises NotFound."""
    key = SecurityKey.get_or_none(SecurityKey.resource_id == resource_id)
    if key is None:
        raise NotFound("There is no such key.")
    return key


def of_user(user: User) -> list[SecurityKey]:
    """Return a user's keys, the newest first, drafts left out."""
    return list(
        SecurityKey.select()
        .where(SecurityKey.user == user, SecurityKey.state != KeyState.DRAFT)
        .order_by(SecurityKey.id.desc())
    )


def credential_ids(user: User | None) -> list[bytes]:
    """Return the credential ids of a user's living keys, for excludeCredentials."""
    if user is None or user.id is None:
        return []
    rows = (
        Credential.select(Credential.credential_id)
        .join(SecurityKey)
        .where(SecurityKey.user == user, SecurityKey.state.in_(LIVING))
    )
    return [bytes(row[0]) for row in tuples(rows)]


def status_of(user: User) -> UserStatus:
    """Derive the status that a user is shown with from the keys in the database."""
    if user.id is None or not user.active:
        return user_status(active=user.active, key_states=frozenset())
    states = SecurityKey.select(SecurityKey.state).where(SecurityKey.user == user).distinct()
    return user_status(
        active=user.active, key_states=frozenset(KeyState(row[0]) for row in tuples(states))
    )


def refresh_status(user: User) -> None:
    """Store the derived status where the Users list can find it by an index."""
    user.status = status_of(user)
    User.update(status=user.status).where(User.id == user.id).execute()


def _move(key: SecurityKey, to: KeyState) -> None:
    """Take a key to another state, from the one that it is in by now.

    No path may let a leaver's key work or wait, however it is reached (R16).
    """
    key.renew()
    if to in (KeyState.ACTIVE, KeyState.PENDING):
        _check_holder(key)
    key.state = advance(KEY, KeyState(key.state), to, "key")


def _check_holder(key: SecurityKey) -> None:
    if key.user is not None and not key.user.active:
        raise WrongState(f"{key.user.display_name} is suspended: reactivate first.")


def _refresh(key: SecurityKey) -> None:
    events.note_keys(key.user)
    if key.user is not None:
        refresh_status(key.user)


def _owner(key: SecurityKey) -> Actor:
    user = owner_of(key)
    return Actor("user", user.resource_id, user.display_name)


def _handle(user: User | None) -> bytes:
    # A person's keys share one handle, so that a browser shows one account, and a card that is
    # enrolled again overwrites its own credential instead of adding a twin.
    if user is not None and user.id is not None:
        earlier = SecurityKey.get_or_none(SecurityKey.user == user)
        if earlier is not None:
            return bytes(earlier.user_handle)
    return secrets.token_bytes(64)


_SUSPEND = Statements(
    lambda: (
        SecurityKey.update(
            {
                SecurityKey.state: KeyState.SUSPENDED,
                SecurityKey.reason: parameter(0),
                SecurityKey.suspended_at: parameter(1),
            }
        )
        .where(
            SecurityKey.user == parameter(2),
            SecurityKey.state.in_([state for state in KEY if KeyState.SUSPENDED in KEY[state]]),
        )
        .returning(SecurityKey.id, SecurityKey.name)
    )
)
