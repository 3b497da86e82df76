# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Directories: connections over SCIM and their tokens, each shown once."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from peewee import fn

from provisioning import tokens
from provisioning.access import Role
from provisioning.clock import DAY, now_ms
from provisioning.db import transaction, tuples
from provisioning.errors import InvalidValue, NotFound, Taken, WrongState
from provisioning.models import Connection, Group, Token, UnknownAttribute, User
from provisioning.services import services

from . import web
from .forms import ConnectionForm
from .key_items import Action, Ask
from .web import panel_page

SILENT_AFTER = 3 * DAY
SOON = 14 * DAY
_DAYS = 180

blueprint = Blueprint("directories", __name__, url_prefix="/directories")


@blueprint.get("", endpoint="directories")
@panel_page()
def all_directories() -> ResponseReturnValue:
    """Show every connection; a form that step-up interrupted comes back filled."""
    form = ConnectionForm(
        name=request.args.get("name", "")[:64],
        scope=request.args.get("scope", "write"),
        days=request.args.get("days", _DAYS, type=int),
    )
    return _page(form)


@blueprint.post("", endpoint="connect")
@panel_page(Role.OWNER)
def connect() -> ResponseReturnValue:
    """Make a connection with its first token."""
    form = ConnectionForm()
    back = url_for(".directories", name=form.name.data, scope=form.scope.data, days=form.days.data)
    first = web.step_up_first(back)
    if first is not None:
        return first
    if not form.validate_on_submit():
        return _page(form)
    try:
        with transaction():
            connection = tokens.create_connection(
                form.name.data or "", web.actor(), form.scope.data
            )
            _row, text = tokens.create(connection, form.days.data or _DAYS, web.actor())
    except (InvalidValue, Taken) as error:
        form.blame(error, "name")
        return _page(form)
    return _page(ConnectionForm(formdata=None), {"connection": connection.name, "value": text})


@blueprint.post("/<int:connection_id>/tokens")
@panel_page(Role.OWNER)
def new_token(connection_id: int) -> ResponseReturnValue:
    """Make another token, so that the directory can change over before the old one ends."""
    connection = _connection(connection_id)
    first = web.step_up_first(url_for(".directories"))
    if first is not None:
        return first
    try:
        with transaction():
            _row, text = tokens.create(connection, _DAYS, web.actor())
    except WrongState as error:
        flash(str(error), "error")
        return redirect(url_for(".directories"))
    return _page(ConnectionForm(formdata=None), {"connection": connection.name, "value": text})


@blueprint.post("/tokens/<public_id>/revoke")
@panel_page(Role.OWNER)
def revoke_token(public_id: str) -> ResponseReturnValue:
    """Revoke a token; the next request with it is refused."""
    with transaction():
        token = tokens.revoke(public_id, web.actor())
    flash(_("The token of %(name)s is revoked.", name=token.connection.name), "success")
    return redirect(url_for(".directories"))


def _page(form: ConnectionForm, shown_token: dict[str, str] | None = None) -> ResponseReturnValue:
    owner = web.may(Role.OWNER)
    return render_template(
        "panel/directories.html",
        base_url=f"{services().settings.base_url}/scim/v2",
        rows=[_row(row, owner) for row in Connection.select().order_by(Connection.name)],
        shown_token=shown_token,
        form=form if owner else None,
        new_url=url_for(".connect"),
    )


def _row(connection: Connection, owner: bool) -> dict[str, object]:
    now = now_ms()
    seen = connection.last_seen_at
    scopes = {
        "write": _("write users and groups"),
        "users": _("write users only"),
        "read": _("read only"),
    }
    unknown = UnknownAttribute.select(UnknownAttribute.name, UnknownAttribute.seen).where(
        UnknownAttribute.connection == connection
    )
    live = Token.select().where(Token.connection == connection, Token.revoked_at.is_null())
    return {
        "id": connection.id,
        "name": connection.name,
        "scope_label": scopes.get(connection.scope, connection.scope),
        "last_seen_at": seen,
        "silent": seen is not None and now - seen > SILENT_AFTER,
        "users": _count(User, connection),
        "groups": _count(Group, connection),
        "tokens": [_token(token, owner) for token in live.order_by(Token.id.desc())],
        "new_token_url": url_for(".new_token", connection_id=connection.id) if owner else None,
        "unknown": list(tuples(unknown.order_by(UnknownAttribute.seen.desc()).limit(50))),
        "actions": [],
    }


def _token(token: Token, owner: bool) -> dict[str, object]:
    left = token.expires_at - now_ms()
    ask = Ask(
        _("Revoke this token?"),
        [_("The directory's next request with it is refused. People and groups stay.")],
        _("Revoke token"),
    )
    url = url_for(".revoke_token", public_id=token.public_id)
    return {
        "public_id": f"{tokens.PREFIX}_{token.public_id}",
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "expired": left <= 0,
        "soon": 0 < left < SOON,
        "revoke": Action(_("Revoke"), url, "ban", "danger-quiet", ask=ask) if owner else None,
    }


def _count(table: type[User] | type[Group], connection: Connection) -> int:
    query = table.select(fn.COUNT(table.id)).where(
        table.connection == connection, table.deleted_at.is_null()
    )
    return int(query.scalar() or 0)


def _connection(connection_id: int) -> Connection:
    found = Connection.get_or_none(Connection.id == connection_id)
    if found is None:
        raise NotFound(_("There is no such directory."))
    return found
