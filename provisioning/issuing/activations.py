# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Activation links: by mail to the address on record, inert on GET, one live per key (R11).

The token travels in the URL's fragment, so that no server, proxy or scanner's GET sees it; the
database holds its hash. Functions never commit.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid

from .. import audit, keys
from ..audit import LINK_HOLDER, SYSTEM, Actor, Event
from ..clock import MINUTE, now_ms
from ..errors import InvalidValue, LinkDead, NotFound, WrongState
from ..lifecycle import KeyKind, KeyState, LinkState
from ..mails import languages, outbox
from ..mails.mail import Template
from ..models import LIVE, Activation, PanelAccount, SecurityKey, Session, User
from ..services import Services
from ..storage.statements import Changed, Statements, parameter
from . import approvals, group_policies, link_codes
from .policy import Method


def issue(key: SecurityKey, services: Services, actor: Actor) -> tuple[Activation, str]:
    """Make a link for a pending key, supersede older ones, queue its mail; return it with its URL.

    The URL is for *Copy message* and is stored nowhere. Raises InvalidValue for a person without
    an e-mail address, PolicyForbids where their groups do not want this, WrongState for a key
    that waits for nothing.
    """
    key.renew()
    user = keys.owner_of(key)
    if key.state != KeyState.PENDING or not user.active:
        raise WrongState("This key waits for nothing any more.")
    policy = group_policies.of_user(user, services.settings).policy
    group_policies.check(policy, KeyKind(key.kind), Method.USER, actor)
    approvals.require(policy, key)
    if not user.email:
        raise InvalidValue(
            "This person has no e-mail address that a link could be sent to.", "method"
        )
    end_for_key(key, LinkState.SUPERSEDED)
    settings = services.settings
    token = secrets.token_urlsafe(32)
    resource_id = str(uuid.uuid4())
    activation = Activation.create(
        resource_id=resource_id,
        key=key,
        user=user,
        token_hash=_hash(token),
        address=user.email,
        expires_at=now_ms() + settings.link_lifetime_minutes * MINUTE,
        sealed_code=link_codes.make(resource_id, user, services),
    )
    url = f"{settings.base_url}/activate#{token}"
    outbox.queue(
        Template.ACTIVATION_LINK,
        user.email,
        vault=services.vault,
        user=user,
        key=key,
        context={
            "organisation": settings.organisation,
            "name": user.display_name,
            "key_name": key.name,
            "admin_name": actor.name,
            "base_url": settings.base_url,
            "expires": activation.expires_at,
            "timezone": languages.time_zone(user),
            "kind": key.kind,
            "contact": settings.contact,
            "code": activation.sealed_code is not None,
        },
        secret=url,
        locale=languages.of_user(user, settings),
    )
    audit.record(
        actor,
        Event.LINK_ISSUED,
        user=user,
        key=key,
        link=activation.resource_id,
        address=user.email,
    )
    return activation, url


def find(token: str) -> Activation:
    """Return the live link of a token. Raises LinkDead for used, expired, superseded and forged.

    Expiry is decided here, at use.
    """
    activation = known(token)
    if activation is None or activation.state != LinkState.LIVE:
        raise LinkDead("This link no longer works.")
    check_live(activation)
    return activation


def check_live(activation: Activation) -> None:
    """Raise LinkDead unless the link, its key and its user still wait for an activation."""
    if activation.state == LinkState.LIVE and activation.expires_at <= now_ms():
        raise LinkDead("This link has expired.")
    if activation.state != LinkState.LIVE or activation.key.state != KeyState.PENDING:
        raise LinkDead("This link no longer works.")
    if not activation.user.active or activation.user.deleted_at is not None:
        raise LinkDead("This link no longer works.")


def known(token: str) -> Activation | None:
    """Return the link of a token in whatever state, or None for a forged one."""
    found: Activation | None = Activation.get_or_none(Activation.token_hash == _hash(token))
    return found


def takes_code(activation: Activation, typed: str, services: Services) -> bool:
    """Say whether the code that was typed opens the link; the tenth wrong one ends it.

    False must be committed by the caller, not rolled back. Raises LinkDead.
    """
    activation.renew()
    check_live(activation)
    if not link_codes.is_asked(activation) or link_codes.is_right(activation, typed, services):
        return True
    if activation.code_tries >= link_codes.MOST_TRIES:
        cancel(activation.key, SYSTEM)
    return False


