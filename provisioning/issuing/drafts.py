# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Wizards that nobody came back to: what was typed is forgotten, a drafted card given back.

Functions never commit.
"""

from __future__ import annotations

from ..audit import SYSTEM
from ..clock import DAY, now_ms
from ..models import WizardDraft
from . import assignment

BLANK = DAY  # one that nobody typed into
ABANDONED = 14 * DAY
OVER = 30 * DAY  # confirmed or cancelled; Back still finds its way until then
_BATCH = 100


def forget_abandoned() -> int:
    """Close abandoned wizards and delete old ones; return how many.

    A card that was tapped for one keeps a key that opens nothing; its PIN was erased long before.
    """
    now = now_ms()
    old = WizardDraft.select().where(
        WizardDraft.state == "open", WizardDraft.updated_at < now - ABANDONED
    )
    closed = list(old.order_by(WizardDraft.id).limit(_BATCH))
    for row in closed:
        if row.key is not None:
            assignment.release_card(row.key, SYSTEM)
        row.key, row.state, row.data = None, "cancelled", "{}"
        row.updated_at = now
        row.save()
    blank = (
        (WizardDraft.state == "open")
        & (WizardDraft.data == "{}")
        & WizardDraft.key.is_null()
        & (WizardDraft.updated_at < now - BLANK)
    )
    over = (WizardDraft.state != "open") & (WizardDraft.updated_at < now - OVER)
    return len(closed) + int(WizardDraft.delete().where(blank | over).execute())
