# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The audit log: one row in the same transaction as what it tells, chained by a keyed hash.

Each row's MAC covers the previous row's MAC and its own content (HMAC-SHA-256 under a key that
is not in the database), and `AuditHead` holds the count and the last MAC: an edited, missing or
reordered row or a cut tail is found by `verify` (R26).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Self

import orjson
from peewee import fn

from .clock import now_ms
from .errors import InvalidValue
from .models import AuditEvent, AuditHead, SecurityKey, User
from .storage.db import Foreseen, Gathered, tuples
from .storage.statements import Statements, parameter, rows_of

START = b"\0" * 32  # what the first line's MAC covers


@unique
class Event(StrEnum):
    """Every kind of line; each is explained in the README's audit table."""

    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_DEACTIVATED = "user.deactivated"
    USER_REACTIVATED = "user.reactivated"
    USER_DELETED = "user.deleted"
    USER_HANDED_OVER = "user.handed_over"
    DEPARTURES_HELD = "departures.held"
    DEPARTURES_DECIDED = "departures.decided"
    USER_SIGNED_IN = "user.signed_in"
    USER_SIGNED_OUT = "user.signed_out"
    SIGN_IN_REFUSED = "sign_in.refused"
    GROUP_CREATED = "group.created"
    GROUP_CHANGED = "group.changed"
    GROUP_DELETED = "group.deleted"
    MEMBERS_CHANGED = "group.members_changed"
    POLICY_CHANGED = "group.policy_changed"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_DECLINED = "approval.declined"
    KEY_DRAFTED = "key.drafted"
    KEY_ASSIGNED = "key.assigned"
    KEY_REGISTERED = "key.registered"
    KEY_ACTIVATED = "key.activated"
    KEY_CONFIRMED = "key.confirmed"
    KEY_SUSPENDED = "key.suspended"
    KEY_RESUMED = "key.resumed"
    KEY_REVOKED = "key.revoked"
    KEY_RENAMED = "key.renamed"
    KEY_TERM_SET = "key.term_set"
    KEY_NEEDS_RESET = "key.needs_reset"
    KEY_REFUSED = "key.refused"
    CARD_RECOGNISED = "card.recognised"
    CARD_WIPED = "card.wiped"
    LINK_ISSUED = "link.issued"
    LINK_OPENED = "link.opened"
    LINK_USED = "link.used"
    LINK_CANCELLED = "link.cancelled"
    LINK_REQUESTED = "link.requested"
    LINK_CODE_SHOWN = "link.code_shown"
    LINK_CODE_WRONG = "link.code_wrong"
    JOB_QUEUED = "job.queued"
    JOB_TAPPED = "job.tapped"
    JOB_INTERRUPTED = "job.interrupted"
    JOB_DONE = "job.done"
    JOB_CANCELLED = "job.cancelled"
    BADGE_ADDED = "badge.added"
    BADGE_REMOVED = "badge.removed"
    BATCH_STARTED = "batch.started"
    BATCH_PAUSED = "batch.paused"
    BATCH_FINISHED = "batch.finished"
    BATCH_UNDONE = "batch.undone"
    PIN_CHANGED = "pin.changed"
    PIN_CHANGE_FORCED = "pin.change_forced"
    PIN_RELEASED = "pin.released"
    PIN_REVEALED = "pin.revealed"
    PIN_CANCELLED = "pin.cancelled"
    MAIL_SENT = "mail.sent"
    MAIL_FAILED = "mail.failed"
    MAIL_DEAD = "mail.dead"
    MAIL_TESTED = "mail.tested"
    MAIL_RETRIED = "mail.retried"
    STATION_PAIRED = "station.paired"
    STATION_RENAMED = "station.renamed"
    STATION_REVOKED = "station.revoked"
    CONNECTION_CREATED = "connection.created"
    CONNECTION_CHANGED = "connection.changed"
    CONNECTION_RETIRED = "connection.retired"
    CONNECTION_RESUMED = "connection.resumed"
    CONNECTION_DELETED = "connection.deleted"
    STREAM_CREATED = "stream.created"
    STREAM_CHANGED = "stream.changed"
    STREAM_REMOVED = "stream.removed"
    STREAM_REFUSED = "stream.refused"
    STREAM_EVENT_DEAD = "stream.event_dead"
    SCHEMA_ADDED = "schema.added"
    SCHEMA_REMOVED = "schema.removed"
    CONFLICT_DISMISSED = "conflict.dismissed"
    CONFLICT_REOPENED = "conflict.reopened"
    TOKEN_CREATED = "token.created"  # noqa: S105 - an event's name
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - an event's name
    LOG_EXPORTED = "log.exported"
    OWNER_LINK_MADE = "owner_link.made"
    BACKUP_MADE = "backup.made"
    BACKUP_RESTORED = "backup.restored"
    KEK_ADDED = "kek.added"
    KEK_ROTATED = "kek.rotated"
    KEK_RETIRED = "kek.retired"
    KEK_ABANDONED = "kek.abandoned"
    SETTINGS_CHANGED = "settings.changed"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_SIGNED_IN = "account.signed_in"
    ACCOUNT_SIGNED_OUT = "account.signed_out"
    ACCOUNT_STEPPED_UP = "account.stepped_up"
    ACCOUNT_INVITED = "account.invited"
    ACCOUNT_ROLE_CHANGED = "account.role_changed"
    ACCOUNT_LINKED = "account.linked"
    ACCOUNT_SUSPENDED = "account.suspended"
    ACCOUNT_RESUMED = "account.resumed"
    ACCOUNT_HELD = "account.held"
    IMPORT_UPLOADED = "import.uploaded"
    IMPORT_STARTED = "import.started"
    IMPORT_DISCARDED = "import.discarded"
    TASK_QUEUED = "task.queued"
    TASK_FINISHED = "task.finished"
    TASK_CANCELLED = "task.cancelled"
    TASK_REVOKED = "task.revoked"


