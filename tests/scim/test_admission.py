# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whoever writes is looked up where they write; the door goes by what it saw of them last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

import scim.routes
from provisioning.audit import CLI
from provisioning.clock import DAY, now_ms
from provisioning.models import AuditEvent, Connection, Token, User
from provisioning.storage.db import database, transaction
from provisioning.storage.recorder import EXTENSION
from provisioning.upstream import tokens, traces
from tests.scim.pushing import PATCH_OP, USER, Directory, connect

ADA = {"schemas": [USER], "userName": "ada"}
BULK: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
    "Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": ADA}],
}
Change = Callable[[], object]
LEAVES = {
    "schemas": [PATCH_OP],
    "Operations": [{"op": "replace", "path": "active", "value": False}],
}


def revoke(directory: Directory, _monkeypatch: object = None) -> None:
    with transaction():
        tokens.revoke(directory.token.split("_")[1], CLI)


def expire(_directory: Directory, _monkeypatch: object) -> None:
    Token.update(expires_at=now_ms()).execute()


def wait(_directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    later = now_ms() + 400 * DAY
    monkeypatch.setattr(tokens, "now_ms", lambda: later)


@pytest.fixture(params=[True, False], ids=["known", "new"])
def directory(request: pytest.FixtureRequest, directory: Directory) -> Directory:
    """Return one whose token the process has seen before, and one whose it has not."""
    directory.user("bob")
    if not request.param:
        tokens._verified.clear()
    return directory


def answer_to_what_waits(
    monkeypatch: pytest.MonkeyPatch, push: Callable[[], TestResponse], meanwhile: Change
) -> TestResponse:
    """Return the answer to a request that waits for its turn while something is changed."""
    waits = threading.Event()

    def noticed(**options: bool) -> AbstractContextManager[None]:
        waits.set()
        return transaction(**options)

    monkeypatch.setattr(scim.routes, "transaction", noticed)

    def pushed() -> TestResponse:
        answer = push()
        database.close()
        return answer

    with ThreadPoolExecutor(1) as thread:
        with transaction():
            assert User.select().count() == 1  # PostgreSQL hears of it with the first statement
            asked = thread.submit(pushed)
            assert waits.wait(10)
            meanwhile()
        return asked.result(20)


@pytest.mark.req("R2")
@pytest.mark.parametrize(("path", "body"), [("/Users", ADA), ("/Bulk", BULK)])
def test_what_waited_while_its_token_was_revoked_is_not_done(
    directory: Directory, path: str, body: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = answer_to_what_waits(
        monkeypatch,
        lambda: directory("POST", path, body),
        lambda: tokens.revoke(directory.token.split("_")[1], CLI),
    )
    assert answer.status_code == 401
    assert [user.user_name for user in User.select()] == ["bob"]


@pytest.mark.req("R1")
@pytest.mark.parametrize(("changes", "status"), [({"scope": "read"}, 403), ({"name": "New"}, 201)])
def test_what_waited_while_its_connection_was_changed_goes_by_the_change(
    directory: Directory,
    changes: dict[str, str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = answer_to_what_waits(
        monkeypatch,
        lambda: directory("POST", "/Users", ADA),
        lambda: Connection.update(changes).execute(),
    )
    assert answer.status_code == status
    assert User.select().count() == (2 if status == 201 else 1)
    if status == 201:
        newest = AuditEvent.select().order_by(AuditEvent.id.desc()).first()
        assert newest.actor_name == "New"


def test_what_is_too_large_to_be_kept_is_to_be_sent_again(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {**ADA, "title": "x" * 1_000_000, "nickName": "y" * 100_000}
    bulk = {**BULK, "Operations": [{**BULK["Operations"][0], "data": large}]}
    answer = answer_to_what_waits(
        monkeypatch,
        lambda: directory("POST", "/Bulk", bulk),
        lambda: Connection.update(name="New").execute(),
    )
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert User.select().count() == 1


@pytest.mark.req("R2")
@pytest.mark.parametrize("end", [revoke, expire, wait])
def test_nothing_is_told_to_who_is_let_in_no_more(
    directory: Directory,
    end: Callable[[Directory, pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bob = User.get().resource_id
    seen = dict(tokens._verified)
    end(directory, monkeypatch)
    for method, path, body in (
        ("POST", "/Users", ADA),
        ("POST", "/Users", b"{"),
        ("POST", "/Users", {"schemas": [USER], "userName": "bob"}),
        ("POST", "/Groups", {}),
        ("POST", "/Bulk", BULK),
        ("POST", "/Bulk", {}),
        ("POST", "/Bulk/x", {}),
        ("POST", "/Users/.search", {}),
        ("POST", f"/Users/{bob}", {}),
        ("BREW", "/Users", None),
        ("GET", f"/Users/{bob}", None),
        ("GET", "/Users/0", None),
        ("GET", "/Users", None),
        ("GET", "/Users?filter=x", None),
        ("GET", "/Schemas", None),
        ("GET", "/", None),
        ("HEAD", f"/Users/{bob}", None),
        ("PUT", f"/Users/{bob}", ADA),
        ("PATCH", f"/Users/{bob}", LEAVES),
        ("PATCH", f"/Users/{bob}?attributes=a&attributes=b", LEAVES),
        ("DELETE", f"/Users/{bob}", None),
        ("DELETE", "/Users/0", None),
    ):
        tokens._verified.update(seen)
        answer = directory(method, path, body)
        assert (answer.status_code, method, path) == (401, method, path)
    assert User.get().active


def test_who_was_refused_does_not_wait_for_a_turn_again(directory: Directory) -> None:
    revoke(directory)
    assert directory("POST", "/Users", ADA).status_code == 401

    assert _status_while_another_writes(directory) == 401


def test_a_wrong_secret_beside_a_known_name_is_refused_without_a_turn(
    directory: Directory,
) -> None:
    assert directory("POST", "/Users", ADA).status_code == 201
    directory.token = directory.token[:-1] + ("0" if directory.token[-1] != "0" else "1")
    assert _status_while_another_writes(directory) == 401


def _status_while_another_writes(directory: Directory) -> int:
    answered: SimpleQueue[int] = SimpleQueue()

    def push() -> None:
        answered.put(directory("POST", "/Users", ADA).status_code)
        database.close()  # which waits for the turn, too

    with ThreadPoolExecutor(1) as thread, transaction():
        assert User.select().exists()
        thread.submit(push)
        return answered.get(timeout=10)


def test_what_was_chosen_for_a_connection_since_holds(directory: Directory) -> None:
    bob = User.get().resource_id
    for scope, status in (("read", 403), ("write", 200), ("read", 403)):
        Connection.update(scope=scope).execute()
        assert directory("PATCH", f"/Users/{bob}", LEAVES).status_code == status
    assert not User.get().active


def test_a_refused_writer_is_told_to_whose_token_it_was(app: Flask, directory: Directory) -> None:
    app.extensions[EXTENSION].flush()
    seen = Connection.get().last_seen_at
    revoke(directory)
    assert directory("POST", "/Users", ADA).status_code == 401
    app.extensions[EXTENSION].flush()
    assert Connection.get().last_seen_at == seen
    newest = traces.page(directory.connection)[0][0]
    assert (newest.status, newest.method) == (401, "POST")
    assert directory.token.split("_")[2] not in str(vars(newest))


def test_a_process_remembers_few_tokens(monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:
    monkeypatch.setattr(tokens, "_KEPT", 2)
    tokens._verified.clear()
    for number in range(5):
        directory = connect(app, f"Contoso {number}")
        assert directory("POST", "/Users", {**ADA, "userName": f"a{number}"}).status_code == 201
        assert len(tokens._verified) <= 2


def test_that_a_token_was_used_is_no_change(
    app: Flask, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(scim.routes, "again", fail)
    for name in ("carl", "dora", "erik"):
        directory.user(name)
        used = Token.get().last_used_at
        app.extensions[EXTENSION].flush()
        assert Token.get().last_used_at != used
