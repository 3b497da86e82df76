# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How the first owner comes to be: the command line's one-time link, a key, an account (T25)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from . import access, attestation, ceremony, sign_in
from .access import Role
from .addresses import check_address
from .audit import CLI
from .ceremony import TakenChallenge
from .errors import Forbidden
from .models import OwnerLink, PanelAccount
from .services import Services

PURPOSE = "panel.register"


def binding_of(link: OwnerLink) -> str:
    """Return the name under which this link's challenge is kept."""
    return f"owner_link:{link.id}"


def options(link: OwnerLink, name: str, services: Services) -> str:
    """Ask for the owner's key: PublicKeyCredentialCreationOptionsJSON."""
    account = link.account
    shown = account.name if account is not None else name
    return ceremony.registration_options(
        sign_in.party(services),
        purpose=PURPOSE,
        binding=binding_of(link),
        user_handle=_handle(link),
        user_name=shown,
        display_name=shown,
        exclude=sign_in.panel_keys(account) if account is not None else [],
        attestation="none",
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

    Any model will do: the panel must open before a policy on models can be set. Raises
    CeremonyRefused, LinkDead, InvalidValue.
    """
    policy = replace(
        attestation.load_policy(services.settings),
        required=False,
        allowed_models=frozenset(),
        device_bound=False,
    )
    verified = ceremony.verify_registration(
        response, taken, policy=policy, party=sign_in.party(services)
    )
    access.use_owner_link(link)
    account = link.account
    if account is None:
        address = check_address(email) if email else None
        account = access.create_account(name, Role(link.role), CLI, address, _handle(link))
    sign_in.add_panel_key(account, verified, "First key", services)
    return account


def open_demo(link: OwnerLink, services: Services) -> PanelAccount:
    """Use the demonstration's link up, which needs no key. Raises Forbidden anywhere else."""
    if not services.settings.demo or link.account is None:
        raise Forbidden("This link registers a key.")
    access.use_owner_link(link)
    return link.account


def _handle(link: OwnerLink) -> bytes:
    """The WebAuthn user handle, fixed before there is an account: 64 bytes made from the link."""
    if link.account is not None:
        return bytes(link.account.user_handle)
    return hashlib.sha512(b"user handle:" + bytes(link.token_hash)).digest()