@dataclass(frozen=True)
class Actor:
    """Who did it: `kind` is connection, account, user, station, system or cli."""

    kind: str
    id: str | None
    name: str


SYSTEM = Actor("system", None, "Keywright")
CLI = Actor("cli", None, "command line")
# Whoever comes by a link or to a page without signing in; pages say these names in words.
LINK_HOLDER = Actor("user", None, "whoever holds the link")
NOBODY = Actor("user", None, "somebody not signed in")


Content = tuple[object, ...]

# What a row's MAC covers, in this order, as JSON.
_COVERED = ("at", "actor_kind", "actor_id", "actor_name", "event", "user_id", "key_id", "detail")
_WALK = 1_000  # lines read at once
_AT_ONCE = 100  # lines in one statement: databases limit the number of its parameters

# With the key taken in already, to be copied: beginning anew costs more than a line does.
_begun: list[hmac.HMAC] = []


def use_key(key: bytes) -> None:
    """Set this process's audit key (from the vault)."""
    _begun[:] = [hmac.new(key, digestmod="sha256")]


def _begin() -> hmac.HMAC:
    if not _begun:
        raise RuntimeError("no audit key: the process did not call audit.use_key")
    return _begun[0].copy()


def record(
    actor: Actor,
    event: Event,
    *,
    user: User | None = None,
    key: SecurityKey | int | None = None,
    **detail: object,
) -> None:
    """Write one line in the caller's transaction. If it cannot be written, nothing happened.

    `key` is a row or its id.
    """
    _LINES.add(
        (
            now_ms(),
            actor.kind,
            actor.id,
            actor.name,
            event.value,
            user.id if user is not None else None,
            key.id if isinstance(key, SecurityKey) else key,
            orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
        )
    )


