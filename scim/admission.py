# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who is let in, and when their token is looked up.

A reader's is looked up at the door. A writer's is looked up in the transaction in which they write,
so that nobody writes once a token is revoked; the door goes by what this process saw of it last.
That is also the cheaper place: each commit empties the caches of those who read, and the writers'
connection alone keeps its own.
"""

from __future__ import annotations

import re

from provisioning.errors import Unauthenticated
from provisioning.models import Token
from provisioning.upstream import tokens

from .caller import Caller, make_caller
from .door import Door
from .wire import Request

_WRITTEN = re.compile(r"/scim/v2/(?:Users|Groups|Bulk)(?:/[0-9a-f-]+)?/?")


def admit(request: Request, door: Door) -> Caller:
    """Return who asks. Raises Unauthenticated.

    Where a token is `request.unproved`, it is who came with it before: nothing that they ask for
    may happen, or be answered, without `prove`.
    """
    authorization = request.header("AUTHORIZATION")
    writes = not request.reads and _WRITTEN.fullmatch(request.path) is not None
    token = tokens.recall(authorization) if writes else None
    if token is None:
        token = _verified(request, authorization)
    request.token = token.public_id
    if writes:
        request.unproved = token
    return make_caller(token.connection, door)


def prove(request: Request, caller: Caller) -> Caller:
    """Look up the token that is unproved; return who asks, as it is now.

    Raises Unauthenticated, whatever else there was to say.
    """
    token, request.unproved = request.unproved, None
    if token is None or tokens.is_as_verified(token):
        return caller
    request.caller = None
    token = _verified(request, request.header("AUTHORIZATION"))
    request.caller = make_caller(token.connection, caller.door)
    return request.caller


def _verified(request: Request, authorization: str | None) -> Token:
    try:
        return tokens.verify(authorization)
    except Unauthenticated:
        request.token = tokens.public_id(authorization)
        raise
