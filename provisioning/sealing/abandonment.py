# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A key that is lost for good is given up, so that the server starts without it.

What lies under it stays where it is: it opens again if the key turns up after all, and until then
whoever comes to it is told that it does not open. Only a setting goes, which every process reads.
"""

from __future__ import annotations

from .. import audit, live_settings
from ..audit import Actor, Event
from ..errors import CommandRefused
from ..storage.db import transaction
from ..vault import Vault
from . import columns, proofs


def lying_under(key_id: str, vault: Vault) -> dict[str, int]:
    """Return how many values will not open, by table, if this key is abandoned.

    Raises CommandRefused unless it is a key that the database waits for.
    """
    if key_id in (each.hex() for each in vault.keks.ids()):
        raise CommandRefused(f"Key {key_id} is in keys/kek: nothing is lost.")
    try:
        found = columns.lying_under(bytes.fromhex(key_id))
    except ValueError:
        found = {}
    if key_id in proofs.abandoned():
        raise CommandRefused(f"Key {key_id} is abandoned already.")
    if not found and key_id not in proofs.needed():
        raise CommandRefused(f"This database needs no key {key_id}; see `keywright kek status`.")
    return found


def abandon(key_id: str, vault: Vault, actor: Actor) -> None:
    """Give a key up, in a transaction of its own. Raises CommandRefused as `lying_under` does."""
    with transaction():
        values = sum(lying_under(key_id, vault).values())
        live_settings.drop_sealed(bytes.fromhex(key_id))
        proofs.abandon(key_id)
        audit.record(actor, Event.KEK_ABANDONED, kek=key_id, values=values)
