# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which models of key people hold, and which of these a policy would not let in again.

A policy judges what is registered from then on; keys that are in use stay in use. But whoever
loses one of a refused model needs another model, so that is told before a policy is saved.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum, unique

from peewee import fn

from ..ceremonies import attestation
from ..ceremonies.attestation import Policy
from ..lifecycle import KeyState
from ..models import Credential, SecurityKey
from ..storage.db import tuples

_IN_USE = (KeyState.ACTIVE, KeyState.SUSPENDED)


@unique
class Why(StrEnum):
    """Why a policy refuses a model; the order is that in which a registration is judged."""

    WITHDRAWN = "withdrawn"  # whatever it proves
    UNPROVED = "unproved"  # these keys came without attestation, and one is required
    NO_ROOT = "no_root"  # one is required, and nothing vouches for this model
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True)
class Held:
    """How many keys in use have this model; `proved` unless they came without attestation."""

    aaguid: str
    name: str
    proved: bool
    count: int


def held() -> list[Held]:
    """Return the models of all keys in use, the most frequent first."""
    rows = (
        SecurityKey.select(
            Credential.aaguid,
            Credential.attestation_format,
            fn.MAX(SecurityKey.model),
            fn.COUNT(SecurityKey.id),
        )
        .join(Credential, on=(Credential.key == SecurityKey.id))
        .where(SecurityKey.state << _IN_USE)
        .group_by(Credential.aaguid, Credential.attestation_format)
    )
    counts: Counter[tuple[str, bool]] = Counter()
    names: dict[str, str] = {}
    for aaguid, fmt, name, count in tuples(rows):
        counts[aaguid, fmt != "none"] += count
        names[aaguid] = name or names.get(aaguid) or attestation.model_name(aaguid) or aaguid
    found = [Held(aaguid, names[aaguid], proved, n) for (aaguid, proved), n in counts.items()]
    return sorted(found, key=lambda one: (-one.count, one.name, one.proved))


def refused(policy: Policy) -> list[tuple[Held, Why]]:
    """Return which of the models in use could not be registered again under this policy."""
    judged = ((one, _why(one, policy)) for one in held())
    return [(one, why) for one, why in judged if why is not None]


def _why(one: Held, policy: Policy) -> Why | None:
    """As `attestation.check` judges, without a certificate at hand."""
    if one.aaguid in policy.withdrawn:
        return Why.WITHDRAWN
    has_root = one.aaguid in policy.roots
    if not one.proved:
        return Why.UNPROVED if policy.required else None
    if policy.required and not has_root:
        return Why.NO_ROOT
    if has_root and policy.allowed_models and one.aaguid not in policy.allowed_models:
        return Why.NOT_ALLOWED
    return None
