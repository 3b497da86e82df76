# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What no page has to look at itself: where a write comes from, and text that no keyboard types."""

from __future__ import annotations

from flask import Flask, request
from flask_wtf.csrf import CSRFError
from werkzeug.routing import IntegerConverter, Map

from ..errors import InvalidValue
from ..services import services

LARGEST = 2**63 - 1  # what both databases compare a number with

_READS = ("GET", "HEAD", "OPTIONS")
_OURS = ("same-origin", "none")  # `none`: typed or bookmarked, by the person


class Number(IntegerConverter):
    """`<int:…>` in an address: one that no row can have is no address."""

    def __init__(self, map: Map, *args: int, **options: int) -> None:
        super().__init__(map, *args, **{"max": LARGEST, **options})  # type: ignore[arg-type]


def register(app: Flask) -> None:
    """Look at every request before its view does."""
    app.url_map.converters["int"] = Number
    # Flask-WTF asks for a referrer over https, and our own policy lets browsers tell none.
    app.config["WTF_CSRF_SSL_STRICT"] = False
    app.before_request(_refuse_other_sites)
    app.before_request(_refuse_nul)


def path_here(url: str) -> str:
    """Return a page of ours without scheme and host; "" for any other address.

    Behind a proxy that ends TLS the request itself says http.
    """
    for ours in (services().settings.origin, request.host_url.rstrip("/")):
        if url.startswith(f"{ours}/"):
            return url.removeprefix(ours)
    return ""


def _refuse_other_sites() -> None:
    """Raise CSRFError for a write that another site's page sends (T13), token or not.

    Every browser of today tells `Sec-Fetch-Site`; programs such as a station tell neither header.
    An `Origin` of `null` is what our referrer policy makes of our own.
    """
    if request.method in _READS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin", "null")
    known = (services().settings.origin, request.host_url.rstrip("/"), "null")
    if site not in _OURS if site is not None else origin not in known:
        raise CSRFError("The request comes from another site.")


def _refuse_nul() -> None:
    """Raise InvalidValue for a NUL in what was sent: no keyboard types it, PostgreSQL balks."""
    sent = [*request.args.items(multi=True), *request.cookies.items()]
    sent += (request.view_args or {}).items()
    if request.mimetype != "application/json":  # a body that is read and checked elsewhere
        sent += request.form.items(multi=True)
    if any("\0" in f"{name}{value}" for name, value in sent):
        raise InvalidValue("What was sent cannot be read.")
