# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A reader of one's own: the driver for a user at home, paired for that person alone."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.clock import SECOND, now_ms
from provisioning.desks import stations
from provisioning.errors import NotFound
from provisioning.models import PairingCode
from provisioning.services import services
from provisioning.storage.db import transaction

from ..desks import driver, station_choice
from . import visit

blueprint = Blueprint("activation_driver", __name__, url_prefix="/activate/driver")
visit.guard(blueprint)


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Show how to install the driver; the code is asked for when it is needed."""
    visit.inside()
    return _page(None, None)


@blueprint.post("")
def new_code() -> ResponseReturnValue:
    """Make a code for this person's own station, and show it this once."""
    with transaction():
        here = visit.inside()
        row, code = stations.make_code(services().vault, here.actor, here.user)
    return _page(row, code)


@blueprint.get("/<int:code_id>")
def paired(code_id: int) -> ResponseReturnValue:
    """Say whether the station is there: 204 while nothing has changed."""
    here = visit.current(quiet=True)
    row = PairingCode.get_or_none(PairingCode.id == code_id, PairingCode.user == here.user)
    if row is None:
        raise NotFound("There is no such code.")
    pairing = _pairing(row)
    if pairing["state"] == "waiting":
        return Response(status=204)
    answer = Response(render_template("_pairing.html", pairing=pairing))
    if row.station is not None:
        station_choice.remember(answer, row.station)
    return answer


def _page(row: PairingCode | None, code: str | None) -> str:
    return render_template(
        "activation/driver.html",
        **driver.shown(code),
        code=f"{code[:4]} {code[4:]}" if code else None,
        code_seconds=stations.CODE_LIFETIME // SECOND if code else None,
        code_total=stations.CODE_LIFETIME // SECOND,
        new_code_url=url_for(".new_code"),
        pairing=_pairing(row) if row else {"state": "waiting", "poll_url": None, "next": None},
        back_url=url_for("activation_reader.page"),
    )


def _pairing(row: PairingCode) -> dict[str, object]:
    station = row.station
    if station is not None:
        return {
            "state": "paired",
            "name": station.name,
            "station_state": stations.shown_state(station),
            "reader": station.reader_name,
            "poll_url": None,
            "next": {"label": _("Use this reader"), "url": url_for("activation_reader.page")},
        }
    over = row.expires_at <= now_ms() or row.tries >= stations.CODE_TRIES
    return {
        "state": "expired" if over else "waiting",
        "poll_url": None if over else url_for(".paired", code_id=row.id),
        "next": None,
    }
