# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which keys a database needs: a proof for each, a constant sealed under it, in one row.

Whoever starts opens them all, which costs microseconds however much is sealed. A folder `keys/` of
another installation, or a `kek` that lost a line, is then told at the start, and not by the first
mail that cannot be sent (R31). A key that is lost for good is in the row without a proof: it is
abandoned, and nobody waits for it.
"""

from __future__ import annotations

import base64
import json

from .. import audit
from ..audit import Actor, Event
from ..errors import ConfigurationError
from ..models import Setting
from ..storage.db import transaction
from ..vault import SealBroken, Vault
from . import columns

_NAME = "keks"
_BOUND = "kek proof"
_PROVEN = b"opens"


def check(vault: Vault) -> None:
    """Raise ConfigurationError unless the file `kek` opens what this database holds.

    A database that knows of no key yet takes those that are there; so it does with a newer one.
    """
    proofs = _load()
    if proofs:
        missing = {key_id for key_id, proof in proofs.items() if proof and not _opens(proof, vault)}
    else:
        here = vault.keks.ids()
        missing = {each.hex() for each in columns.count_all() if each not in here}
    if missing:
        raise ConfigurationError(
            f"keys/kek does not open what this database holds: it lacks {_named(missing)}. It is "
            "another installation's, or has lost a line; put back the file that belongs here."
        )
    if not (proofs or {}).get(vault.keks.newest()[0].hex()):
        with transaction():
            add(vault, audit.SYSTEM)


def add(vault: Vault, actor: Actor) -> bool:
    """Note that the database needs the newest key, in the caller's transaction.

    Returns False if it knew. The key that an installation begins with leaves no line in the log.
    """
    proofs, newest = _load() or {}, vault.keks.newest()[0].hex()
    if proofs.get(newest):
        return False
    if proofs:
        audit.record(actor, Event.KEK_ADDED, kek=newest)
    _save({**proofs, newest: base64.b64encode(vault.seal(_PROVEN, _BOUND)).decode()})
    return True


def keep_only(vault: Vault, actor: Actor) -> list[str]:
    """Note that the database needs no key but the newest; return the ids of the others."""
    proofs, newest = _load() or {}, vault.keks.newest()[0].hex()
    proven = {key_id for key_id, proof in proofs.items() if proof}
    others = sorted({*proven, *(each.hex() for each in vault.keks.ids())} - {newest})
    for key_id in others:
        audit.record(actor, Event.KEK_RETIRED, kek=key_id)
    _save({key_id: proof for key_id, proof in proofs.items() if key_id not in others})
    return others


def abandon(key_id: str) -> None:
    """Note that the database waits for a key no longer, in the caller's transaction."""
    _save({**(_load() or {}), key_id: None})


def needed() -> list[str]:
    """Return the ids of the keys that the database says it needs."""
    return [key_id for key_id, proof in (_load() or {}).items() if proof]


def abandoned() -> list[str]:
    """Return the ids of the keys that were given up; values may lie under them all the same."""
    return [key_id for key_id, proof in (_load() or {}).items() if not proof]


def _opens(proof: str, vault: Vault) -> bool:
    try:
        return vault.unseal(base64.b64decode(proof), _BOUND) == _PROVEN
    except (SealBroken, ValueError):
        return False


def _named(key_ids: set[str]) -> str:
    return f"key{'s' if len(key_ids) > 1 else ''} {', '.join(sorted(key_ids))}"


def _load() -> dict[str, str | None] | None:
    row = Setting.get_or_none(Setting.name == _NAME)
    return json.loads(row.value) if row is not None else None


def _save(proofs: dict[str, str | None]) -> None:
    value = json.dumps(proofs)
    if not Setting.update(value=value).where(Setting.name == _NAME).execute():
        Setting.create(name=_NAME, value=value)
