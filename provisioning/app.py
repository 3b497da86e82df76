# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The app factory, and the only place where the doors are hung on the core."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, g, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

import enrollment
import scim.door
import scim.routes
import scim.tracing

from . import live_settings
from .errors import ConfigurationError
from .installation import open_services
from .models import Setting
from .pages import error_pages, figures, headers, requests, times
from .processes import logs, supervisor, watch
from .processes.health import blueprint as health
from .processes.watch import Watch
from .sealing import proofs
from .services import EXTENSION, Services
from .services import services as current_services
from .settings import LANGUAGES, Settings
from .storage import recorder
from .storage.db import database
from .storage.migrate import check_current
from .storage.recorder import Recorder

BODY_LIMIT = 1024 * 1024

_HERE = Path(__file__).parent
# In a checkout the templates stand beside the packages, in a wheel inside this one.
TEMPLATES = _HERE / "templates" if (_HERE / "templates").is_dir() else _HERE.parent / "templates"

csrf = CSRFProtect()


def create_app(services: Services) -> Flask:
    """Make the web app. The database must be migrated already; raises ConfigurationError."""
    check_current(database)
    proofs.check(services.vault)
    services = live_settings.layered(services)
    settings = services.settings
    _freeze_rp_id(settings)
    app = Flask(__name__, template_folder=str(TEMPLATES), static_folder=str(_HERE / "static"))
    app.extensions[EXTENSION] = services
    app.config.update(
        SECRET_KEY=services.vault.flask_secret,
        MAX_CONTENT_LENGTH=BODY_LIMIT,
        TRUSTED_HOSTS=_hosts(settings),
        SESSION_COOKIE_NAME="__Host-kw_form",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Strict",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the cookie; a slow typist loses nothing
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    Babel(app, locale_selector=_locale)
    csrf.init_app(app)
    requests.register(app)
    limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")
    times.register(app)
    figures.register(app)
    headers.register(app)
    error_pages.register(app)

    @app.before_request
    def connect() -> ResponseReturnValue | None:
        database.connect(reuse_if_open=True)
        live_settings.refresh(app)
        # WebAuthn knows no IP address as RP ID; machines that call an API stay where they are.
        by_address = settings.is_local and request.host.startswith("127.0.0.1")
        for_people = not request.path.startswith(("/station/", "/healthz"))
        if by_address and for_people and request.method == "GET":
            return redirect(settings.base_url + request.full_path.rstrip("?"))
        return None

    app.register_blueprint(health)
    enrollment.register(app, csrf, limiter)
    if settings.proxies:
        # Of what a proxy tells only whose request it is: the address is configured (T15).
        inner = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0, x_host=0)
        app.wsgi_app = inner  # type: ignore[method-assign]
    # In front of the framework: a directory's request needs nothing of what a page needs.
    seen = app.extensions[recorder.EXTENSION] = Recorder(scim.tracing.take_down)
    waiting: Watch = app.extensions[watch.EXTENSION]
    # Stations may hold half of the threads; receivers of events get an eighth.
    waits = scim.door.Waits(max(1, settings.web_threads // 8), lambda: waiting.is_over)
    hung = scim.routes.hang(app.wsgi_app, services, _hosts(settings), seen, waits)
    app.wsgi_app = hung  # type: ignore[assignment, method-assign]
    return app


def web_app() -> Flask:
    """Make the app from the environment alone, for a WSGI server: `provisioning.app:web_app`."""
    logs.configure()
    app = create_app(open_services())
    app.extensions[recorder.EXTENSION].start()
    if threading.current_thread() is threading.main_thread():  # only there can signals be heard
        waits: Watch = app.extensions[watch.EXTENSION]
        signal.signal(supervisor.LET_GO, lambda _number, _frame: waits.let_go())
    return app


def _freeze_rp_id(settings: Settings) -> None:
    """Refuse to start with another RP ID than the one that keys were made for."""
    Setting.insert(name="rp_id", value=settings.rp_id).on_conflict_ignore().execute()
    row = Setting.get(Setting.name == "rp_id")
    if row.value != settings.rp_id:
        raise ConfigurationError(
            f"KEYWRIGHT_RP_ID: this database's keys were made for {row.value!r} and work nowhere "
            f"else; {settings.rp_id!r} would lock everybody out."
        )


def _hosts(settings: Settings) -> list[str]:
    host = str(urlsplit(settings.base_url).hostname)
    return [host, "127.0.0.1"] if settings.is_local else [host]


def _locale() -> str:
    """Return what this person has chosen, else what the browser asks for, else our default."""
    chosen = g.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    asked = request.accept_languages.best_match(LANGUAGES)
    return asked or current_services().settings.language
