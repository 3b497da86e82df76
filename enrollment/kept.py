# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What was typed into a form whose session had ended: it is there again after signing in.

It waits in the signed form cookie, on the browser that it was typed in, for its own page only;
secrets are left out, and what is too long for a cookie is not kept.
"""

from __future__ import annotations

import json
import re

from flask import g, request, session
from werkzeug.datastructures import MultiDict

LONGEST = 2500  # bytes as JSON; a browser drops a cookie above 4 KB
_NAME = "kept"
_LEFT_OUT = re.compile(r"password|token|^pin$")  # but not `pin_length`


def keep(path: str = "", *, holder: int | None = None) -> None:
    """Keep the form that this request posts, for the page at `path` (its own by default).

    `holder` is the account that typed it, where the session is over: nobody else gets to see it.
    """
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if not _LEFT_OUT.search(name)
    ]
    if fields and len(json.dumps(fields)) <= LONGEST:
        who = holder if holder is not None else _account()
        session[_NAME] = {"path": path or request.path, "fields": fields, "who": who}


def take() -> MultiDict[str, str] | None:
    """Return what was kept for this page, once, or None."""
    kept = session.get(_NAME)
    if not isinstance(kept, dict) or kept.get("path") != request.path:
        return None
    del session[_NAME]
    if kept.get("who") != _account():
        return None
    return MultiDict((str(name), str(value)) for name, value in kept["fields"])


def form_data() -> MultiDict[str, str] | None:
    """Return what a page that shows and saves a form is to fill it with: kept, sent, or nothing."""
    return take() or (request.form if request.method == "POST" else None)


def _account() -> int | None:
    """The panel account that this request's session has, if it has one by now."""
    signed_in = g.get("panel_session")
    return signed_in.account_id if signed_in is not None else None
