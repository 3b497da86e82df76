# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Directories: every connection at a glance, and the form that makes one."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from provisioning.clock import now_ms
from provisioning.errors import InvalidValue, Taken
from provisioning.models import Connection
from provisioning.models.directories import FILES
from provisioning.panel.access import Role
from provisioning.storage.db import transaction
from provisioning.upstream import conflicts, tally, tokens, traces

from .. import web
from ..forms import ConnectionForm
from ..web import panel_page
from . import page
from .page import DAYS
from .words import scope_words

blueprint = Blueprint("directories", __name__, url_prefix="/directories")


@blueprint.get("", endpoint="directories")
@panel_page()
def all_directories() -> ResponseReturnValue:
    """Show every connection; a form that step-up interrupted comes back filled."""
    form = ConnectionForm(
        name=request.args.get("name", "")[:64],
        scope=request.args.get("scope", "write"),
        profile=request.args.get("profile", "tolerant"),
        days=request.args.get("days", DAYS, type=int),
    )
    return _page(form)


@blueprint.post("", endpoint="connect")
@panel_page(Role.OWNER)
def connect() -> ResponseReturnValue:
    """Make a connection with its first token, which its page shows this once."""
    form = ConnectionForm()
    typed = {name: form[name].data for name in ("name", "scope", "profile", "days")}
    first = web.step_up_first(url_for(".directories", **typed))
    if first is not None:
        return first
    if not form.validate_on_submit():
        return _page(form)
    try:
        with transaction():
            connection = tokens.create_connection(
                form.name.data or "", web.actor(), form.scope.data, form.profile.data
            )
            _row, text = tokens.create(connection, form.days.data or DAYS, web.actor())
    except (InvalidValue, Taken) as error:
        form.blame(error, "name")
        return _page(form)
    return page.page_of(connection, shown_token=text)


def _page(form: ConnectionForm) -> ResponseReturnValue:
    every = Connection.select().where(Connection.profile != FILES)
    every = every.order_by(Connection.retired_at.is_null(False), Connection.name)
    return render_template(
        "panel/directories.html",
        rows=_rows(list(every)),
        form=form if web.may(Role.OWNER) else None,
        new_url=url_for(".connect"),
    )


def _rows(every: Sequence[Connection]) -> list[dict[str, object]]:
    """Look everything up at once, however many there are."""
    ends, day, waiting = tokens.ends(), traces.last_day(), conflicts.counts()
    there = tally.all_living()
    return [
        {
            "name": each.name,
            "url": url_for("directory_page.page", connection_id=each.id),
            "state": page.state_of(each, works=each.id in ends),
            "scope": scope_words(each.scope),
            "last_seen_at": each.last_seen_at,
            "requests": day.get(each.id, (0, 0))[0],
            "errors": day.get(each.id, (0, 0))[1],
            "conflicts": waiting.get(each.id, 0),
            "users": there.get((each.id, "User"), 0),
            "groups": there.get((each.id, "Group"), 0),
            "token_ends_at": ends.get(each.id),
            "soon": each.id in ends and ends[each.id] - now_ms() < page.SOON,
        }
        for each in every
    ]
