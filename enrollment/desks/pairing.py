# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Pairing a station: the driver, a code, and the moment when the station is there.

As a page of its own, and as a fold-out of the wizard, which keeps what was typed there.
"""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.clock import SECOND, now_ms
from provisioning.desks import stations
from provisioning.models import PairingCode
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..web import panel_page, safe_next
from . import driver, station_choice

blueprint = Blueprint("pairing", __name__, url_prefix="/stations/pair")


@blueprint.get("")
@panel_page(Role.OPERATOR)
def page() -> ResponseReturnValue:
    """Show how to install and pair; the code comes by the button."""
    return _page("panel/station_pair.html", None, "")


@blueprint.post("")
@panel_page(Role.OPERATOR)
def make_code() -> ResponseReturnValue:
    """Show a new pairing code, this once."""
    return _page("panel/station_pair.html", *_new_code())


@blueprint.get("/here")
@panel_page(Role.OPERATOR)
def here() -> ResponseReturnValue:
    """Answer the same as a fold-out of the page named by `next`."""
    return _page("panel/_pair_here.html", None, "")


@blueprint.post("/here")
@panel_page(Role.OPERATOR)
def make_code_here() -> ResponseReturnValue:
    """Answer the fold-out with a new code."""
    return _page("panel/_pair_here.html", *_new_code())


@blueprint.get("/<int:code_id>")
@panel_page(Role.OPERATOR, quiet=True)
def paired(code_id: int) -> ResponseReturnValue:
    """Say whether the code was used by now: 204 while nothing has changed."""
    row = PairingCode.get_or_none(PairingCode.id == code_id)
    shown = _pairing(row)
    if shown["state"] == "waiting":
        return Response(status=204)
    answer = Response(render_template("_pairing.html", pairing=shown))
    if row is not None and row.station is not None:
        station_choice.remember(answer, row.station)
    return answer


def _new_code() -> tuple[PairingCode, str]:
    with transaction():
        return stations.make_code(services().vault, web.actor())


def _page(template: str, row: PairingCode | None, code: str) -> ResponseReturnValue:
    left = max(0, row.expires_at - now_ms()) // SECOND if row is not None else None
    return render_template(
        template,
        **driver.shown(code or None),
        code=f"{code[:4]} {code[4:]}" if code else None,
        code_seconds=left,
        code_total=stations.CODE_LIFETIME // SECOND,
        new_code_url=url_for(".make_code"),
        new_code_here_url=url_for(".make_code_here", next=request.args.get("next")),
        pairing=_pairing(row),
        stations_url=url_for("stations.stations"),
    )


def _pairing(row: PairingCode | None) -> dict[str, object]:
    station = row.station if row is not None else None
    back = safe_next("")
    if station is not None:
        shown = station_choice.shown(station)
        label = _("Use this reader") if back else _("To the stations")
        return {
            "state": "paired",
            "name": station.name,
            "station_state": shown["state"],
            "reader": shown["reader"],
            "poll_url": None,
            "next": {"label": label, "url": back or url_for("stations.stations")},
        }
    if row is not None and (row.expires_at <= now_ms() or row.tries >= stations.CODE_TRIES):
        return {"state": "expired", "poll_url": None}
    poll = None
    if row is not None:
        poll = url_for(".paired", code_id=row.id, next=request.args.get("next"))
    return {"state": "waiting", "poll_url": poll}
