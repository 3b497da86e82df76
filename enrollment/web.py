# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What every page of this door shares: cookies, the signed-in session, role and step-up checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from provisioning import access
from provisioning.access import Role, SessionKind
from provisioning.audit import Actor
from provisioning.db import transaction
from provisioning.models import Session

P = ParamSpec("P")

# `__Host-`: bound to this host, Secure, the whole site. Chromium takes it on http://localhost too.
COOKIE = {
    SessionKind.PANEL: "__Host-kw_panel",
    SessionKind.USER: "__Host-kw_user",
    SessionKind.ACTIVATION: "__Host-kw_link",
}
WAIT_COOKIE = "__Host-kw_wait"  # the browser that waits for a sign-in at a desk


def session_of(kind: SessionKind) -> Session:
    """Return the request's live session of this kind; raises Unauthenticated."""
    session = access.find_session(request.cookies.get(COOKIE[kind]), kind)
    with transaction():
        access.touch(session)
    return session


def panel_session() -> Session:
    """Return the panel session that `panel_page` has checked."""
    session = g.panel_session
    assert isinstance(session, Session)  # noqa: S101 - only called inside a panel page
    return session


def actor() -> Actor:
    """Return who works in the panel in this request."""
    return access.actor_of(panel_session())


def panel_page(
    role: Role = Role.AUDITOR, *, step_up: bool = False
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Let a view run for a signed-in panel account of at least this role.

    With `step_up` the account's key must have been used again within the hour.
    """

    def wrap(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            g.panel_session = session_of(SessionKind.PANEL)
            access.require_role(g.panel_session, role)
            if step_up:
                access.require_step_up(g.panel_session)
            return view(*args, **kwargs)

        return guarded

    return wrap


def set_cookie(response: Response, name: str, value: str, max_age: int | None = None) -> None:
    """Set a `__Host-` cookie that scripts cannot read."""
    response.set_cookie(
        name, value, secure=True, httponly=True, samesite="Strict", path="/", max_age=max_age
    )


def drop_cookie(response: Response, name: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(name, secure=True, httponly=True, samesite="Strict", path="/")


def safe_next(default: str) -> str:
    """Return the `next` parameter if it is a path of this site, else the default."""
    target = request.values.get("next", "")
    parts = urlsplit(target)
    foreign = parts.scheme or parts.netloc or not target.startswith("/") or "\\" in target
    return default if foreign or target.startswith("//") else target
