# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from provisioning.audit import CLI
from provisioning.clock import DAY, now_ms
from provisioning.errors import InvalidValue, Taken, Unauthenticated, WrongState
from provisioning.models import Connection, Token
from provisioning.services import Services
from provisioning.storage.db import database, transaction
from provisioning.upstream import connections, tokens

pytestmark = pytest.mark.req("R2")


@pytest.fixture
def issued(services: Services) -> tuple[Token, str]:
    with transaction():
        connection = tokens.create_connection("Entra ID", CLI)
        return tokens.create(connection, 30, CLI)


def test_a_fresh_token_opens_its_connection(issued: tuple[Token, str]) -> None:
    found = tokens.verify(f"Bearer {issued[1]}")
    assert found.connection.name == "Entra ID"


@pytest.mark.sqlite
def test_the_secret_is_nowhere_in_the_database(
    services: Services, issued: tuple[Token, str]
) -> None:
    secret = issued[1].rpartition("_")[2]
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = (services.settings.data / "keywright.sqlite3").read_bytes()
    assert secret.encode() not in stored
    assert bytes.fromhex(secret) not in stored


@pytest.mark.req("R1")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: None,
        lambda text: "",
        lambda text: "Bearer ",
        lambda text: f"Basic {text}",
        lambda text: text,
        lambda text: f"Bearer {text[:-1]}0" if text[-1] != "0" else f"Bearer {text[:-1]}1",
        lambda text: f"Bearer {text}_more",
        lambda text: "Bearer kw_0000000000000000_" + "0" * 64,
        lambda text: "Bearer kw__",
    ],
)
def test_anything_but_the_token_is_refused_with_the_same_words(
    issued: tuple[Token, str], spoil: object
) -> None:
    with pytest.raises(Unauthenticated, match=r"^This needs a valid bearer token\.$"):
        tokens.verify(spoil(issued[1]))  # type: ignore[operator]


def test_a_revoked_token_is_refused_at_once(issued: tuple[Token, str]) -> None:
    with transaction():
        tokens.revoke(issued[0].public_id, CLI)
    with pytest.raises(Unauthenticated):
        tokens.verify(f"Bearer {issued[1]}")


def test_an_expired_token_is_refused(issued: tuple[Token, str]) -> None:
    Token.update(expires_at=now_ms() - 1).execute()
    with pytest.raises(Unauthenticated):
        tokens.verify(f"Bearer {issued[1]}")


def test_two_tokens_live_side_by_side_for_rotation(issued: tuple[Token, str]) -> None:
    with transaction():
        _token, second = tokens.create(Connection.get(), 30, CLI)
    assert (
        tokens.verify(f"Bearer {issued[1]}").connection
        == tokens.verify(f"bearer {second}").connection
    )


def test_a_token_lives_at_most_a_year(services: Services) -> None:
    with transaction():
        connection = tokens.create_connection("Okta", CLI)
    for days in (0, 366):
        with pytest.raises(InvalidValue), transaction():
            tokens.create(connection, days, CLI)
    with transaction():
        token, _text = tokens.create(connection, 365, CLI)
    assert token.expires_at <= now_ms() + 365 * DAY


def test_a_connection_name_is_used_once(issued: tuple[Token, str]) -> None:
    with pytest.raises(Taken), transaction():
        tokens.create_connection("Entra ID", CLI)


def test_a_retired_connection_gets_no_token(issued: tuple[Token, str]) -> None:
    with transaction():
        connections.retire(Connection.get(), CLI)
    with pytest.raises(WrongState, match="retired"), transaction():
        tokens.create(Connection.get(), 30, CLI)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("Bearer kw_0123456789abcdef_secret", "0123456789abcdef"),
        ("bearer  kw_0123456789abcdef_", "0123456789abcdef"),
        ("Bearer kw_0123456789ABCDEF_secret", None),
        ("Basic kw_0123456789abcdef_secret", None),
        ("Bearer ada@example.org", None),
        ("", None),
        (None, None),
    ],
)
def test_a_header_names_a_token_without_showing_its_secret(
    header: str | None, named: str | None
) -> None:
    assert tokens.public_id(header) == named
