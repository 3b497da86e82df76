# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who is let in, and when their token is looked up.

The door goes by what this process saw of a token last. A writer's is looked up in the transaction
in which they write, so that nobody writes once a token is revoked; a reader's by the time they are
answered. That is also the cheaper place: on SQLite each commit empties the caches of those who
read, and on PostgreSQL the question travels with another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from provisioning.errors import KeywrightError, Unauthenticated
from provisioning.models import Token
from provisioning.upstream import tokens

from .caller import Caller, make_caller
from .door import Door
from .wire import Request

_WRITTEN = re.compile(r"/scim/v2/(?:Users|Groups|Bulk)(?:/[0-9a-f-]+)?/?")


class Outdated(KeywrightError):
    """What is known of a token is not what is the case: nothing was done or told, see `again`."""


def admit(request: Request, door: Door) -> Caller:
    """Return who asks. Raises Unauthenticated.

    Where their token is `request.provisional` it may be who came with it before: whatever they
    are told, or do in a transaction, is `revalidated`, and no refusal is final without
    `is_outdated`.
    """
    authorization = request.header("AUTHORIZATION")
    writes = not request.reads and _WRITTEN.fullmatch(request.path) is not None
    token = known = tokens.recall(authorization) if writes or request.reads else None
    if token is None:
        token = _verified(request, authorization)
    request.token = token.public_id
    request.provisional = token if writes else known
    return make_caller(token.connection, door)


@contextmanager
def revalidated(request: Request) -> Iterator[None]:
    """Surround what is read for somebody, or done in a transaction: if they are not let in any
    more, or not as before, it comes to nothing.

    Raises Outdated.
    """
    if request.provisional is None:
        yield
        return
    is_unchanged = tokens.revalidate(request.provisional)
    yield
    if not is_unchanged():
        raise Outdated("The token has changed.")
    request.provisional = None


def is_outdated(request: Request) -> bool:
    """Say of who was refused whether that went by what is not the case any more."""
    return request.provisional is not None and not tokens.revalidate(request.provisional)()


def again(request: Request, door: Door) -> Caller:
    """Return who asks, as it is now. Raises Unauthenticated."""
    request.caller = None
    request.provisional = token = _verified(request, request.header("AUTHORIZATION"))
    return make_caller(token.connection, door)


def look_again(request: Request) -> None:
    """Raise Unauthenticated if who was let in would not be let in now."""
    _verified(request, request.header("AUTHORIZATION"))


def _verified(request: Request, authorization: str | None) -> Token:
    try:
        return tokens.verify(authorization)
    except Unauthenticated:
        request.token = tokens.public_id(authorization)
        raise
