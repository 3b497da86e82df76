# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A key that is made straight in a browser: the same options and checks wherever that is."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from flask import Response

from provisioning import keys
from provisioning.ceremonies import attestation, ceremony
from provisioning.ceremonies.ceremony import VerifiedRegistration
from provisioning.ceremonies.challenges import TakenChallenge
from provisioning.lifecycle import KeyKind
from provisioning.models import SecurityKey
from provisioning.panel import sign_in
from provisioning.services import services
from provisioning.settings import AttestationRule


def options(
    key: SecurityKey, *, purpose: str, binding: str, user_name: str, display_name: str
) -> Response:
    """Ask for a new credential, bound to who asks and to this key."""
    text = ceremony.registration_options(
        sign_in.party(services()),
        purpose=purpose,
        binding=binding,
        user_handle=bytes(key.user_handle),
        user_name=user_name,
        display_name=display_name or user_name,
        exclude=keys.credential_ids(key.user),
        attachment=_attachment(KeyKind(key.kind)),
        attestation=_conveyance(),
        user=key.user,
        key=key,
    )
    return Response(text, mimetype="application/json")


def verify(
    key: SecurityKey, response: object, taken: TakenChallenge | None
) -> VerifiedRegistration:
    """Check a browser's answer by the policy for this key; raises CeremonyRefused."""
    policy = attestation.load_policy(services().settings)
    # What a phone calls a passkey may live in more than one device: the admin chose that kind.
    passkey = key.kind == KeyKind.PASSKEY
    policy = replace(policy, device_bound=policy.device_bound and not passkey)
    return ceremony.verify_registration(
        response, taken, policy=policy, party=sign_in.party(services())
    )


def _attachment(kind: KeyKind) -> Literal["cross-platform"] | None:
    # A passkey may be on this device or on a phone beside it: the browser asks which.
    return None if kind is KeyKind.PASSKEY else "cross-platform"


def _conveyance() -> Literal["direct", "none"]:
    required = services().settings.attestation is AttestationRule.REQUIRED
    return "direct" if required else "none"
