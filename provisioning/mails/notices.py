# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Mails that tell people of what became of their keys; they cannot be turned off (T1, T12)."""

from __future__ import annotations

from .. import keys
from ..audit import Actor
from ..models import SecurityKey, User
from ..naming import fold
from ..services import Services
from . import languages, outbox
from .mail import Context, Template


def context_of(
    key: SecurityKey, user: User, services: Services, actor: Actor | None
) -> dict[str, str | int | None]:
    """Return what every mail about a key says: who, which key, whom to ask."""
    return _always(user, services) | {
        "key_name": key.name,
        "admin_name": actor.name if actor is not None and actor.kind == "account" else None,
    }


def _always(user: User, services: Services) -> dict[str, str | int | None]:
    settings = services.settings
    return {
        "organisation": settings.organisation,
        "name": user.display_name,
        "base_url": settings.base_url,
        "contact": settings.contact,
    }


def key_added(key: SecurityKey, user: User, services: Services) -> None:
    """Tell that a key is bound to this person; the PIN mail says it as well."""
    context = context_of(key, user, services, None)
    _tell(Template.KEY_ADDED, user.email, user, services, context, key)


def key_revoked(key: SecurityKey, actor: Actor, services: Services) -> None:
    """Tell the holder that a key never works again, and why."""
    user = key.user
    if user is not None:
        context = context_of(key, user, services, actor) | {"reason": key.reason}
        _tell(Template.KEY_REVOKED, user.email, user, services, context, key)


def address_changed(user: User, old: str | None, services: Services) -> None:
    """Tell the address `old` if mails to somebody who has a key go to another one by now (T12).

    Whoever lets a user's document be changed asks here afterwards. Who has no key yet gets no
    mail: a company that moves to another domain would write to people who never heard of us.
    """
    if user.email == old or old is None or user.email_key == fold(old):
        return
    if not keys.has_living(user):  # suspended ones count: who has left may come back with them
        return
    _tell(Template.ADDRESS_CHANGED, old, user, services, _always(user, services))


def _tell(
    template: Template,
    address: str | None,
    user: User,
    services: Services,
    context: Context,
    key: SecurityKey | None = None,
) -> None:
    if address:
        outbox.queue(
            template,
            address,
            vault=services.vault,
            user=user,
            key=key,
            context=context,
            secret=None,
            locale=languages.of_user(user, services.settings),
        )
