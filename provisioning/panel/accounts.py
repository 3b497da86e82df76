# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who works in the panel: owners invite, change roles, suspend; the last owner always stays (R18).

An invited account exists without a key until its one-time link has registered one. Nobody
changes their own account, so that an owner cannot lock the last door from the outside either.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from peewee import fn

from .. import audit
from ..audit import Actor, Event
from ..clock import HOUR, now_ms
from ..errors import Forbidden, InvalidValue, NotFound, Taken, WrongState
from ..mails.addresses import check_address
from ..models import OwnerLink, PanelAccount, PanelCredential, User
from ..naming import fold
from ..storage.db import tuples
from . import access
from .access import Role

INVITATION = 24 * HOUR


def count() -> int:
    """Return how many accounts there are, in every state."""
    return int(PanelAccount.select().count())


def everybody() -> Sequence[PanelAccount]:
    """Return all accounts by name."""
    return list(
        PanelAccount.select(PanelAccount, User)
        .left_outer_join(User)
        .order_by(PanelAccount.name, PanelAccount.id)
    )


def key_counts() -> dict[int, int]:
    """Return how many keys that open the panel each account has, by the account's row id."""
    rows = (
        PanelCredential.select(PanelCredential.account, fn.COUNT(PanelCredential.id))
        .where(PanelCredential.locked_at.is_null())
        .group_by(PanelCredential.account)
    )
    return dict(tuples(rows))


def get(account_id: int) -> PanelAccount:
    """Return an account; raises NotFound."""
    account = PanelAccount.get_or_none(PanelAccount.id == account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def invite(
    name: str, email: str, role: Role, user_name: str, actor: Actor
) -> tuple[PanelAccount, str]:
    """Make an account and the one-time token by which its person registers a key.

    `user_name`, if any, is that of the person in the directory, to whom the account belongs from
    then on: they activate no key for themselves (R25), and leaving suspends the account (R18).
    Raises InvalidValue and Taken with the field at fault.
    """
    address = _address(email)
    user = _person(user_name)
    account = access.create_account(name, role, actor, address, state="invited", user=user)
    return account, _link(account, actor)


def new_link(account: PanelAccount, by: PanelAccount, actor: Actor) -> str:
    """Return another one-time token: for an invitation that was lost, or keys that were.

    The keys that are there stay. Raises Forbidden for one's own account, WrongState for one that
    is suspended.
    """
    _not_self(account, by)
    account.renew()
    if account.state == "suspended":
        raise WrongState("This account is suspended: resume it first.")
    return _link(account, actor)


def change_role(account: PanelAccount, role: Role, by: PanelAccount, actor: Actor) -> None:
    """Give an account another role, at once. Raises Forbidden, WrongState."""
    _not_self(account, by)
    if account.role == role:
        return
    _keep_an_owner(account)
    old, account.role = account.role, role
    account.save()
    audit.record(
        actor, Event.ACCOUNT_ROLE_CHANGED, user=account.user, account=account.name, old=old,
        role=role,
    )  # fmt: skip


def change_person(account: PanelAccount, user_name: str, by: PanelAccount, actor: Actor) -> None:
    """Say which person of the directory an account belongs to, see `invite`; "" for nobody.

    An account that belongs to nobody, as the first owner's does, may be given its person by
    itself: that takes power, and gives none. Raises Forbidden for one's own that has one,
    InvalidValue and Taken with the field at fault.
    """
    account.renew()
    if account.user is not None:
        _not_self(account, by)
    user = _person(user_name, besides=account)
    if user == account.user:
        return
    if user is not None and not user.active:
        raise InvalidValue(f"{user.display_name} is suspended.", "user_name")
    old, account.user = account.user, user
    account.save()
    audit.record(
        actor,
        Event.ACCOUNT_LINKED,
        user=user or old,
        account=account.name,
        person=user.display_name if user is not None else "–",
    )


def suspend(account: PanelAccount, by: PanelAccount, actor: Actor) -> None:
    """Shut an account out at once: sessions end, invitations die. Raises Forbidden, WrongState."""
    _not_self(account, by)
    if account.state == "suspended":
        return
    _keep_an_owner(account)
    account.state = "suspended"
    account.save()
    access.end_account_sessions(account)
    access.end_links(account)
    audit.record(actor, Event.ACCOUNT_SUSPENDED, user=account.user, account=account.name)


def resume(account: PanelAccount, by: PanelAccount, actor: Actor) -> None:
    """Let a suspended account in again; without a key it is an invited one. Raises Forbidden."""
    _not_self(account, by)
    if account.state != "suspended":
        raise WrongState("This account is not suspended.")
    has_key = PanelCredential.select().where(PanelCredential.account == account).exists()
    account.state = "active" if has_key else "invited"
    account.save()
    audit.record(actor, Event.ACCOUNT_RESUMED, user=account.user, account=account.name)


def _link(account: PanelAccount, actor: Actor) -> str:
    access.end_links(account)
    token = secrets.token_urlsafe(32)
    OwnerLink.create(
        token_hash=access.hash_secret(token),
        role=account.role,
        account=account,
        expires_at=now_ms() + INVITATION,
    )
    audit.record(
        actor, Event.ACCOUNT_INVITED, user=account.user, account=account.name, role=account.role
    )
    return token


def _not_self(account: PanelAccount, by: PanelAccount) -> None:
    if account.id == by.id:
        raise Forbidden("Nobody changes their own account: ask another owner.")


def _keep_an_owner(account: PanelAccount) -> None:
    """Raise WrongState if no other owner could sign in."""
    if account.role != Role.OWNER or account.state != "active":
        return
    others = PanelAccount.select().where(
        PanelAccount.role == Role.OWNER,
        PanelAccount.state == "active",
        PanelAccount.id != account.id,
    )
    if not others.exists():
        raise WrongState("This is the last owner who can sign in.")


def _address(email: str) -> str | None:
    if not email.strip():
        return None
    try:
        return check_address(email.strip())
    except InvalidValue as error:
        raise InvalidValue(str(error), "email") from None


def _person(user_name: str, besides: PanelAccount | None = None) -> User | None:
    if not user_name.strip():
        return None
    user = User.get_or_none(
        User.user_name_key == fold(user_name.strip()), User.deleted_at.is_null()
    )
    if user is None:
        raise InvalidValue(f"There is no user {user_name.strip()}.", "user_name")
    holder = PanelAccount.get_or_none(PanelAccount.user == user)
    if holder is not None and holder != besides:
        raise Taken("This person has an account already.", "user_name")
    return user
