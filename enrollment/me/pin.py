# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A new card's PIN, changed before the first sign-in: by whoever holds the card and knows it.

A card that insists on the change signs nobody in before, so this page asks for no sign-in; the
tap tells the server which key it is, and the PINs stay at the reader.
"""

from __future__ import annotations

import secrets

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import audit
from provisioning.desks import jobs, orders
from provisioning.desks.jobs import Op
from provisioning.errors import KeywrightError
from provisioning.models import Job
from provisioning.storage.db import transaction

from .. import web
from ..desks import desk_job, station_choice, tap

blueprint = Blueprint("me_pin", __name__, url_prefix="/me/change-pin")


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Let the person choose a reader; then show what happens there."""
    job = None if "choose" in request.args else _waiting()
    return render_template(
        "activation/tap.html",
        title=_("Change the PIN of a card"),
        lead=_(
            "Have the present PIN ready, for a new card the one from the mail. In the window at "
            "the reader you type it, then one of your own."
        ),
        live=desk_job.panel(job) if job is not None else None,
        stations=desk_job.listed(None),
        states_url=url_for("desk_job.readers"),
        start_url=url_for(".start"),
        start_label=_("Change the PIN at this reader"),
        back={"label": _("Sign in"), "url": url_for("me_sign_in.page", choose=1)},
    )


@blueprint.post("")
def start() -> ResponseReturnValue:
    """Queue the change of PIN at the chosen reader."""
    waiting = secrets.token_urlsafe(32)
    try:
        station = station_choice.chosen(request.form.get("station", ""))
        with transaction():
            job = orders.queue_pin_change_by_holder(
                station, audit.NOBODY, binding=web.browser_binding(waiting)
            )
    except KeywrightError as refused:
        flash(str(refused), "error")
        return redirect(url_for(".page", choose=1), 303)
    response = desk_job.begun(job, url_for(".page"))
    web.set_cookie(response, web.WAIT_COOKIE, waiting)
    return response


def _waiting() -> Job | None:
    waiting = request.cookies.get(web.WAIT_COOKIE)
    job = jobs.of_binding(web.browser_binding(waiting)) if waiting else None
    if job is None or job.op != Op.CHANGE_PIN:
        return None
    job = tap.current(job)
    return job if job.state in jobs.OPEN else None
