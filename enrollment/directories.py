# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Directories: every connection at a glance, and the form that makes one."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from provisioning import conflicts, tokens, traces
from provisioning.access import Role
from provisioning.clock import now_ms
from provisioning.db import transaction
from provisioning.errors import InvalidValue, Taken
from provisioning.models import Connection, Group, User
from provisioning.models.directories import FILES
from provisioning.tally import living

from . import directory_page, web
from .directory_page import DAYS
from .directory_words import scope_words
from .forms import ConnectionForm
from .web import panel_page

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
    return directory_page.page_of(connection, shown_token=text)


def _page(form: ConnectionForm) -> ResponseReturnValue:
    every = Connection.select().where(Connection.profile != FILES)
    every = every.order_by(Connection.retired_at.is_null(False), Connection.name)
    return render_template(
        "panel/directories.html",
        rows=[_row(row) for row in every],
        form=form if web.may(Role.OWNER) else None,
        new_url=url_for(".connect"),
    )


def _row(connection: Connection) -> dict[str, object]:
    day = traces.hours(connection)
    ends = [token.expires_at for token in tokens.living(connection)]
    return {
        "name": connection.name,
        "url": url_for("directory_page.page", connection_id=connection.id),
        "state": directory_page.state_of(connection),
        "scope": scope_words(connection.scope),
        "last_seen_at": connection.last_seen_at,
        "requests": sum(hour.requests for hour in day),
        "errors": sum(hour.errors for hour in day),
        "conflicts": conflicts.count(connection),
        "users": living(User, connection.id),
        "groups": living(Group, connection.id),
        "token_ends_at": max(ends, default=None),
        "soon": bool(ends) and max(ends) - now_ms() < directory_page.SOON,
    }
