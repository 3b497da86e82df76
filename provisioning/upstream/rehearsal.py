# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Requests made to ourselves as a directory makes them, in a transaction that is rolled back.

The whole way is walked, from the address to the rows and back: what is seen is what a directory
would see. Nothing of it remains, neither a user nor a line in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from werkzeug.test import EnvironBuilder, run_wsgi_app

from ..clock import MINUTE
from ..models import Connection
from ..storage.db import transaction
from . import tokens

MARK = "keywright.rehearsal"
"""The key in a request's environment, which nobody can set from outside."""

WsgiApp = Callable[..., Iterable[bytes]]
T = TypeVar("T")


class _Over(Exception):
    """Ends the transaction; nobody hears of it."""


@dataclass(frozen=True)
class Exchange:
    """A request and what was answered; bodies are JSON, `micros` how long it took."""

    method: str
    path: str
    body: object
    status: int
    answer: Any
    micros: int


class Stage:
    """Sends requests into the app as one connection."""

    def __init__(self, app: WsgiApp, base_url: str, token: str) -> None:
        self._app = app
        self._base_url = base_url
        self._token = token
        self.exchanges: list[Exchange] = []

    def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> Exchange:
        """Send one request below /scim/v2 and remember it; `token` instead of a good one."""
        place, _, query = path.partition("?")
        builder = EnvironBuilder(
            "/scim/v2" + place,
            self._base_url,
            query,
            method=method,
            headers=[
                ("Authorization", f"Bearer {self._token if token is None else token}"),
                ("Accept", "application/scim+json"),
            ],
            data=orjson.dumps(body) if body is not None else None,
            content_type="application/scim+json" if body is not None else None,
        )
        environ = builder.get_environ()
        builder.close()
        environ[MARK] = True
        started = time.perf_counter_ns()
        parts, status, _headers = run_wsgi_app(self._app, environ, buffered=True)
        text = b"".join(parts)
        micros = (time.perf_counter_ns() - started) // 1_000
        answer = orjson.loads(text) if text else None
        made = Exchange(method, path, body, int(status.split()[0]), answer, micros)
        self.exchanges.append(made)
        return made


def rehearse(app: WsgiApp, base_url: str, connection: Connection, play: Callable[[Stage], T]) -> T:
    """Let `play` ask as this connection, take it all back, and return what it returned."""

    def on_stage() -> T:
        _row, text = tokens.issue(connection, MINUTE)
        return play(Stage(app, base_url, text))

    return taken_back(on_stage)


def taken_back(play: Callable[[], T]) -> T:
    """Return what `play` returns, and leave nothing of what it did. May be nested."""
    outcome: list[T] = []
    with suppress(_Over), transaction():
        outcome.append(play())
        raise _Over
    return outcome[0]
