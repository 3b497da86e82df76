# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""PINs that the server makes: by policy, sealed before a card is written, released once (R19)."""

from __future__ import annotations

import secrets
from itertools import pairwise

from ..models import Job
from ..sealing import columns
from ..vault import SealBroken, Vault

_COMMON = frozenset({"112233", "121314", "123321", "246810", "135790", "102030", "159753"})


def make(length: int) -> str:
    """Return a PIN of `length` digits by the system's CSPRNG, never a trivial one."""
    while True:
        pin = "".join(secrets.choice("0123456789") for _ in range(length))
        if not is_trivial(pin):
            return pin


def is_trivial(pin: str) -> bool:
    """Say whether a PIN is among the first that a thief would try.

    Fewer than three different characters, a run up or down, a repeated block, the same read
    backwards, or one of a short list.
    """
    if len(set(pin)) < 3 or pin in _COMMON or pin == pin[::-1]:
        return True
    steps = {ord(after) - ord(before) for before, after in pairwise(pin)}
    if steps in ({1}, {-1}):
        return True
    return any(pin == pin[:size] * (len(pin) // size) for size in range(1, len(pin) // 2 + 1))


def seal(vault: Vault, job: Job, pin: str) -> None:
    """Put a PIN on its job, bound to it: it opens for no other."""
    job.sealed_pin = vault.seal(pin.encode(), bound_to=_bound(job))


def unseal(vault: Vault, job: Job) -> str:
    """Return a job's PIN. Raises vault.SealBroken."""
    if job.sealed_pin is None:
        raise SealBroken("This job holds no PIN.")
    try:
        return vault.unseal(bytes(job.sealed_pin), bound_to=_bound(job)).decode()
    except SealBroken:
        raise SealBroken("This PIN cannot be read any more: reset the card.") from None


def erase(job: Job) -> None:
    """Forget a job's PIN."""
    job.sealed_pin = None


def _bound(job: Job) -> str:
    return columns.PIN.binding(job.resource_id)
