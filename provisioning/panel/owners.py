# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How the first owner comes to be: the command line's one-time link, a key, an account (T25)."""

from __future__ import annotations

import hashlib

from ..audit import CLI
from ..ceremonies.ceremony import TakenChallenge
from ..errors import Forbidden, LinkDead
from ..mails import alerts
from ..mails.addresses import check_address
from ..models import OwnerLink, PanelAccount
from ..services import Services
from . import access, panel_keys, sign_in
from .access import Role


def binding_of(link: OwnerLink) -> str:
    """Return the name under which this link's challenge is kept."""
    return f"owner_link:{link.id}"


def options(link: OwnerLink, name: str, services: Services) -> str:
    """Ask for the owner's key: PublicKeyCredentialCreationOptionsJSON."""
    account = link.account
    return panel_keys.options(
        binding_of(link),
        account.name if account is not None else name,
        _handle(link),
        sign_in.panel_keys(account) if account is not None else [],
        services,
    )


def become(
    link: OwnerLink,
    response: object,
    taken: TakenChallenge,
    *,
    name: str,
    email: str,
    services: Services,
) -> PanelAccount:
    """Use the link up: verify the key, make or recover the account, store the key.

    Raises CeremonyRefused, LinkDead, InvalidValue.
    """
    verified = panel_keys.verify(response, taken, services)
    access.use_owner_link(link)
    account = link.account
    if account is None:
        address = check_address(email) if email else None
        account = access.create_account(name, Role(link.role), CLI, address, _handle(link))
        sign_in.add_panel_key(account, verified, "First key", services)
        return account
    is_new = account.state == "invited"
    _let_in(account)
    made = sign_in.add_panel_key(account, verified, _label(account), services)
    if not is_new:
        alerts.note_panel_key(account, made)
    return account


def open_demo(link: OwnerLink, services: Services) -> PanelAccount:
    """Use the demonstration's link up, which needs no key. Raises Forbidden anywhere else."""
    if not services.settings.demo or link.account is None:
        raise Forbidden("This link registers a key.")
    access.use_owner_link(link)
    _let_in(link.account)
    return link.account


def _let_in(account: PanelAccount) -> None:
    """An invited account is one that works from its first key on. Raises LinkDead."""
    account.renew()
    if account.state == "suspended":
        raise LinkDead("This link was used, has expired or was replaced by a newer one.")
    if account.state == "invited":
        account.state = "active"
        account.save()


def _label(account: PanelAccount) -> str:
    """Name a key that came by a link, so that its owner can tell it from the others."""
    count = len(panel_keys.of_account(account))
    return "First key" if not count else f"Key {count + 1}"


def _handle(link: OwnerLink) -> bytes:
    """The WebAuthn user handle, fixed before there is an account: 64 bytes made from the link."""
    if link.account is not None:
        return bytes(link.account.user_handle)
    return hashlib.sha512(b"user handle:" + bytes(link.token_hash)).digest()