def opened(activation: Activation, actor: Actor = LINK_HOLDER) -> None:
    """Note the first start; a mail scanner may cause it, so it decides nothing (R12).

    Raises LinkDead for a link that has died since it was looked up.
    """
    activation.renew()
    check_live(activation)
    if activation.opened_at is None:
        activation.opened_at = now_ms()
        activation.save()
        audit.record(
            actor,
            Event.LINK_OPENED,
            user=activation.user,
            key=activation.key,
            link=activation.resource_id,
        )


def use(activation: Activation, actor: Actor) -> None:
    """Consume the link in the transaction that makes its key active; raises LinkDead if late."""
    taken = (
        Activation.update(state=LinkState.USED, ended_at=now_ms(), sealed_code=None)
        .where(Activation.id == activation.id, Activation.state == LIVE)
        .execute()
    )
    if not taken:
        raise LinkDead("This link no longer works.")
    audit.record(
        actor,
        Event.LINK_USED,
        user=activation.user,
        key=activation.key,
        link=activation.resource_id,
    )


def ask_again(activation: Activation, services: Services) -> None:
    """Tell the admins that somebody with a dead link wants a new one; at most once an hour."""
    now = now_ms()
    activation.renew()
    if activation.requested_again_at and now - activation.requested_again_at < 60 * MINUTE:
        return
    activation.requested_again_at = now
    activation.save()
    user, settings = activation.user, services.settings
    audit.record(
        LINK_HOLDER,
        Event.LINK_REQUESTED,
        user=user,
        key=activation.key,
        link=activation.resource_id,
    )
    admins = PanelAccount.select().where(
        PanelAccount.state == "active", PanelAccount.email.is_null(False)
    )
    for account in admins:
        outbox.queue(
            Template.LINK_REQUESTED,
            str(account.email),
            vault=services.vault,
            user=user,
            key=activation.key,
            secret=None,
            locale=languages.of_account(account, settings),
            context={
                "organisation": settings.organisation,
                "name": user.display_name,
                "key_name": activation.key.name,
                "admin_name": account.name,
                "user_id": user.resource_id,
                "base_url": settings.base_url,
                "contact": settings.contact,
            },
        )


def cancel(key: SecurityKey, actor: Actor) -> int:
    """Cancel a key's live link, its mail if it has not left, and who is inside by it."""
    ended = end_for_key(key, LinkState.CANCELLED)
    if ended:
        audit.record(actor, Event.LINK_CANCELLED, user=key.user, key=key)
    return ended


def end_for_key(key: SecurityKey, to: LinkState) -> int:
    """End a key's live links; return how many."""
    return _end("key", key.id, to)


def end_for_user(user: User, to: LinkState) -> int:
    """End all live links of a user; return how many."""
    return _end("user", user.id, to)


def end_for_leaver(user: User) -> Changed:
    """The same as part of the cascade, which ends all sessions and mails of the user itself."""
    return _END.say(("user",), (LinkState.CANCELLED, now_ms(), user.id))


def latest(key: SecurityKey) -> Activation | None:
    """Return a key's newest link, or None."""
    found: Activation | None = (
        Activation.select().where(Activation.key == key).order_by(Activation.id.desc()).first()
    )
    return found


def state_of(activation: Activation) -> LinkState:
    """Return the link's state as it counts now: a live one past its time is expired."""
    state = LinkState(activation.state)
    if state is LinkState.LIVE and activation.expires_at <= now_ms():
        return LinkState.EXPIRED
    return state


def get(resource_id: str) -> Activation:
    """Return a link by its public id; raises NotFound."""
    found = Activation.get_or_none(Activation.resource_id == resource_id)
    if found is None:
        raise NotFound("There is no such link.")
    return found


def _end(whose: str, owner: int, to: LinkState) -> int:
    now = now_ms()
    ended = _END.change((whose,), (to, now, owner))
    if ended:
        _END_SESSIONS.change((whose,), (now, owner))
        outbox.cancel(
            user=owner if whose == "user" else None,
            key=owner if whose == "key" else None,
            templates=(Template.ACTIVATION_LINK,),
        )
    return ended


_END = Statements(
    lambda whose: Activation.update(
        state=parameter(0), ended_at=parameter(1), sealed_code=None
    ).where(getattr(Activation, whose) == parameter(2), Activation.state == LIVE)
)
_END_SESSIONS = Statements(
    lambda whose: Session.update(ended_at=parameter(0)).where(
        Session.activation.in_(
            Activation.select(Activation.id).where(getattr(Activation, whose) == parameter(1))
        ),
        Session.ended_at.is_null(),
    )
)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
