# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Connections and their bearer tokens: `kw_<id>_<secret>`, hashed at rest, shown once (R1, R2)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from peewee import SQL, ModelSelect, fn

from .. import audit
from ..audit import Actor, Event
from ..clock import DAY, now_ms
from ..errors import InvalidValue, NotFound, Taken, Unauthenticated, WrongState
from ..models import Connection, Token
from ..models.directories import FILES
from ..storage.db import tuples
from ..storage.statements import Statements, model, parameter

PREFIX = "kw"
MAX_DAYS = 365
MAX_LIVING = 2
_NO_HASH = b"\0" * 32
_KEPT = 64  # tokens that a process remembers
_NAMED = re.compile(rf"(?i:bearer)\s+{PREFIX}_([0-9a-f]{{16}})_.*", re.DOTALL)


def create_connection(
    name: str, actor: Actor, scope: str = "write", profile: str = "tolerant"
) -> Connection:
    """Make a connection; raises Taken or InvalidValue."""
    name = name.strip()
    if not name or len(name) > 64:
        raise InvalidValue("A connection's name has 1 to 64 characters.", "name")
    if scope not in ("write", "users", "read"):
        raise InvalidValue("The scope is write, users or read.", "scope")
    if Connection.select().where(Connection.name == name).exists():
        raise Taken(f"There is already a connection {name}.", "name")
    connection = Connection.create(name=name, scope=scope, profile=profile)
    audit.record(actor, Event.CONNECTION_CREATED, connection=name, scope=scope)
    return connection


def create(connection: Connection, days: int, actor: Actor) -> tuple[Token, str]:
    """Issue a token and return it with its text, which is nowhere else. At most 365 days.

    Two may live at once, for the change-over. Raises WrongState for a third, for a connection
    that is retired, and for a source of imported files, which has no door.
    """
    if connection.profile == FILES:
        raise WrongState(f"{connection.name} takes CSV files, not requests.")
    if not 1 <= days <= MAX_DAYS:
        raise InvalidValue(f"A token lives 1 to {MAX_DAYS} days.", "days")
    if connection.retired_at is not None:
        raise WrongState(f"{connection.name} is retired: bring it back first.")
    if living(connection).count() >= MAX_LIVING:
        raise WrongState("Two tokens live already: revoke the one that is not used any more.")
    token, text = issue(connection, days * DAY)
    audit.record(actor, Event.TOKEN_CREATED, connection=connection.name, token=token.public_id)
    return token, text


def issue(connection: Connection, lifetime: int) -> tuple[Token, str]:
    """Make a token for so many milliseconds, without a limit and without a line in the log.

    By itself only for what is rolled back, see `rehearsal`; `create` is for everybody else.
    """
    public_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    token = Token.create(
        connection=connection,
        public_id=public_id,
        secret_hash=_hash(secret),
        expires_at=now_ms() + lifetime,
    )
    return token, f"{PREFIX}_{public_id}_{secret}"


def revoke(public_id: str, actor: Actor) -> Token:
    """Revoke a token: the next request with it is refused. Raises NotFound."""
    token = Token.get_or_none(Token.public_id == public_id)
    if token is None:
        raise NotFound(f"There is no token {public_id}.")
    if token.revoked_at is None:
        token.revoked_at = now_ms()
        token.save()
        audit.record(actor, Event.TOKEN_REVOKED, connection=token.connection.name, token=public_id)
    return token


def verify(authorization: str | None) -> Token:
    """Return the live token of an `Authorization: Bearer` header, its connection loaded.

    Raises Unauthenticated with the same words for unknown, expired and revoked. A miss compares
    too, so that time does not tell it from a wrong secret (T6).
    """
    public_id, digest = presented = _read(authorization)
    token = _find(public_id)
    expected = bytes(token.secret_hash) if token is not None else _NO_HASH
    same = hmac.compare_digest(digest, expected)
    now = now_ms()
    if token is None or not same or token.revoked_at is not None or token.expires_at <= now:
        _verified.pop(presented, None)
        raise Unauthenticated("This needs a valid bearer token.")
    if presented not in _verified and len(_verified) >= _KEPT:
        _verified.clear()
    _verified[presented] = token
    return token


def recall(authorization: str | None) -> Token | None:
    """Return the token of a header as this process verified it last, or None; nothing is read.

    It may have been revoked since: whoever goes by it asks `revalidate`, or `verify`, before
    anything comes of it.
    """
    return _verified.get(_read(authorization))


def revalidate(token: Token) -> Callable[[], bool]:
    """Ask in the caller's transaction whether a token is still what `verify` returned, and lives.

    The answer is to be asked for when the transaction is about to end. If it is no, `verify` tells
    what is the case.
    """
    found = _BY_ID.ahead((), (token.public_id,))

    def is_unchanged() -> bool:
        rows = found()
        return bool(rows) and _made(rows[0]) is token and token.expires_at > now_ms()

    return is_unchanged


def _read(authorization: str | None) -> tuple[str, bytes]:
    """Return which token a header names, and the hash of its secret."""
    scheme, _, text = (authorization or "").partition(" ")
    parts = text.strip().split("_")
    well_formed = scheme.lower() == "bearer" and len(parts) == 3 and parts[0] == PREFIX
    public_id, secret = (parts[1], parts[2]) if well_formed else ("", "")
    return public_id, _hash(secret)


def living(connection: Connection) -> ModelSelect[Token]:
    """Return the query for the tokens that let a directory in now."""
    return _living().where(Token.connection == connection)


def works(public_id: str) -> bool:
    """Say whether a token lets a directory in now."""
    return bool(_living().where(Token.public_id == public_id).exists())


def ends() -> dict[int, int]:
    """Return when the last token ends that works, by connection."""
    last = (
        Token.select(Token.connection, fn.MAX(Token.expires_at))
        .where(Token.revoked_at.is_null(), Token.expires_at > now_ms())
        .group_by(Token.connection)
    )
    return dict(tuples(last))


def public_id(authorization: str | None) -> str | None:
    """Return which token a header names, well or not, or None; its secret is not looked at."""
    found = _NAMED.fullmatch(authorization or "")
    return found[1] if found is not None else None


def _find(public_id: str) -> Token | None:
    """Return a token with its connection: in every request of a directory, so it is kept."""
    found = _BY_ID.rows((), (public_id,))
    return _made(found[0]) if found else None


@lru_cache(maxsize=_KEPT)
def _made(row: tuple[Any, ...]) -> Token:
    """Return both as models to read from, and never to store: the same ones for as long as the
    rows say the same."""
    width = len(Token._meta.sorted_fields)
    token = model(Token, row[:width])
    token.connection = model(Connection, row[width:])
    return token


def _by_id() -> Any:
    # When each was used last is written all the time, changes nothing, and is left out.
    passing = {"last_used_at", "last_seen_at"}
    columns = [
        SQL("NULL") if field.name in passing else field
        for table in (Token, Connection)
        for field in table._meta.sorted_fields
    ]
    return Token.select(*columns).join(Connection).where(Token.public_id == parameter(0))


_BY_ID = Statements(_by_id)
_verified: dict[tuple[str, bytes], Token] = {}  # by what was presented


def _living() -> ModelSelect[Token]:
    return Token.select().where(Token.revoked_at.is_null(), Token.expires_at > now_ms())


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
