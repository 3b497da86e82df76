# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What every page of this door shares: cookies, the signed-in session, role and step-up checks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import refresh
from werkzeug.wrappers import Response as AnyResponse

from provisioning.audit import Actor
from provisioning.errors import Forbidden, InvalidValue, StepUpNeeded, Unauthenticated
from provisioning.mails import languages
from provisioning.models import PanelAccount, Session, User
from provisioning.pages import requests
from provisioning.panel import access
from provisioning.panel.access import Role, SessionKind
from provisioning.storage.db import guarded, transaction

from . import kept

P = ParamSpec("P")

# `__Host-`: bound to this host, Secure, the whole site. Chromium takes it on http://localhost too.
COOKIE = {
    SessionKind.PANEL: "__Host-kw_panel",
    SessionKind.USER: "__Host-kw_user",
    SessionKind.ACTIVATION: "__Host-kw_link",
}
WAIT_COOKIE = "__Host-kw_wait"  # the browser that waits for a sign-in at a desk


def session_of(kind: SessionKind, *, quiet: bool = False) -> Session:
    """Return the request's live session of this kind; raises Unauthenticated.

    `quiet` for what a page asks by itself: an unattended screen does not keep a session alive.
    """
    session = access.find_session(request.cookies.get(COOKIE[kind]), kind)
    _speak_to(session)
    if not quiet and not access.is_touched(session):
        with transaction():
            access.touch(session)
    return session


def _speak_to(session: Session) -> None:
    """Have this request's pages in the language that the person has chosen, if any."""
    if session.account is not None:
        g.language = session.account.language
    elif session.user is not None:
        g.language = languages.chosen_by(session.user)
    refresh()  # whatever was said before, the language was not known then


def panel_session() -> Session:
    """Return the panel session that `panel_page` has checked."""
    session = g.panel_session
    assert isinstance(session, Session)  # noqa: S101 - only called inside a panel page
    return session


def panel_account() -> PanelAccount:
    """Return the account that is signed in to the panel."""
    account = panel_session().account
    assert account is not None  # noqa: S101 - a panel session has one
    return account


def actor() -> Actor:
    """Return who works in the panel in this request."""
    return access.actor_of(panel_session())


def panel_page(
    role: Role = Role.AUDITOR, *, step_up: bool = False, quiet: bool = False
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Let a view run for a signed-in panel account of at least this role.

    With `step_up` the account's key must have been used again within the hour. What is posted is
    done only if all of it, and what the view has checked of others (`check_not_above`,
    `check_may_activate`), is still so in the transaction that does it.
    """

    def wrap(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def let_in(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            g.checks = []

            def look(find: Callable[[], Session]) -> None:
                g.is_let_in = False
                g.panel_session = find()
                access.require_role(g.panel_session, role)
                if step_up:
                    access.require_step_up(g.panel_session)
                for check in g.checks:
                    check()
                g.is_let_in = True

            try:
                look(lambda: session_of(SessionKind.PANEL, quiet=quiet))
                if request.method in ("GET", "HEAD"):
                    return view(*args, **kwargs)
                with guarded(lambda: look(lambda: access.find_again(panel_session()))):
                    return view(*args, **kwargs)
            except (Unauthenticated, StepUpNeeded):
                if request.method == "POST" and not g.is_let_in:
                    secret = request.cookies.get(COOKIE[SessionKind.PANEL])
                    kept.keep(holder=access.holder_of(secret))
                raise

        return let_in

    return wrap


def check_not_above(user: User) -> None:
    """Raise Forbidden where this person has a higher role in the panel than who is signed in."""
    _check(lambda: access.check_not_above(panel_account(), user))


def check_may_activate(user: User | None) -> None:
    """Raise Forbidden unless who is signed in may activate a key for this person (R25)."""
    _check(lambda: access.check_may_activate(panel_account(), user))


def _check(check: Callable[[], None]) -> None:
    check()
    g.checks.append(check)


def step_up_first(back: str) -> ResponseReturnValue | None:
    """Return the way to the step-up page, from where `back` goes on, or None if it is not needed.

    For posts: the browser tells no referrer, so the view names the page that holds the button.
    """
    try:
        access.require_step_up(panel_session())
    except StepUpNeeded:
        flash(_("Confirm with your key, then press the button again."), "info")
        return redirect(url_for("sign_in.step_up", next=back))
    return None


def require_step_up() -> None:
    """Raise StepUpNeeded unless the signed-in account has used its key again within the hour."""
    access.require_step_up(panel_session())


def may(role: Role) -> bool:
    """Say whether the signed-in account may do what this role may: a page shows only that."""
    try:
        access.require_role(panel_session(), role)
    except Forbidden:
        return False
    return True


def browser_binding(waiting: str) -> str:
    """Return the name under which a challenge waits for this browser (its wait cookie's secret)."""
    return f"browser:{hashlib.sha256(waiting.encode()).hexdigest()}"


def session_binding(session: Session) -> str:
    """Return the name under which a challenge or job waits for this session."""
    return f"session:{session.id}"


def json_body() -> dict[str, object]:
    """Return the JSON object that a script or a station sent; raises InvalidValue.

    No NaN, and text that every database can hold: no NUL, no half of a surrogate pair.
    """
    try:
        body = json.loads(request.get_data().decode(), parse_constant=_no_constant)
        text = json.dumps(body, ensure_ascii=False)
        text.encode()
    except (ValueError, RecursionError):
        raise InvalidValue("What was sent cannot be read.") from None
    if not isinstance(body, dict) or "\\u0000" in text:
        raise InvalidValue("What was sent cannot be read.")
    return body


def _no_constant(name: str) -> float:
    raise ValueError(name)


def position(name: str = "after") -> int:
    """Return a row's number as a page of ours wrote it, where a list goes on; 0 for none."""
    return min(max(request.values.get(name, 0, type=int), 0), requests.LARGEST)


def set_cookie(response: AnyResponse, name: str, value: str, max_age: int | None = None) -> None:
    """Set a `__Host-` cookie that scripts cannot read."""
    response.set_cookie(
        name, value, secure=True, httponly=True, samesite="Strict", path="/", max_age=max_age
    )


def drop_cookie(response: AnyResponse, name: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(name, secure=True, httponly=True, samesite="Strict", path="/")


def safe_next(default: str) -> str:
    """Return the `next` parameter if it is a path of this site, else the default."""
    target = request.values.get("next", "")
    try:
        parts = urlsplit(target)
    except ValueError:  # half of an IPv6 address, say
        return default
    foreign = parts.scheme or parts.netloc or not target.startswith("/") or "\\" in target
    return default if foreign or target.startswith("//") else target
