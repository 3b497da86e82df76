# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Filling the stores before anything is timed.

Ours through the product's own verbs, many to a commit, audit rows included; the peer's through
its own door, because its store is its own process's memory.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from pathlib import Path

import orjson

from provisioning import audit, directory, groups, keys
from provisioning.audit import CLI, Actor
from provisioning.clock import DAY, now_ms
from provisioning.installation import KEYS, open_services
from provisioning.issuing import activations
from provisioning.lifecycle import KeyKind
from provisioning.models import Activation, Connection, Group, OutboxMail, SecurityKey, Session
from provisioning.panel import access
from provisioning.panel.access import SessionKind
from provisioning.services import Services
from provisioning.settings import ENV_FILE, PREFIX
from provisioning.storage.db import database, transaction
from provisioning.storage.migrate import migrate
from provisioning.upstream import tokens
from provisioning.vault import Vault
from tests.bench import client, people
from tests.bench.operations import GROUP_SIZES, Target
from tests.fakes.people import registration

_BATCH = 500
SPARE = 50  # people in no group, who are added and removed


def set_up(data: Path, port: int, database_url: str = "", organisation: str = "Bench") -> Services:
    """Make a data folder as `keywright init` does, and open it in this process."""
    data.mkdir(mode=0o700, parents=True)
    lines = {
        "BASE_URL": f"http://localhost:{port}",
        "ORGANISATION": organisation,
        "DATABASE_URL": database_url,
    }
    (data / ENV_FILE).write_text("".join(f"{PREFIX}{n}={v}\n" for n, v in lines.items() if v))
    Vault.create(data / KEYS)
    services = open_services(data)
    migrate(database)
    return services


def connect(name: str = "Bench") -> tuple[Connection, str]:
    """Make a connection and a token for it."""
    with transaction():
        connection = tokens.create_connection(name, CLI)
        _, text = tokens.create(connection, 30, CLI)
    return connection, text


def add_users(target: Target, connection: Connection, until: int) -> None:
    """Create people until there are so many."""
    actor = _actor(connection)
    while len(target.users) < until:
        start = len(target.users)
        with transaction():
            target.users += [
                directory.create_user(
                    people.document(number), connection=connection, actor=actor
                ).resource_id
                for number in range(start, min(start + _BATCH, until))
            ]


def drop_groups() -> None:
    """Delete all groups."""
    with transaction():
        for group in list(Group.select().where(Group.deleted_at.is_null())):
            groups.delete_group(group, CLI)


def add_leavers(target: Target, services: Services, connection: Connection, count: int) -> None:
    """Create people who have what a cascade ends: key, session, a second key and its link."""
    actor = _actor(connection)
    for start in range(0, count, 50):
        with transaction():
            for number in itertools.islice(target.leaving, min(50, count - start)):
                user = directory.create_user(
                    people.document(number), connection=connection, actor=actor
                )
                card = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "admin", user=user, actor=CLI)
                keys.assign(card, user, CLI)
                keys.register(card, registration(), services.settings.rp_id, CLI)
                keys.activate(card, CLI)
                access.open_session(SessionKind.USER, user=user, key=card)
                spare = keys.draft(KeyKind.USB_KEY, "Spare", "user", user=user, actor=CLI)
                keys.assign(spare, user, CLI)
                activations.issue(spare, services, CLI)
                target.leavers.append(user.resource_id)
            # The links' mails wait, as if the mail server were slow: the cascade cancels them.
            OutboxMail.update(due_at=now_ms() + DAY).execute()


def add_groups(target: Target, connection: Connection, sizes: Sequence[int] = GROUP_SIZES) -> None:
    """Create groups of the first so many people."""
    actor = _actor(connection)
    for size in sizes:
        with transaction():
            group = groups.create_group(
                {"displayName": f"Group of {size}"}, connection=connection, actor=actor
            )
            groups.add_members(group, target.users[:size], actor=actor)
        target.groups[size] = group.resource_id


def left_alive() -> dict[str, int]:
    """Return what of the leavers still lives; every figure is to be 0 after the cascades."""
    return {
        "keys": SecurityKey.select().where(SecurityKey.state.in_(["active", "pending"])).count(),
        "sessions": Session.select().where(Session.ended_at.is_null()).count(),
        "links": Activation.select().where(Activation.state == "live").count(),
        "mails": OutboxMail.select().where(OutboxMail.state == "queued").count(),
    }


def fill_peer(target: Target, count: int) -> None:
    """Create as many people and the same groups by HTTP; members that it has not are made up."""
    connection = client.Connection(target.port)
    for number in range(count):
        target.users.append(_made(connection, target, "/Users", people.body(number)))
    members = [*target.users, *(uuid.uuid4().hex for _ in range(max(GROUP_SIZES)))]
    target.users += [
        _made(connection, target, "/Users", people.body(number))
        for number in range(count, count + SPARE)
    ]
    for size in GROUP_SIZES:
        body = {
            "schemas": [people.GROUP],
            "displayName": f"Group of {size}",
            "members": [{"value": each} for each in members[:size]],
        }
        target.groups[size] = _made(connection, target, "/Groups", body)
    connection.close()


def fill_peer_leavers(target: Target, count: int) -> None:
    """Create people to let go."""
    connection = client.Connection(target.port)
    target.leavers += [
        _made(connection, target, "/Users", people.body(20_000_000 + number))
        for number in range(count)
    ]
    connection.close()


def whole_audit_log() -> bool:
    """Say whether every row of the audit log is there and as it was written."""
    return audit.verify().whole


def _made(connection: client.Connection, target: Target, path: str, body: object) -> str:
    answer = connection.exchange(target.request("POST", path, body))
    if answer.status != 201:
        raise client.WrongAnswer(
            f"{target.name}: {path} was answered {answer.status} {answer.body[:300]!r}"
        )
    return str(orjson.loads(answer.body)["id"])


def _actor(connection: Connection) -> Actor:
    return Actor("connection", str(connection.id), connection.name)
