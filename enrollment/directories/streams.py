# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A directory's streams of events: who hears of changes, and how it goes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from provisioning.clock import DAY
from provisioning.errors import InvalidValue, WrongState
from provisioning.event_streams import streams
from provisioning.event_streams.streams import Detail, EventState, Method, StreamState
from provisioning.models import Connection, EventStream
from provisioning.pages.error_words import told
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction
from provisioning.upstream import connections

from .. import kept, tasks, web
from ..forms import StreamForm
from ..keys.items import Action, Ask
from ..web import panel_page
from .page import base_url, head

blueprint = Blueprint("streams", __name__, url_prefix="/directories")

tasks.WORDS["scim_bulk"] = tasks.Words(
    _l("Bulk request of a directory"), _l("Directories"), "directories.directories", "folder-sync"
)


@blueprint.get("/<int:connection_id>/events", endpoint="streams")
@panel_page()
def all_streams(connection_id: int) -> ResponseReturnValue:
    """Show who hears of a directory's people and groups; a form cut short comes back filled."""
    return _page(connections.get(connection_id), StreamForm(formdata=kept.take()))


@blueprint.post("/<int:connection_id>/events", endpoint="add")
@panel_page(Role.OWNER)
def add(connection_id: int) -> ResponseReturnValue:
    """Make a stream."""
    connection, form = connections.get(connection_id), StreamForm()
    first = web.step_up_first(url_for(".streams", connection_id=connection_id))
    if first is not None:
        kept.keep()
        return first
    if not form.validate_on_submit():
        return _again(connection, form)
    push = form.method.data == Method.PUSH
    try:
        with transaction():
            streams.add(
                connection,
                web.actor(),
                vault=services().vault,
                method=Method(form.method.data),
                detail=Detail(form.detail.data),
                audience=form.audience.data or "",
                endpoint=(form.endpoint.data or "").strip() if push else "",
                authorization=(form.receiver_token.data or "").strip() if push else "",
                local=services().settings.local_receivers,
            )
    except InvalidValue as error:
        form.blame(error, "endpoint")
        return _again(connection, form)
    except WrongState as error:
        flash(str(error), "error")
    else:
        flash(_("The stream is made. It tells what happens from now on."), "success")
    return redirect(url_for(".streams", connection_id=connection_id))


def _again(connection: Connection, form: StreamForm) -> ResponseReturnValue:
    """Show a form with its faults; a secret is on no page, so it is lost, and that is said."""
    if form.receiver_token.data:
        lost = _("Please type it again: what is secret is not shown once more.")
        form.receiver_token.errors = [*form.receiver_token.errors, lost]
    return _page(connection, form)


@blueprint.post("/streams/<stream_id>/<any(stop, start):wanted>")
@panel_page(Role.OWNER)
def set_state(stream_id: str, wanted: str) -> ResponseReturnValue:
    """Stop a stream, or let it go on."""
    stream = streams.get(stream_id)
    try:
        with transaction():
            state = StreamState.STOPPED if wanted == "stop" else StreamState.ACTIVE
            streams.set_state(stream, state, web.actor())
    except WrongState as error:
        flash(str(error), "error")
    else:
        flash(
            _("Stopped. What happens from now on is not told.")
            if wanted == "stop"
            else _("The stream goes on. What happened meanwhile is not told."),
            "success",
        )
    return _back(stream)


@blueprint.post("/streams/<stream_id>/retry")
@panel_page(Role.OWNER)
def retry(stream_id: str) -> ResponseReturnValue:
    """Try at once what waits and what was given up."""
    stream = streams.get(stream_id)
    with transaction():
        streams.retry(stream, web.actor())
    flash(_("The worker tries again within seconds."), "success")
    return _back(stream)


@blueprint.post("/streams/<stream_id>/remove")
@panel_page(Role.OWNER)
def remove(stream_id: str) -> ResponseReturnValue:
    """Remove a stream with what waits in it."""
    stream = streams.get(stream_id)
    back = _back(stream)
    first = web.step_up_first(url_for(".streams", connection_id=stream.connection_id))
    if first is not None:
        return first
    with transaction():
        streams.remove(stream, web.actor())
    flash(_("The stream is removed."), "success")
    return back


def _page(connection: Connection, form: StreamForm) -> ResponseReturnValue:
    owner = web.may(Role.OWNER)
    return render_template(
        "panel/directory/events.html",
        **head(connection, "events"),
        rows=[_row(each, owner) for each in streams.every(connection)],
        form=form if owner and connection.retired_at is None else None,
        add_url=url_for(".add", connection_id=connection.id),
        issuer=base_url(),
        keys_url=f"{base_url()}/jwks.json",
        days=streams.MAX_AGE // DAY,
    )


def _row(stream: EventStream, owner: bool) -> dict[str, object]:
    dead, waiting = streams.waiting(stream, EventState.DEAD), streams.waiting(stream)
    return {
        "method": stream.method,
        "where": stream.endpoint or f"{base_url()}/Events/{stream.resource_id}",
        "host": urlsplit(stream.endpoint).hostname or "",
        "audience": stream.audience,
        "full": stream.detail == Detail.FULL,
        "state": _state(stream),
        "waiting": waiting,
        "dead": dead,
        "delivered": stream.delivered,
        "delivered_at": stream.delivered_at,
        "error": told(stream.last_error),
        "actions": _actions(stream, waiting, dead) if owner else [],
    }


def _state(stream: EventStream) -> str:
    if stream.state != StreamState.ACTIVE:
        return "stopped"
    return "failing" if stream.failures else "active"


def _actions(stream: EventStream, waiting: int, dead: int) -> list[Action]:
    here: dict[str, Any] = {"stream_id": stream.resource_id}
    actions = []
    if dead or stream.failures:
        actions.append(Action(_("Try again"), url_for(".retry", **here), "rotate-ccw"))
    if stream.state == StreamState.ACTIVE:
        actions.append(
            Action(_("Stop"), url_for(".set_state", wanted="stop", **here), "circle-pause")
        )
    else:
        url = url_for(".set_state", wanted="start", **here)
        actions.append(Action(_("Go on"), url, "circle-play"))
    lost = (
        ngettext(
            "%(num)s event that waits is lost.",
            "%(num)s events that wait are lost.",
            waiting + dead,
        )
        if waiting + dead
        else _("Nothing waits in it.")
    )
    ask = Ask(
        _("Remove this stream?"),
        [lost, _("Its receiver hears nothing more. People and groups stay as they are.")],
        _("Remove stream"),
    )
    url = url_for(".remove", **here)
    return [*actions, Action(_("Remove"), url, "trash-2", "danger-quiet", ask=ask)]


def _back(stream: EventStream) -> ResponseReturnValue:
    return redirect(url_for(".streams", connection_id=stream.connection_id))
