# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The audit chain looked over bit by bit, so that a page can say how it stands without a walk.

The worker walks the whole chain in steps, over and over; a page looks at the last lines and the
head itself. Both together are what the badge says. Who can write the database can write this
state as well: what settles a doubt is `keywright audit verify` with an anchor from another host.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass, replace

from . import audit
from .clock import HOUR, now_ms
from .models import AuditEvent, Setting
from .storage.db import tuples

STEP = 2_000  # lines in one turn of the worker: some 30 ms
TAIL = 50
AGAIN = HOUR  # after a walk that reached the end the next one begins
_NAME = "audit_check"


@dataclass(frozen=True)
class Progress:
    """Where the walk is, and what the last one that reached the end found; times in ms."""

    row: int = 0  # id of the last line that holds
    rows: int = 0
    mac: str = audit.START.hex()
    began_at: int = 0
    whole_at: int = 0
    whole_rows: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Standing:
    """What a page says of the chain; `checked_at` is when a walk last reached the end."""

    whole: bool
    rows: int
    checked_at: int | None
    sentence: str


def advance(step: int = STEP) -> int:
    """Walk on, in the caller's transaction; return how many lines were looked at."""
    now, here = now_ms(), _load()
    head, newest = audit.stand()
    if here.rows >= head.rows and now - here.began_at > AGAIN:
        here = Progress(whole_at=here.whole_at, whole_rows=here.whole_rows, fault=here.fault)
    if here.began_at == 0:
        here = replace(here, began_at=now)
    elif here.rows == head.rows and here.mac == head.mac.hex():
        return 0  # nothing new: nothing is written
    row, rows, mac = here.row, here.rows, bytes.fromhex(here.mac)
    looked = 0
    for line in audit.lines_after(row, step, until=newest):
        looked += 1
        if not hmac.compare_digest(line.mac, audit.mac_of(mac, line.content)):
            fault = f"row {line.id} or the one before it was changed"
            _save(replace(here, row=0, rows=head.rows, mac=head.mac.hex(), fault=fault))
            return looked
        row, rows, mac = line.id, rows + 1, line.mac
    here = replace(here, row=row, rows=rows, mac=mac.hex())
    if looked < step or rows >= head.rows:  # the end
        if rows == head.rows and mac == head.mac:
            here = replace(here, whole_at=now, whole_rows=rows, fault="")
        else:
            fault = f"the log ends after {rows} of {head.rows} rows"
            here = replace(here, row=0, rows=head.rows, mac=head.mac.hex(), fault=fault)
    _save(here)
    return looked


def standing() -> Standing | None:
    """Return how the chain stands, or None before a walk has reached the end for the first time."""
    here = _load()
    fault = here.fault or _tail()
    if not here.whole_at and not fault:
        return None
    return Standing(not fault, here.whole_rows, here.whole_at or None, fault)


def _tail() -> str:
    """Return what is wrong with the last lines, or nothing. Others may write meanwhile."""
    head, end = audit.stand()
    newest = AuditEvent.select(AuditEvent.id).where(AuditEvent.id <= end)
    rows = [row for (row,) in tuples(newest.order_by(AuditEvent.id.desc()).limit(TAIL + 1))]
    if not rows:
        return "" if head.rows == 0 else "the log is empty"
    lines = audit.lines_after(rows[-1] - 1, TAIL + 1, until=end)
    mac = audit.START
    if len(lines) > TAIL:  # the first of them only tells where the others hang on
        mac, lines = lines[0].mac, lines[1:]
    for line in lines:
        if not hmac.compare_digest(line.mac, audit.mac_of(mac, line.content)):
            return f"row {line.id} or the one before it was changed"
        mac = line.mac
    return "" if mac == head.mac else "the last lines are missing"


def _load() -> Progress:
    row = Setting.get_or_none(Setting.name == _NAME)
    return Progress(**json.loads(row.value)) if row is not None else Progress()


def _save(here: Progress) -> None:
    value = json.dumps(asdict(here))
    if not Setting.update(value=value).where(Setting.name == _NAME).execute():
        Setting.create(name=_NAME, value=value)