def _write(lines: Sequence[Content]) -> None:
    head_id, rows, mac = _head()
    values: list[object] = []
    for content in lines:
        mac = _mac(mac, content)
        values += [*content, mac]
    width = len(_COVERED) + 1
    for start in range(0, len(values), width * _AT_ONCE):
        part = values[start : start + width * _AT_ONCE]
        _ADD.say((len(part) // width,), part)
    _MOVE.say((), (rows + len(lines), mac, head_id))


def _head() -> tuple[int, int, bytes]:
    """Return the head's row id, the number of rows, and the MAC that the next one covers."""
    found = _HEAD.answer()
    if not found:
        return AuditHead.create(rows=0, mac=START).id, 0, START
    head_id, rows, mac = found[0]
    return head_id, rows, bytes(mac)


def _mac(previous: bytes, content: Content) -> bytes:
    mac = _begin()
    mac.update(previous)
    mac.update(orjson.dumps(content))
    return mac.digest()


# A transaction's lines go in together, with the head read and moved once. Every write leaves one
# or several, so the statements are kept: 30 µs a row against 900 by models.
_LINES = Gathered(_write)
_ASK_HEAD = Statements(
    lambda: AuditHead.select(AuditHead.id, AuditHead.rows, AuditHead.mac).limit(1)
)
_HEAD = Foreseen(lambda: _ASK_HEAD.ahead((), ()))
_ADD = Statements(lambda count: rows_of(AuditEvent, (*_COVERED, "mac"), count))
_MOVE = Statements(
    lambda: AuditHead.update({AuditHead.rows: parameter(0), AuditHead.mac: parameter(1)}).where(
        AuditHead.id == parameter(2)
    )
)


@dataclass(frozen=True)
class Anchor:
    """Where the log stood at a moment, kept on another host: `<rows>:<MAC in hex>`.

    Who can write the database can cut the log's tail and set its head back; an anchor shows it.
    """

    rows: int
    mac: bytes

    def __str__(self) -> str:
        return f"{self.rows}:{self.mac.hex()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises InvalidValue."""
        found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text.strip())
        if found is None:
            raise InvalidValue("An anchor looks like 1234:9f3c…", "anchor")
        return cls(int(found[1]), bytes.fromhex(found[2]))


@dataclass(frozen=True)
class Verdict:
    """What `verify` found: how many rows, and why the chain does not hold, if it does not."""

    rows: int
    broken_at: int | None
    message: str

    @property
    def whole(self) -> bool:
        """Whether the chain holds from the first row to the head."""
        return self.broken_at is None and not self.message


def head() -> Anchor:
    """Return where the log stands now."""
    return stand()[0]


def stand() -> tuple[Anchor, int]:
    """Return the head and the newest line's id, 0 for none: both of one moment.

    Who looks at the lines while others write stops at that one, since a line and the head that
    counts it commit together.
    """
    newest = AuditEvent.select(fn.MAX(AuditEvent.id))
    found = next(tuples(AuditHead.select(AuditHead.rows, AuditHead.mac, newest).limit(1)), None)
    if found is None:  # before the first line
        return Anchor(0, START), newest.scalar() or 0
    rows, mac, row = found
    return Anchor(rows, bytes(mac)), row or 0


@dataclass(frozen=True)
class Line:
    """One line as the chain sees it."""

    id: int
    content: Content
    mac: bytes


def lines_after(row: int, size: int, *, until: int) -> list[Line]:
    """Return lines in the order of the chain: those past line `row`, line `until` the last."""
    columns = (getattr(AuditEvent, name) for name in _COVERED)
    query = AuditEvent.select(AuditEvent.id, *columns, AuditEvent.mac)
    query = query.where(AuditEvent.id > row, AuditEvent.id <= until)
    found = tuples(query.order_by(AuditEvent.id).limit(size))
    return [Line(one[0], one[1:-1], bytes(one[-1])) for one in found]


def mac_of(previous: bytes, content: Content) -> bytes:
    """Return the MAC that a line must have after one with the MAC `previous`."""
    return _mac(previous, content)


def verify(anchor: Anchor | None = None) -> Verdict:
    """Walk the chain; compare it with its head, and with an anchor if there is one.

    Others may write meanwhile: what is looked at is the log as it stood when this began.
    """
    end, newest = stand()
    previous, count, row = START, 0, 0
    while lines := lines_after(row, _WALK, until=newest):
        for line in lines:
            count += 1
            row = line.id
            if not hmac.compare_digest(line.mac, _mac(previous, line.content)):
                return Verdict(count, row, f"row {row} or the one before it was changed")
            previous = line.mac
            if anchor is not None and count == anchor.rows and previous != anchor.mac:
                return Verdict(count, row, f"row {row} is not the one that was anchored")
    wanted = max(end.rows, anchor.rows if anchor is not None else 0)
    if count != wanted or previous != end.mac:
        return Verdict(count, None, f"the log ends after {count} of {wanted} rows")
    return Verdict(count, None, "")
