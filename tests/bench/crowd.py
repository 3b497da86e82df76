# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A large installation in half a minute: rows as the product's verbs leave them, many at a time.

Documents, look-up columns, states, memberships, tallies and the audit chain agree with each
other, so that every page shows what it would show; the database is SQLite, and nobody has told it
what is in its tables, as nobody does in an installation.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from provisioning import audit, directory
from provisioning.audit import CLI, Event
from provisioning.clock import DAY, HOUR, MINUTE, now_ms
from provisioning.lifecycle import KeyState, LinkState, UserStatus
from provisioning.mails import outbox
from provisioning.models import (
    Activation,
    AuditEvent,
    AuditHead,
    Connection,
    Group,
    Member,
    OutboxMail,
    Row,
    SecurityKey,
    User,
    UserValue,
)
from provisioning.naming import fold
from provisioning.storage.db import database, transaction
from provisioning.upstream import tally, tokens
from tests.bench import people

_PART = 5_000
_EVENTS = (
    Event.USER_CREATED,
    Event.KEY_ASSIGNED,
    Event.LINK_ISSUED,
    Event.MAIL_SENT,
    Event.KEY_ACTIVATED,
)
# A tenth new, a tenth pending, most active, some suspended.
_STATES = (
    (UserStatus.NEW, None),
    (UserStatus.PENDING, KeyState.PENDING),
    *((UserStatus.ACTIVE, KeyState.ACTIVE),) * 7,
    (UserStatus.SUSPENDED, KeyState.SUSPENDED),
)
_MODELS = ("Aster NFC", "Beryl Card 5", "Corundum C NFC")


def move_in(users: int, groups: int) -> Connection:
    """Put so many people, with keys, links, mails and a history, and groups in."""
    with transaction():
        entra = tokens.create_connection("Entra ID", CLI)
        tokens.create(entra, 90, CLI)
        _store(User, _people(users, entra))
        _store(UserValue, _values(users))
        tally.add(User, entra.id, sum(1 for n in range(users) if n % 10))
        _store(SecurityKey, _keys(users))
        _store(Activation, _links(users))
        _store(Group, _groups(groups, entra))
        tally.add(Group, entra.id, groups // 2)
        _store(Member, _members(users, groups))
        _store(OutboxMail, _mails(users))
        _log(users)
    return entra


def _people(users: int, entra: Connection) -> Iterator[dict[str, Any]]:
    now = now_ms()
    for number in range(users):
        status, _key = _STATES[number % len(_STATES)]
        document = people.document(number)
        user = User(
            id=number + 1,
            resource_id=str(uuid.UUID(int=number + 1)),
            connection=entra if number % 10 else None,
            status=status,
            active=status is not UserStatus.SUSPENDED,
            last_activity_at=now - number * MINUTE if number % 3 else None,
        )
        document["active"] = user.active
        directory._derive(user, document)
        yield user.__data__


def _values(users: int) -> Iterator[dict[str, Any]]:
    for number in range(users):
        name = people.user_name(number)
        phone = f"+1 555 {number:07}"
        for attribute, value in (("emails", name), ("phoneNumbers", phone)):
            yield {
                "user": number + 1,
                "attribute": attribute,
                "value": value,
                "value_key": fold(value),
                "place": 0,
            }


def _keys(users: int) -> Iterator[dict[str, Any]]:
    now = now_ms()
    for number in range(users):
        _status, state = _STATES[number % len(_STATES)]
        if state is None:
            continue
        works = state is not KeyState.PENDING
        yield SecurityKey(
            id=number + 1,
            resource_id=str(uuid.UUID(int=number + 1_000_000)),
            user=number + 1,
            kind="contactless_card",
            name=f"Card {number}",
            state=state,
            method="user" if number % 2 else "admin",
            user_handle=number.to_bytes(64, "big"),
            model=_MODELS[number % 3] if works else None,
            activated_at=now - number * MINUTE if works else None,
            last_used_at=now - number * MINUTE if works else None,
            suspended_at=now if state is KeyState.SUSPENDED else None,
        ).__data__


def _links(users: int) -> Iterator[dict[str, Any]]:
    now = now_ms()
    for number in range(1, users, len(_STATES)):
        yield Activation(
            resource_id=str(uuid.UUID(int=number + 2_000_000)),
            key=number + 1,
            user=number + 1,
            token_hash=number.to_bytes(32, "big"),
            state=LinkState.LIVE,
            address=people.user_name(number),
            expires_at=now + number % 24 * HOUR,
        ).__data__


def _groups(count: int, entra: Connection) -> Iterator[dict[str, Any]]:
    for number in range(count):
        name = f"Group {number:04} of the hospital"
        yield Group(
            id=number + 1,
            resource_id=str(uuid.UUID(int=number + 3_000_000)),
            connection=entra if number % 2 else None,
            display_name=name,
            display_name_key=fold(name),
            document=json.dumps({"displayName": name}),
        ).__data__


def _members(users: int, groups: int) -> Iterator[dict[str, Any]]:
    """Everybody is in the first group and in three others."""
    for number in range(users):
        places = {0, number % groups, number * 7 % groups, number * 13 % groups}
        for place in sorted(places):
            yield Member(group=place + 1, user=number + 1).__data__


def _mails(users: int) -> Iterator[dict[str, Any]]:
    now = now_ms()
    for number in range(1, users, 2):
        yield OutboxMail(
            message_id=f"<{number}@bench>",
            template="activation_link",
            recipient=people.user_name(number),
            user=number + 1,
            state=outbox.MailState.DEAD if number % 5_000 == 1 else outbox.MailState.SENT,
            created_at=now - number * MINUTE,
            sent_at=now - number * MINUTE,
        ).__data__


def _log(users: int) -> None:
    """Chain two lines for each person to the log, over the last year."""
    head_id, count, mac = audit._head()
    begin = now_ms() - 360 * DAY
    step = 360 * DAY // (users * 2 + 1)

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal mac, count
        for number in range(users * 2):
            event = _EVENTS[number % len(_EVENTS)]
            detail = json.dumps({"address": "a@example.com", "name": f"Card {number}"})
            content = (
                begin + number * step, "system", None, "Keywright", event.value,
                number % users + 1, None, detail,
            )  # fmt: skip
            mac = audit._mac(mac, content)
            count += 1
            yield {**dict(zip(_COLUMNS, content, strict=True)), "mac": mac}

    _store(AuditEvent, lines())
    AuditHead.update(rows=count, mac=mac).where(AuditHead.id == head_id).execute()


_COLUMNS = ("at", "actor_kind", "actor_id", "actor_name", "event", "user", "key", "detail")


def _store(table: type[Row], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as they are; `executemany` costs two microseconds a row."""
    waiting = iter(rows)
    meta = table._meta
    while part := list(islice(waiting, _PART)):
        fields = [meta.fields[name] for name in part[0] if name in meta.fields]
        columns = ", ".join(f'"{field.column_name}"' for field in fields)
        places = ", ".join("?" for _ in fields)
        sql = f'INSERT INTO "{meta.table_name}" ({columns}) VALUES ({places})'
        values = [[field.db_value(row.get(field.name)) for field in fields] for row in part]
        database.cursor().executemany(sql, values)
