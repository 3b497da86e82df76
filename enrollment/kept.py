# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What was typed into a form whose session had ended: it is there again after signing in.

It waits at the server, sealed, for the account that typed it and for its own page; the browser's
signed form cookie only says that something waits. Secrets are left out.
"""

from __future__ import annotations

import re

from flask import current_app, flash, g, request, session, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from provisioning.panel import kept_forms
from provisioning.services import services
from provisioning.storage.db import transaction

_NAME = "kept"
_OURS = {"go", "tab", "tab_before", "version", "before", "shown"}  # nobody typed these
_LEFT_OUT = re.compile(r"password|token|^pin$")  # but not `pin_length`


def keep(path: str = "", *, holder: int | None = None) -> None:
    """Keep the form that this request posts, for the page at `path` (its own by default).

    `holder` is the account that typed it, where the session is over: nobody else gets to see it.
    What cannot be kept is said, with the way back to it. What a page sends by itself (htmx) stands
    on that page still.
    """
    if "HX-Request" in request.headers:
        return
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if not _LEFT_OUT.search(name)
    ]
    if not fields:
        return
    path, who = path or _page(), holder if holder is not None else _account()
    kept = False
    if who is not None:
        with transaction():
            kept = kept_forms.keep(who, path, fields, services().vault)
    if kept:
        session[_NAME] = path
        return
    flash(
        _(
            "What you have just sent could not be kept. Go back in the browser and copy what you "
            "typed before you sign in."
        ),
        "warning",
    )


def take() -> MultiDict[str, str] | None:
    """Return what was kept for this page, once, or None."""
    if session.get(_NAME) != request.path:
        return None
    del session[_NAME]
    account = _account()
    if account is None:
        return None
    with transaction():
        fields = kept_forms.take(account, request.path, services().vault)
    return MultiDict(fields) if fields is not None else None


def left() -> list[tuple[str, str]]:
    """Return what waits for this page and was not taken by it: the page shows it, to be copied."""
    late = take()
    shown = late.items(multi=True) if late is not None else ()
    return [(name, value) for name, value in shown if value.strip() and name not in _OURS]


def form_data() -> MultiDict[str, str] | None:
    """Return what a page that shows and saves a form is to fill it with: sent, kept, or nothing."""
    return request.form if request.method == "POST" else take()


def _page() -> str:
    """Where a sign-in leads back to: this page, or the first one for what only takes posts."""
    adapter = current_app.create_url_adapter(request)
    shown = adapter is not None and adapter.test(method="GET")
    return request.path if shown else url_for("overview.overview")


def _account() -> int | None:
    """The panel account that this request's session has, if it has one by now."""
    signed_in = g.get("panel_session")
    return signed_in.account_id if signed_in is not None else None
