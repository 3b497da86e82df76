# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The key-encryption key is changed while everything runs: add one, seal anew, retire the old.

1. `begin` adds a key to the file, in a write transaction. One writes at a time, so nobody commits
   a value under the new key before it is on the disk.
2. `reseal` walks all sealed columns in short transactions. Killed anywhere, the next run goes on:
   what is still under another key than the newest tells where. Every process reads the file anew
   when it seals or meets a key that it does not know, so both keys open until the end.
3. `retire` takes the old keys out of the file, once nothing lies under them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from .. import audit
from ..audit import Actor, Event
from ..errors import CommandRefused
from ..storage.db import BREATH, transaction
from ..vault import Vault
from . import columns, proofs
from .columns import SealedColumn

BATCH = 50  # values in one transaction: a few milliseconds
# Seconds in which whatever was sealed, or read, before the file changed has been written or used:
# nobody waits for the turn to write for longer than 20.
GRACE = 60.0


@dataclass(frozen=True)
class Batch:
    """What one transaction did: how many values are under the newest key now, and which broke."""

    column: SealedColumn
    done: int
    broken: list[int]  # rows whose value does not open


def begin(vault: Vault, actor: Actor) -> bool:
    """Add a key, unless an old one is there still, whose rotation then goes on.

    Returns whether it did. Raises ConfigurationError if the file cannot be changed.
    """
    with transaction():
        proofs.needed()  # a question, since on PostgreSQL the turn begins with the first one
        new = len(vault.keks.ids()) == 1
        if new:
            vault.keks.add()
        # Not only of a new one: whoever was killed between file and commit has left that to us.
        proofs.add(vault, actor)
    return new


def reseal(vault: Vault, actor: Actor) -> Iterator[Batch]:
    """Seal everything under the newest key, each batch in a transaction of its own.

    Nobody expects what lies under an abandoned key to open; if the key is back, it is tried.
    """
    newest, done = vault.keks.newest()[0], 0
    lost = {bytes.fromhex(each) for each in proofs.abandoned()} - {*vault.keks.ids()}
    for column in columns.ALL:
        after = 0
        while rows := column.not_under({newest, *lost}, after, BATCH):
            with transaction():
                broken = column.reseal(rows, vault)
            after = rows[-1]
            done += len(rows) - len(broken)
            yield Batch(column, len(rows) - len(broken), broken)
            time.sleep(BREATH)
    if done:
        with transaction():
            audit.record(actor, Event.KEK_ROTATED, kek=newest.hex(), values=done)


def retire(vault: Vault, actor: Actor) -> list[str]:
    """Take all keys but the newest out of the file; return their ids.

    Raises CommandRefused while something lies under one of them, or might be about to.
    """
    *others, _newest = vault.keks.ids()
    if not others:
        raise CommandRefused("There is one key only, and it is in use.")
    wait = GRACE - max(0.0, vault.keks.age(time.time()))
    if wait > 0:
        raise CommandRefused(
            "The key was changed a moment ago, and somebody may still hold what the old one "
            f"opens: try again in {wait:.0f} seconds."
        )
    # Outside of the turn to write, as it reads whole tables: since the file is older than any
    # transaction is, nothing comes under an old key any more.
    counted = columns.count_all()
    left = sum(counted[key_id] for key_id in others)
    if left:
        raise CommandRefused(
            f"Still sealed under an old key: {left}. Run `keywright kek rotate` first."
        )
    with transaction():
        gone = proofs.keep_only(vault, actor)
    # After the commit: a key too many in the file harms nobody, one too few stops the start.
    vault.keks.keep_newest()
    return gone
