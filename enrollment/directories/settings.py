# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A connection's terms, and its end: retired, brought back, deleted."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning.errors import InvalidValue, Taken, WrongState
from provisioning.models import Connection
from provisioning.pages import figures
from provisioning.panel.access import Role
from provisioning.storage.db import transaction
from provisioning.upstream import connections, guard
from provisioning.upstream.connections import Holdings, Terms

from .. import differences, kept, web
from ..forms import TermsForm
from ..keys.items import Action, Ask
from ..web import panel_page
from .page import head

blueprint = Blueprint("directory_settings", __name__, url_prefix="/directories")


@blueprint.route("/<int:connection_id>/settings", methods=["GET", "POST"])
@panel_page(Role.OWNER)
def settings(connection_id: int) -> ResponseReturnValue:
    """Show the terms, or make those hold that were sent."""
    connection = connections.get(connection_id)
    now = connections.terms_of(connection)
    form = TermsForm(kept.form_data(), data={**vars(now), "shown": _mark(now)})
    if request.method == "POST":
        first = web.step_up_first(url_for(".settings", connection_id=connection_id))
        if first is not None:
            kept.keep()
            return first
    saved = _saved_meanwhile(form, now)
    if not saved and form.validate_on_submit():
        wanted = Terms(
            name=form.name.data or "",
            scope=form.scope.data,
            profile=form.profile.data,
            patch_reply=form.patch_reply.data,
            unique_group_names=bool(form.unique_group_names.data),
            merges_bulk=bool(form.merges_bulk.data),
        )
        try:
            with transaction():
                changed = connections.change(connection, wanted, web.actor())
        except (InvalidValue, Taken) as error:
            form.blame(error, "name")
        except WrongState as error:
            form.unique_group_names.errors = [str(error)]
        else:
            flash(_saved(changed), "success")
            return redirect(url_for(".settings", connection_id=connection_id))
    return render_template(
        "panel/directory/settings.html",
        **head(connections.get(connection_id), "settings"),
        form=form,
        saved=saved,
        save_url=url_for(".settings", connection_id=connection_id),
        retired_at=connection.retired_at,
        actions=_endings(connection),
    ), 412 if saved and request.method == "POST" else 200


def _saved(changed: list[str]) -> str:
    if not changed:
        return str(_("Nothing was changed."))
    told = str(_("Saved. It holds from the directory's next request on."))
    if "profile" in changed:
        told += " " + _("Under Test you see whether it is understood as before.")
    return told


def _mark(terms: Terms) -> str:
    return hashlib.sha256(repr(terms).encode()).hexdigest()[:16]


def _saved_meanwhile(form: TermsForm, now: Terms) -> list[tuple[str, str]]:
    """Return what somebody else saved since the form was filled, where it is other than typed."""
    if form.shown.data == _mark(now):
        return []
    saved = differences.between(form, TermsForm(formdata=None, data=vars(now)))
    form.shown.data = _mark(now)
    return saved


@blueprint.post("/<int:connection_id>/retire")
@panel_page(Role.OWNER)
def retire(connection_id: int) -> ResponseReturnValue:
    """Let a directory in no more."""
    first = web.step_up_first(url_for(".settings", connection_id=connection_id))
    if first is not None:
        return first
    with transaction():
        connection = connections.get(connection_id)
        connections.retire(connection, web.actor())
    flash(_("%(name)s is retired. Its people stay as they are.", name=connection.name), "success")
    return redirect(url_for(".settings", connection_id=connection_id))


@blueprint.post("/<int:connection_id>/resume")
@panel_page(Role.OWNER)
def resume(connection_id: int) -> ResponseReturnValue:
    """Bring a retired directory back."""
    first = web.step_up_first(url_for(".settings", connection_id=connection_id))
    if first is not None:
        return first
    with transaction():
        connection = connections.get(connection_id)
        connections.resume(connection, web.actor())
    flash(_("%(name)s is back. Make a token for it.", name=connection.name), "success")
    return redirect(url_for("directory_page.page", connection_id=connection_id))


@blueprint.post("/<int:connection_id>/delete")
@panel_page(Role.OWNER)
def delete(connection_id: int) -> ResponseReturnValue:
    """Forget a retired directory; its people and groups stay, as the panel's own."""
    first = web.step_up_first(url_for(".settings", connection_id=connection_id))
    if first is not None:
        return first
    try:
        with transaction():
            connection = connections.get(connection_id)
            connections.delete(connection, web.actor())
    except WrongState as error:
        flash(str(error), "error")
        return redirect(url_for(".settings", connection_id=connection_id))
    flash(
        _("%(name)s is deleted. Its people belong to the panel now.", name=connection.name),
        "success",
    )
    return redirect(url_for("directories.directories"))


def _endings(connection: Connection) -> list[Action]:
    """Return what may end a connection, or bring it back, each with what follows in numbers."""
    held = connections.holdings(connection)
    here: dict[str, Any] = {"connection_id": connection.id}
    if connection.retired_at is None:
        url = url_for(".retire", **here)
        return [Action(_("Retire"), url, "ban", "danger-quiet", ask=_retire(connection, held))]
    back = Action(_("Bring back"), url_for(".resume", **here), "rotate-ccw")
    ask = _delete(connection, held)
    return [back, Action(_("Delete"), url_for(".delete", **here), "x", "danger-quiet", ask=ask)]


def _retire(connection: Connection, held: Holdings) -> Ask:
    return Ask(
        _("Retire %(name)s?", name=connection.name),
        [
            ngettext(
                "Its only token is revoked: the directory's next request is refused.",
                "Its %(num)s tokens are revoked: the directory's next request is refused.",
                held.tokens,
            )
            if held.tokens
            else _("It has no token that works, so that nothing changes for the directory."),
            _people(held),
            _("This server no longer hears who has left. You can bring it back."),
        ],
        _("Retire"),
    )


def _delete(connection: Connection, held: Holdings) -> Ask:
    sentences = [
        ngettext("%(n)s person", "%(n)s people", held.users, n=figures.number(held.users))
        + " "
        + ngettext(
            "and %(n)s group", "and %(n)s groups", held.groups, n=figures.number(held.groups)
        )
        + " "
        + _("belong to the panel from then on. Nobody is suspended by it."),
        _(
            "If the same directory is connected again later, each of them is a conflict until "
            "somebody hands it over."
        ),
        _("Its requests, counters and conflicts are forgotten; the audit log keeps its lines."),
    ]
    clashing = connections.clashes(connection)
    if clashing:
        sentences.insert(
            1,
            ngettext(
                "One group has a name that another one has: it gets the directory's behind it.",
                "%(num)s groups have names that others have: they get the directory's behind it.",
                clashing,
            ),
        )
    if guard.open_for(connection) is not None:
        sentences = [_("A mass departure waits for a decision; until then it cannot be deleted.")]
    return Ask(
        _("Delete %(name)s for ever?", name=connection.name), sentences, _("Delete for ever")
    )


def _people(held: Holdings) -> str:
    return str(
        ngettext(
            "%(n)s person stays as it is, keys and sign-ins too.",
            "%(n)s people stay as they are, keys and sign-ins too.",
            held.users,
            n=figures.number(held.users),
        )
    )
