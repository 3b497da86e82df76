# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One connection: how it is doing, its tokens, what it relies on, what it asked lately."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.clock import DAY, now_ms
from provisioning.errors import WrongState
from provisioning.models import (
    Connection,
    Group,
    QuirkUse,
    RequestTrace,
    Token,
    UnknownAttribute,
    User,
)
from provisioning.pages import figures
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction, tuples
from provisioning.upstream import conflicts, connections, guard, tokens, traces
from provisioning.upstream.tally import living

from .. import web
from ..keys.items import Action, Ask
from ..web import panel_page
from .words import profile_words, quirk_words, scope_words

SILENT_AFTER = 3 * DAY
SOON = 14 * DAY
DAYS = 180  # where no token has been made before

blueprint = Blueprint("directory_page", __name__, url_prefix="/directories")


@blueprint.get("/<int:connection_id>", endpoint="page")
@panel_page()
def page(connection_id: int) -> ResponseReturnValue:
    """Show how a connection is doing."""
    return page_of(connections.get(connection_id))


@blueprint.get("/<int:connection_id>/requests")
@panel_page()
def requests(connection_id: int) -> ResponseReturnValue:
    """Show what it asked lately, the newest first."""
    connection = connections.get(connection_id)
    refused = request.args.get("only") == "errors"
    before = web.position("before")
    rows, more = traces.page(connection, refused=refused, before=before)
    only: dict[str, Any] = {"connection_id": connection_id, "only": "errors" if refused else None}
    return render_template(
        "panel/directory/requests.html",
        **head(connection, "requests"),
        rows=[_trace(row) for row in rows],
        refused=refused,
        all_url=url_for(".requests", connection_id=connection_id),
        errors_url=url_for(".requests", connection_id=connection_id, only="errors"),
        kept=figures.number(traces.KEPT),
        days=traces.AGE // DAY,
        pager={
            "shown": _("%(some)s shown", some=len(rows)),
            "first_url": url_for(".requests", **only) if before else None,
            "previous_url": None,
            "next_url": url_for(".requests", **only, before=rows[-1].id) if more else None,
        },
    )


@blueprint.get("/<int:connection_id>/tokens", endpoint="tokens")
@panel_page()
def tokens_page(connection_id: int) -> ResponseReturnValue:
    """A token is shown once, at this address; whoever comes back to it sees the directory."""
    return redirect(url_for(".page", connection_id=connection_id))


@blueprint.post("/<int:connection_id>/tokens")
@panel_page(Role.OWNER)
def new_token(connection_id: int) -> ResponseReturnValue:
    """Make another token, so that the directory can change over before the old one ends."""
    connection = connections.get(connection_id)
    first = web.step_up_first(url_for(".page", connection_id=connection_id))
    if first is not None:
        return first
    try:
        with transaction():
            _row, text = tokens.create(connection, _lifetime(connection), web.actor())
    except WrongState as error:
        flash(str(error), "error")
        return redirect(url_for(".page", connection_id=connection_id))
    return page_of(connection, shown_token=text)


@blueprint.post("/tokens/<public_id>/revoke")
@panel_page(Role.OWNER)
def revoke_token(public_id: str) -> ResponseReturnValue:
    """Revoke a token; the next request with it is refused."""
    with transaction():
        token = tokens.revoke(public_id, web.actor())
    flash(_("The token of %(name)s is revoked.", name=token.connection.name), "success")
    return redirect(url_for(".page", connection_id=token.connection_id))


def base_url() -> str:
    """Return what a directory is given as the base URL."""
    return f"{services().settings.base_url.rstrip('/')}/scim/v2"


def head(connection: Connection, current: str) -> dict[str, object]:
    """Return what every page of a connection shows above its own: name, state, tabs."""

    def tab(name: str, label: str, endpoint: str, **more: object) -> dict[str, object]:
        url = url_for(endpoint, connection_id=connection.id)
        return {"label": label, "url": url, "current": name == current, **more}

    tabs = [
        tab("page", _("Overview"), "directory_page.page"),
        tab("requests", _("Requests"), "directory_page.requests"),
        tab(
            "conflicts",
            _("Conflicts"),
            "directory_conflicts.conflicts",
            count=conflicts.count(connection) or None,
        ),
    ]
    tabs.append(tab("guide", _("Guide"), "directory_guide.guide"))
    tabs.append(tab("events", _("Events"), "streams.streams"))
    if web.may(Role.OPERATOR):
        tabs.append(tab("test", _("Test"), "directory_trial.test"))
    if web.may(Role.OWNER):
        tabs.append(tab("settings", _("Settings"), "directory_settings.settings"))
    return {
        "connection": {
            "id": connection.id,
            "name": connection.name,
            "state": state_of(connection, works=tokens.living(connection).exists()),
            "last_seen_at": connection.last_seen_at,
        },
        "tabs": tabs,
        "directories_url": url_for("directories.directories"),
    }


