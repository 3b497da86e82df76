# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The keys that open the panel: registered by their account, never the last one removed.

Any model will do here: the panel must open before a policy on models can be set, and user
verification is asked for at every use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .. import audit
from ..audit import Actor, Event
from ..ceremonies import attestation, ceremony
from ..ceremonies.ceremony import TakenChallenge, VerifiedRegistration
from ..errors import InvalidValue, NotFound, WrongState
from ..models import PanelAccount, PanelCredential
from ..services import Services
from . import sign_in

PURPOSE = "panel.register"
MAX_LABEL = 64


def options(
    binding: str, name: str, user_handle: bytes, exclude: Sequence[bytes], services: Services
) -> str:
    """Ask for a new key: PublicKeyCredentialCreationOptionsJSON."""
    return ceremony.registration_options(
        sign_in.party(services),
        purpose=PURPOSE,
        binding=binding,
        user_handle=user_handle,
        user_name=name,
        display_name=name,
        exclude=exclude,
        attestation="none",
    )


def verify(response: object, taken: TakenChallenge, services: Services) -> VerifiedRegistration:
    """Verify a new key of the panel. Raises CeremonyRefused."""
    policy = replace(
        attestation.load_policy(services.settings),
        required=False,
        allowed_models=frozenset(),
        device_bound=False,
    )
    return ceremony.verify_registration(
        response, taken, policy=policy, party=sign_in.party(services)
    )


def check_label(label: str) -> str:
    """Return a key's name without surrounding space; raises InvalidValue."""
    label = " ".join(label.split())
    if not 1 <= len(label) <= MAX_LABEL:
        raise InvalidValue(f"A key's name has 1 to {MAX_LABEL} characters.", "name")
    return label


def of_account(account: PanelAccount) -> list[PanelCredential]:
    """Return an account's keys, the oldest first."""
    rows = PanelCredential.select().where(PanelCredential.account == account)
    return list(rows.order_by(PanelCredential.id))


def remove(account: PanelAccount, key_id: int, actor: Actor) -> PanelCredential:
    """Take a key away from its account. Raises NotFound, or WrongState for the last good one."""
    mine = of_account(account)
    key = next((key for key in mine if key.id == key_id), None)
    if key is None:
        raise NotFound("There is no such key.")
    if all(other == key or other.locked_at is not None for other in mine):
        raise WrongState("This is your only key: register another one first.")
    key.delete_instance()
    audit.record(actor, Event.KEY_REVOKED, name=key.label, account=account.name, reason="removed")
    return key
