# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Stations: the desks with a reader, their live state, renaming, revoking."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from flask import (
    Blueprint,
    flash,
    redirect,
    render_template,
    render_template_string,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import directory
from provisioning.desks import stations
from provisioning.errors import InvalidValue
from provisioning.models import Station
from provisioning.panel.access import Role
from provisioning.storage.db import transaction

from .. import kept, web
from ..forms import NameForm
from ..keys.items import Action, Ask
from ..web import panel_page
from . import station_choice

blueprint = Blueprint("stations", __name__, url_prefix="/stations")

_STATE = '{% from "macros.html" import station_state %}{{ station_state(word) }}'


@blueprint.get("", endpoint="stations")
@panel_page()
def all_stations() -> ResponseReturnValue:
    """Show every station with its live state."""
    return render_template(
        "panel/stations.html",
        rows=[_row(station) for station in stations.all_living()],
        pair_url=url_for("pairing.page") if web.may(Role.OPERATOR) else None,
    )


@blueprint.get("/state")
@panel_page(quiet=True)
def state_of_choice() -> ResponseReturnValue:
    """Answer the live state of the reader that a form has chosen."""
    user_id = request.args.get("user_id")
    user = directory.get_user(user_id) if user_id else web.panel_account().user
    return render_template(
        "panel/wizard/_station_state.html",
        station_state=station_choice.state(request.args.get("station"), user),
        station_url=url_for(".state_of_choice", user_id=user_id),
    )


@blueprint.get("/<station_id>/state")
@panel_page(quiet=True)
def state(station_id: str) -> ResponseReturnValue:
    """Answer one station's live state for the list."""
    shown = station_choice.shown(stations.living(station_id))
    return render_template_string(_STATE, word=shown["state"])


@blueprint.route("/<station_id>/rename", methods=["GET", "POST"])
@panel_page(Role.OPERATOR)
def rename(station_id: str) -> ResponseReturnValue:
    """Give a station another name."""
    station = stations.living(station_id)
    form = NameForm(kept.form_data(), name=station.name, before=station.name)
    if form.validate_on_submit() and form.is_fresh(form.name, station.name):
        try:
            with transaction():
                stations.rename(station, form.name.data or "", web.actor())
            return redirect(url_for(".stations"))
        except InvalidValue as error:
            form.blame(error, "name")
    return render_template(
        "panel/name.html",
        title=_("Rename station"),
        lead=None,
        form=form,
        save_label=_("Rename"),
        back={"label": _("Stations"), "url": url_for(".stations")},
    )


@blueprint.post("/<station_id>/revoke")
@panel_page(Role.OFFICER)
def revoke(station_id: str) -> ResponseReturnValue:
    """End a station at once."""
    station = stations.living(station_id)
    with transaction():
        stations.revoke(station, web.actor())
    flash(_("%(name)s is revoked; its next request is refused.", name=station.name), "success")
    return redirect(url_for(".stations"))


def _row(station: Station) -> dict[str, object]:
    given: dict[str, Any] = {"station_id": station.resource_id}
    actions: list[Action] = []
    if web.may(Role.OPERATOR):
        actions.append(Action(_("Rename"), url_for(".rename", **given), "pencil", link=True))
    if web.may(Role.OFFICER):
        ask = Ask(
            _("Revoke %(name)s?", name=station.name),
            [
                _("Its next request is refused; a job that runs there stops."),
                _("To use the reader again, pair it anew."),
            ],
            _("Revoke station"),
        )
        actions.append(
            Action(_("Revoke"), url_for(".revoke", **given), "ban", "danger-quiet", ask=ask)
        )
    name = station.name
    if station.user is not None:
        name = _("%(station)s (of %(person)s)", station=name, person=station.user.display_name)
    return {
        "name": name,
        **station_choice.shown(station),
        "state_url": url_for(".state", **given),
        "readers": _readers(station),
        "clock": _clock(station),
        "version": station.version,
        "outdated": bool(station.version) and station.version != metadata.version("keywright"),
        "actions": actions,
    }


def _readers(station: Station) -> list[dict[str, str]]:
    """Return the readers of a desk that has several; one is in its row already."""
    readers = stations.readers_of(station)
    if len(readers) < 2:
        return []
    states = {"no_card": _("no card"), "card": _("a card lies there"), "busy": _("in use")}
    return [{"name": one["name"], "state": states.get(one["state"], "")} for one in readers]


def _clock(station: Station) -> str:
    """Say how wrong the desk's clock is, if it is; its requests are taken all the same."""
    offset = station.clock_offset
    if abs(offset) <= stations.SKEW_TOLD:
        return ""
    told = {"seconds": abs(offset)}
    if offset > 0:
        return str(_("Its clock is %(seconds)s seconds slow", **told))
    return str(_("Its clock is %(seconds)s seconds fast", **told))
