# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The demo's second site: its mailbox and its desk. Loopback only, and only in the demo."""

from __future__ import annotations

import threading
from pathlib import Path

from flask import Flask, Response, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import Babel, get_locale
from flask_wtf.csrf import CSRFProtect
from werkzeug.serving import WSGIRequestHandler, make_server

from ..app import TEMPLATES
from ..pages import figures, headers, times
from ..pages.error_words import told
from .desk import WebDesk
from .mailbox import Mailbox

_STATIC = Path(__file__).parent.parent / "static"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing: a mail's number in a log helps nobody."""


class Site:
    """Serves the mailbox and the desk from a thread."""

    def __init__(self, app: Flask, port: int) -> None:
        """Raises SystemExit when the port is taken (werkzeug's way)."""
        self._server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and free the port."""
        self._server.shutdown()
        self._server.server_close()


def make_site(mailbox: Mailbox, desk: WebDesk | None, *, panel_url: str, secret: str) -> Flask:
    """Make the small app. `desk` is None while a real reader does the work."""
    app = Flask(__name__, template_folder=str(TEMPLATES), static_folder=str(_STATIC))
    app.config.update(
        SECRET_KEY=secret,
        SESSION_COOKIE_NAME="kw_demo",
        SESSION_COOKIE_SAMESITE="Strict",
        TRUSTED_HOSTS=["localhost", "127.0.0.1"],
    )
    Babel(app)
    CSRFProtect(app)
    times.register(app)
    figures.register(app)
    app.jinja_env.filters["told"] = told

    app.jinja_env.globals.update(
        logo_url=lambda: url_for("static", filename="logo.svg"), accent_url=lambda: ""
    )

    @app.context_processor
    def _page() -> dict[str, object]:
        return {
            "organisation": "Keywright Demo",
            "demo": True,
            "public_class": "demo-site",
            "panel_url": panel_url,
            "has_desk": desk is not None,
            "get_locale": get_locale,
        }

    @app.get("/")
    def home() -> ResponseReturnValue:
        return redirect(url_for("mailbox_page"))

    @app.get("/mailbox")
    def mailbox_page() -> ResponseReturnValue:
        if request.accept_mimetypes.best_match(["text/html", "application/json"]) == (
            "application/json"
        ):
            return jsonify([vars(mail) for mail in mailbox.all()])
        return render_template("demo/mailbox.html", mails=mailbox.all())

    @app.get("/mailbox/<int:number>")
    def mail_page(number: int) -> ResponseReturnValue:
        found = mailbox.get(number)
        return render_template("demo/mail.html", mail=found) if found else abort(404)

    @app.get("/mailbox/<int:number>/html")
    def mail_html(number: int) -> ResponseReturnValue:
        found = mailbox.get(number)
        if found is None:
            abort(404)
        answer = Response(found.html, mimetype="text/html")
        answer.headers["X-Demo-Mail"] = "1"
        return answer

    @app.after_request
    def _frame_mail(response: Response) -> Response:
        # A mail brings its own inline styles and nothing else; it is shown in a sandboxed frame.
        if response.headers.pop("X-Demo-Mail", None):
            response.headers["Content-Security-Policy"] = (
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
                "frame-ancestors 'self'; sandbox allow-popups"
            )
        elif request.endpoint == "mail_page":
            policy = response.headers["Content-Security-Policy"]
            response.headers["Content-Security-Policy"] = f"{policy}; frame-src 'self'"
        return response

    headers.register(app)  # after the hook above, which then runs last and has the last word
    if desk is not None:
        _add_desk(app, desk)
    return app


def _add_desk(app: Flask, desk: WebDesk) -> None:
    def _view() -> dict[str, object]:
        return {
            "state": desk.state,
            "pending": desk.pending,
            "auto": desk.auto,
            "cards": [
                {
                    "name": name,
                    "blank": desk.cards.is_blank(name),
                    "on_reader": desk.reader.card is desk.cards.get(name),
                }
                for name in desk.cards.names()
            ],
            "on_reader": desk.cards.name_of(desk.reader.card),
        }

    @app.get("/desk")
    def desk_page() -> ResponseReturnValue:
        return render_template("demo/desk.html", **_view())

    @app.get("/desk/live")
    def desk_live() -> ResponseReturnValue:
        return render_template("demo/_desk.html", **_view())

    @app.post("/desk/<action>")
    def desk_do(action: str) -> ResponseReturnValue:
        form = request.form
        if action == "tap":
            desk.tap(form.get("card", ""))
        elif action == "remove":
            desk.reader.remove()
        elif action == "fresh":
            desk.cards.fresh()
        elif action == "auto":
            desk.auto = form.get("auto") == "on"
        elif action == "answer":
            typed: str | bool | None = form.get("pin") or None
            if form.get("say") in ("yes", "no"):
                typed = form["say"] == "yes"
            if form.get("again") is not None and form["again"] != form.get("pin"):
                return redirect(url_for("desk_page", differ=1))
            desk.answer(typed)
        else:
            abort(404)
        return redirect(url_for("desk_page"))