def state_of(connection: Connection, *, works: bool) -> str:
    """Return a connection's state in a word: retired, no_token, waiting, silent or connected.

    `works`: it has a token that lets it in.
    """
    if connection.retired_at is not None:
        return "retired"
    if not works:
        return "no_token"
    if connection.last_seen_at is None:
        return "waiting"
    return "silent" if now_ms() - connection.last_seen_at > SILENT_AFTER else "connected"


def page_of(connection: Connection, shown_token: str | None = None) -> ResponseReturnValue:
    """Return the connection's page; a token just made is shown this once."""
    owner = web.may(Role.OWNER)
    made = Token.select().where(Token.connection == connection, Token.revoked_at.is_null())
    rows = list(made.order_by(Token.id.desc()))
    day = traces.hours(connection)
    unknown = UnknownAttribute.select(UnknownAttribute.name, UnknownAttribute.seen).where(
        UnknownAttribute.connection == connection
    )
    make_url = url_for("directory_page.new_token", connection_id=connection.id)
    return render_template(
        "panel/directory/overview.html",
        **head(connection, "page"),
        base_url=base_url(),
        shown_token=shown_token,
        facts=[
            (_("Rights"), scope_words(connection.scope)),
            (_("Profile"), profile_words(connection.profile)),
            (_("Users"), figures.number(living(User, connection.id))),
            (_("Groups"), figures.number(living(Group, connection.id))),
        ],
        tokens=[_token(token, owner) for token in rows],
        living=tokens.living(connection).count(),
        ends_soon_at=_ends_soon(connection),
        departure_url=_departure(connection),
        guide_url=url_for("directory_guide.guide", connection_id=connection.id),
        new_token_days=_lifetime(connection),
        new_token_url=make_url if owner and connection.retired_at is None else None,
        hours=[vars(hour) for hour in day],
        most=max((hour.requests for hour in day), default=0),
        requests=sum(hour.requests for hour in day),
        errors=sum(hour.errors for hour in day),
        requests_url=url_for("directory_page.requests", connection_id=connection.id),
        errors_url=url_for("directory_page.requests", connection_id=connection.id, only="errors"),
        quirks=[_quirk(row) for row in traces.quirks(connection)],
        unknown=list(tuples(unknown.order_by(UnknownAttribute.seen.desc()).limit(50))),
    )


def _lifetime(connection: Connection) -> int:
    """Return for how many days a new token is to live: as long as the one before it."""
    made = Token.select().where(Token.connection == connection).order_by(Token.id.desc()).first()
    return DAYS if made is None else max(1, round((made.expires_at - made.created_at) / DAY))


def _ends_soon(connection: Connection) -> int | None:
    """Return when the last token ends that works, if that is soon."""
    ends = [token.expires_at for token in tokens.living(connection)]
    return max(ends) if ends and max(ends) - now_ms() < SOON else None


def _departure(connection: Connection) -> str | None:
    held = guard.open_for(connection)
    return url_for("departures.page", number=held.id) if held is not None else None


def _quirk(row: QuirkUse) -> dict[str, object]:
    return {
        "name": row.name,
        "text": quirk_words(row.name),
        "seen": row.seen,
        "last_seen_at": row.last_seen_at,
    }


def _trace(row: RequestTrace) -> dict[str, object]:
    return {
        "at": row.at,
        "method": row.method,
        "path": row.path,
        "status": row.status,
        "scim_type": row.scim_type,
        "tone": "bad" if row.status >= 400 else "ok",
        "quirks": [(name, quirk_words(name)) for name in row.quirks.split()],
        "ms": f"{row.micros / 1_000:.1f}",
        "token": f"{tokens.PREFIX}_{row.token}" if row.token else None,
    }


def _token(token: Token, owner: bool) -> dict[str, object]:
    left = token.expires_at - now_ms()
    ask = Ask(
        _("Revoke this token?"),
        [_("The directory's next request with it is refused. People and groups stay.")],
        _("Revoke token"),
    )
    url = url_for("directory_page.revoke_token", public_id=token.public_id)
    return {
        "public_id": f"{tokens.PREFIX}_{token.public_id}",
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "expired": left <= 0,
        "soon": 0 < left < SOON,
        "revoke": Action(_("Revoke"), url, "ban", "danger-quiet", ask=ask) if owner else None,
    }
