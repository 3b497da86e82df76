# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Panel accounts, sessions and step-up. The panel has no passwords.

A session is a row; the cookie holds 256 random bits and the row their hash, so that the cascade
can kill it (Flask's signed cookie cannot be revoked: ASVS 7.4.1).
"""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum, unique

from .. import audit
from ..audit import Actor, Event
from ..clock import HOUR, MINUTE, now_ms
from ..errors import Forbidden, InvalidValue, LinkDead, StepUpNeeded, Unauthenticated
from ..models import Activation, OwnerLink, PanelAccount, SecurityKey, Session, User

IDLE = 15 * MINUTE
ABSOLUTE = 12 * HOUR
CEREMONY = 15 * MINUTE
STEP_UP = 60 * MINUTE  # one step-up opens one batch of work
OWNER_LINK = 15 * MINUTE
_TOUCH_EVERY = 20_000


@unique
class Role(StrEnum):
    """What a panel account may do; the order is that of power."""

    AUDITOR = "auditor"
    OPERATOR = "operator"
    OFFICER = "officer"
    OWNER = "owner"


RANK = tuple(Role)


@unique
class SessionKind(StrEnum):
    """Which door a session opens."""

    PANEL = "panel"
    USER = "user"
    ACTIVATION = "activation"


_LIFETIME = {
    SessionKind.PANEL: ABSOLUTE,
    SessionKind.USER: ABSOLUTE,
    SessionKind.ACTIVATION: CEREMONY,
}


def open_session(
    kind: SessionKind,
    *,
    account: PanelAccount | None = None,
    user: User | None = None,
    key: SecurityKey | None = None,
    activation: Activation | None = None,
) -> tuple[Session, str]:
    """Make a session and return it with the cookie's secret, which is stored only hashed.

    Raises Unauthenticated for somebody who was shut out since they were looked at.
    """
    if user is not None:
        user.renew()
    if account is not None:
        account.renew()
    _check_let_in(account, user)
    secret = secrets.token_urlsafe(32)
    session = Session.create(
        secret_hash=hash_secret(secret),
        kind=kind,
        account=account,
        user=user,
        key=key,
        activation=activation,
        expires_at=now_ms() + _LIFETIME[kind],
    )
    return session, secret


def find_session(secret: str | None, kind: SessionKind) -> Session:
    """Return the live session of a cookie. Raises Unauthenticated.

    Idle and absolute limits, the account's state and the user's activity are looked at here, at
    each use: nothing waits for a cleaner.
    """
    session = None
    if secret:
        session = Session.get_or_none(
            Session.secret_hash == hash_secret(secret),
            Session.kind == kind,
            Session.ended_at.is_null(),
        )
    return _live(session)


def find_again(session: Session) -> Session:
    """Return a session as it is now. Raises Unauthenticated as `find_session` does.

    For whoever is about to write: sessions, accounts and roles end while somebody waits.
    """
    still = Session.id == session.id, Session.ended_at.is_null()
    return _live(Session.get_or_none(*still))


def _live(session: Session | None) -> Session:
    now = now_ms()
    if session is None or session.expires_at <= now or now - session.last_seen_at > IDLE:
        raise Unauthenticated("Please sign in.")
    _check_let_in(session.account, session.user)
    kind = session.kind
    key = session.key if kind == SessionKind.USER else None
    if key is not None and (key.state != "active" or (key.ends_at or now) < now):
        raise Unauthenticated("The key that you signed in with was stopped.")
    return session


def _check_let_in(account: PanelAccount | None, user: User | None) -> None:
    if account is not None and account.state != "active":
        raise Unauthenticated("This account is suspended.")
    if user is not None and (not user.active or user.deleted_at):
        raise Unauthenticated("Please sign in.")


def holder_of(secret: str | None) -> int | None:
    """Return the row id of the account that a cookie was made for, though it may be over."""
    if not secret:
        return None
    session = Session.get_or_none(Session.secret_hash == hash_secret(secret))
    return session.account_id if session is not None else None


def is_touched(session: Session) -> bool:
    """Say whether its use was noted within twenty seconds: who only looks waits for no writer."""
    return now_ms() - session.last_seen_at < _TOUCH_EVERY


def touch(session: Session) -> None:
    """Note that a session was used."""
    Session.update(last_seen_at=now_ms()).where(Session.id == session.id).execute()


def renew(session: Session) -> str:
    """Give a session a new secret and return it: what was known of the old one is worth nothing."""
    secret = secrets.token_urlsafe(32)
    session.secret_hash = hash_secret(secret)
    session.save()
    return secret


def end_session(session: Session) -> None:
    """End one session."""
    Session.update(ended_at=now_ms()).where(Session.id == session.id).execute()


def end_account_sessions(account: PanelAccount, *, besides: Session | None = None) -> None:
    """End an account's sessions, at once."""
    Session.update(ended_at=now_ms()).where(
        Session.account == account,
        Session.ended_at.is_null(),
        Session.id != (besides.id if besides is not None else 0),
    ).execute()


def stepped_up(session: Session) -> None:
    """Note that the session's key was used again just now."""
    session.stepped_up_at = now_ms()
    session.save()
    audit.record(actor_of(session), Event.ACCOUNT_STEPPED_UP)


def require_step_up(session: Session) -> None:
    """Raise StepUpNeeded unless the key was used again within the hour of one batch."""
    if session.stepped_up_at is None or now_ms() - session.stepped_up_at > STEP_UP:
        raise StepUpNeeded("Please use your security key again.")


def require_role(session: Session, role: Role) -> None:
    """Raise Forbidden unless the session's account has the role or a higher one."""
    held = session.account.role if session.account is not None else "nobody"
    if session.account is None or not has_role(session.account, role):
        raise Forbidden(f"This needs the role {role}; you are {held}.")


def has_role(account: PanelAccount, role: Role) -> bool:
    """Say whether an account has the role or a higher one."""
    return RANK.index(Role(account.role)) >= RANK.index(role)


def check_may_activate(account: PanelAccount, user: User | None) -> None:
    """Raise Forbidden if `account` would activate a key for itself or for a higher role (R25).

    Also what shows a user's link or PIN to an admin asks here: it is the same power (T4).
    """
    if user is None or user.id is None:
        return
    if (
        PanelAccount.select()
        .where(PanelAccount.user == user, PanelAccount.id == account.id)
        .exists()
    ):
        raise Forbidden("Nobody activates a key for themselves: ask another admin.")
    check_not_above(account, user)


def check_not_above(account: PanelAccount, user: User) -> None:
    """Raise Forbidden where this person has a higher role in the panel than `account`.

    Whoever says where a person's links and PINs are mailed to could as well activate for them,
    and suspending a person suspends their account.
    """
    for other in PanelAccount.select().where(PanelAccount.user == user):
        if RANK.index(Role(other.role)) > RANK.index(Role(account.role)):
            raise Forbidden(f"This person has the role {other.role}, which is above yours.")


def check_may_revoke(session: Session, user: User) -> None:
    """Raise Forbidden or StepUpNeeded unless a key of this person may be ended for ever here.

    Whatever revokes a key that was activated, now or on a later day, asks here.
    """
    require_role(session, Role.OFFICER)
    if session.account is not None:
        check_not_above(session.account, user)
    require_step_up(session)


def still_has(actor: Actor, role: Role) -> bool:
    """Say whether whoever acts has this role now; the shell and the server itself have each."""
    if actor.kind != "account":
        return True
    account = account_of(actor)
    return account is not None and account.state == "active" and has_role(account, role)


def account_of(actor: Actor) -> PanelAccount | None:
    """Return the panel account that acts, or None for the shell, a station or a person."""
    if actor.kind != "account":
        return None
    found: PanelAccount | None = PanelAccount.get_or_none(PanelAccount.id == int(actor.id or 0))
    return found


def actor_of(session: Session) -> Actor:
    """Return who acts in this session."""
    if session.account is not None:
        return Actor("account", str(session.account.id), session.account.name)
    if session.user is not None:
        return Actor("user", session.user.resource_id, session.user.display_name)
    raise Unauthenticated("Please sign in.")


def has_owner() -> bool:
    """Say whether somebody can sign in as an owner."""
    owners = PanelAccount.select().where(
        PanelAccount.role == Role.OWNER, PanelAccount.state == "active"
    )
    return owners.exists()


def make_owner_link(actor: Actor, *, recover: bool = False) -> str:
    """Return the one-time token that makes the first owner (15 minutes).

    Refused while an owner exists unless `recover` says so (T25); the latest link wins.
    """
    if has_owner() and not recover:
        raise Forbidden("There is an owner already. Use --recover if no owner can sign in.")
    OwnerLink.update(used_at=now_ms()).where(
        OwnerLink.used_at.is_null(), OwnerLink.account.is_null()
    ).execute()
    token = secrets.token_urlsafe(32)
    OwnerLink.create(
        token_hash=hash_secret(token), role=Role.OWNER, expires_at=now_ms() + OWNER_LINK
    )
    audit.record(actor, Event.OWNER_LINK_MADE, recover=recover)
    return token


def find_owner_link(token: str) -> OwnerLink:
    """Return a live owner link; raises LinkDead for any other token."""
    link = OwnerLink.get_or_none(OwnerLink.token_hash == hash_secret(token))
    if (
        link is None
        or link.used_at is not None
        or link.expires_at <= now_ms()
        or (link.account is not None and link.account.state == "suspended")
    ):
        raise LinkDead("This link was used, has expired or was replaced by a newer one.")
    return link


def use_owner_link(link: OwnerLink) -> None:
    """Consume the link; of two who try at once one gets LinkDead."""
    taken = (
        OwnerLink.update(used_at=now_ms())
        .where(OwnerLink.id == link.id, OwnerLink.used_at.is_null())
        .execute()
    )
    if not taken:
        raise LinkDead("This link was used already.")


def end_links(account: PanelAccount) -> None:
    """End the one-time links by which an account registers a key."""
    OwnerLink.update(used_at=now_ms()).where(
        OwnerLink.account == account, OwnerLink.used_at.is_null()
    ).execute()


def create_account(
    name: str,
    role: Role,
    actor: Actor,
    email: str | None = None,
    user_handle: bytes | None = None,
    *,
    state: str = "active",
    user: User | None = None,
) -> PanelAccount:
    """Make a panel account with its own WebAuthn user handle."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 64:
        raise InvalidValue("A name has 1 to 64 characters.", "name")
    account = PanelAccount.create(
        name=name,
        role=role,
        email=email,
        user_handle=user_handle or secrets.token_bytes(64),
        state=state,
        user=user,
    )
    audit.record(actor, Event.ACCOUNT_CREATED, user=user, account=account.name, role=role)
    return account


def hash_secret(secret: str) -> bytes:
    """Return what the database keeps of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()
