# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Error pages: each core error once, as a sentence with a next step; never a stack trace."""

from __future__ import annotations

import structlog
from flask import Flask, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from .. import errors
from ..processes.logs import kind_and_place
from ..storage.db import RETRY_AFTER, will_pass
from .error_words import told
from .requests import path_here

log = structlog.get_logger()

_STATUS: dict[type[errors.KeywrightError], int] = {
    errors.InvalidValue: 400,
    errors.CeremonyRefused: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Taken: 409,
    errors.WrongState: 409,
    errors.LinkDead: 410,
    errors.Stale: 412,
}


def register(app: Flask) -> None:
    """Hang the handlers on the app; doors with a form of their own have theirs before these."""
    app.jinja_env.filters["told"] = told
    app.register_error_handler(errors.KeywrightError, _core)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _last)


def wants_json() -> bool:
    """Say whether a script asked, which shows our sentence itself."""
    return request.is_json or request.accept_mimetypes.best == "application/json"


def _core(error: errors.KeywrightError) -> ResponseReturnValue:
    if isinstance(error, errors.StepUpNeeded) and not wants_json():
        return _lead(url_for("sign_in.step_up", next=_here()))
    if isinstance(error, errors.Unauthenticated) and not wants_json():
        return _lead(url_for("sign_in.page", next=_here()))
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 400)
    return _answer(status, str(error))


def _csrf(error: CSRFError) -> ResponseReturnValue:
    return _answer(
        400,
        _(
            "This form was open for too long or came from elsewhere. Go back, "
            "reload the page and send it again: what you typed is still there."
        ),
    )


def _http(error: HTTPException) -> ResponseReturnValue:
    return _answer(error.code or 500, None, dict(error.get_headers()))


def _last(error: Exception) -> ResponseReturnValue:
    if will_pass(error):
        log.warning("database away or busy", path=request.path, **kind_and_place(error))
        return _answer(503, None, {"Retry-After": RETRY_AFTER})
    log.error("unexpected error", path=request.path, **kind_and_place(error))
    return _answer(500, None)


def _answer(
    status: int, sentence: str | None, headers: dict[str, str] | None = None
) -> ResponseReturnValue:
    kept = {n: v for n, v in (headers or {}).items() if n in ("Allow", "Retry-After")}
    sentence = told(sentence) if sentence else None
    if wants_json():
        return jsonify(error=sentence or _("That did not work.")), status, kept
    page = render_template("errors/error.html", status=status, sentence=sentence)
    return page, status, kept


def _lead(to: str) -> ResponseReturnValue:
    """Redirect the page; a part of a page that asks by itself (htmx) takes the whole along."""
    if "HX-Request" in request.headers:
        return "", 401, {"HX-Redirect": to}
    return redirect(to)


def _here() -> str:
    """Return where to go back to: a page that GET can show, never a foreign address."""
    if request.method == "GET" and "HX-Request" not in request.headers:
        return request.full_path.rstrip("?")
    shown = path_here(request.headers.get("HX-Current-URL") or request.referrer or "")
    if shown:
        return shown
    # No referrer is told (our own policy): a form's address that has a page is where it stood.
    adapter = current_app.create_url_adapter(request)
    return request.path if adapter is not None and adapter.test(method="GET") else "/"
