# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Forms that came after their session had ended: kept for their account and page, for a day.

Sealed, since anything may have been typed into them; bounded, since whoever had a session once can
send them. Functions never commit.
"""

from __future__ import annotations

import orjson

from ..clock import DAY, now_ms
from ..models import KeptForm
from ..sealing import columns
from ..vault import SealBroken, Vault

LONGEST = 256 * 1024  # bytes of one form
MOST = 20  # forms of one account
KEPT = DAY

Fields = list[tuple[str, str]]


def keep(account: int, path: str, fields: Fields, vault: Vault) -> bool:
    """Keep a form, in place of an earlier one for this page; False when it is too long."""
    text = orjson.dumps(fields)
    if len(text) > LONGEST or len(path) > 255:
        return False
    sealed, now = vault.seal(text, _bound(account, path)), now_ms()
    KeptForm.insert(account=account, path=path, sealed=sealed, created_at=now).on_conflict(
        conflict_target=(KeptForm.account, KeptForm.path),
        update={KeptForm.sealed: sealed, KeptForm.created_at: now},
    ).execute()
    mine, newest_first = (
        KeptForm.account == account,
        (KeptForm.created_at.desc(), KeptForm.id.desc()),
    )
    newest = KeptForm.select(KeptForm.id).where(mine).order_by(*newest_first)
    kept = [row.id for row in newest.limit(MOST)]
    KeptForm.delete().where(mine, KeptForm.id.not_in(kept)).execute()
    return True


def take(account: int, path: str, vault: Vault) -> Fields | None:
    """Return what was kept for this account's page, once, or None."""
    row = KeptForm.get_or_none(
        KeptForm.account == account,
        KeptForm.path == path,
        KeptForm.created_at > now_ms() - KEPT,
    )
    if row is None:
        return None
    row.delete_instance()
    try:
        text = vault.unseal(row.sealed, _bound(account, path))
    except SealBroken:  # its key was retired meanwhile
        return None
    return [(str(name), str(value)) for name, value in orjson.loads(text)]


def forget_old() -> int:
    """Delete what nobody came back to; returns how many."""
    old = KeptForm.created_at <= now_ms() - KEPT
    return int(KeptForm.delete().where(old).execute())


def _bound(account: int, path: str) -> str:
    return columns.KEPT_FORM.binding(account, path)
