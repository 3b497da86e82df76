# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A user's sign-in with a key: in the browser, or at a reader that the browser cannot reach.

At a reader the page's cookie waits for one job; page and reader show the same short code, and the
page collects the answer by a post, once, soon.
"""

from __future__ import annotations

import contextlib
import secrets

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from provisioning import audit
from provisioning.audit import Event
from provisioning.ceremonies import ceremony
from provisioning.ceremonies.refusals import Refusal
from provisioning.clock import MINUTE, now_ms
from provisioning.desks import jobs, orders
from provisioning.desks.jobs import Op
from provisioning.errors import CeremonyRefused, KeywrightError, Unauthenticated
from provisioning.lifecycle import JobState, KeyState
from provisioning.models import Job, SecurityKey
from provisioning.panel import access, sign_in
from provisioning.panel.access import SessionKind
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..activation import visit
from ..desks import desk_job, station_choice, tap
from ..sign_in import ask_any_key

COLLECT_WITHIN = 2 * MINUTE
_COLLECTED = '{"collected": true}'
# What a person can mend; for all the rest one sentence is enough (R30).
_TOLD = (
    Refusal.NO_CHALLENGE,
    Refusal.CHALLENGE_EXPIRED,
    Refusal.USER_NOT_VERIFIED,
    Refusal.WRONG_ORIGIN,
)

blueprint = Blueprint("me_sign_in", __name__, url_prefix="/me/sign-in")


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Offer the two ways in, or show what is under way at a reader."""
    job = None if "choose" in request.args else _waiting()
    return render_template(
        "activation/sign_in.html",
        options_url=url_for(".options"),
        finish_url=url_for(".finish"),
        stations=(listed := desk_job.listed(None)),
        desk_url=url_for(".at_reader") if listed else None,
        live=desk_job.panel(job) if job is not None else None,
        change_pin_url=url_for("me_pin.page") if listed else None,
    )


@blueprint.post("/options")
def options() -> ResponseReturnValue:
    """Ask any user's key; the question is bound to this browser."""
    return ask_any_key(sign_in.USER)


@blueprint.post("/finish")
def finish() -> ResponseReturnValue:
    """Open a session for the user whose key answered in this browser."""
    answer = web.json_body().get("credential")
    binding = web.browser_binding(request.cookies.get(web.WAIT_COOKIE, ""))
    with transaction():
        taken = ceremony.take_challenge(sign_in.USER, binding)
    try:
        with transaction():
            key = sign_in.user_key_by(answer, taken, services())
    except CeremonyRefused as refused:
        with transaction():
            _note_refusal(refused.reason)
            if refused.reason == Refusal.SIGN_COUNT_REGRESSED:
                sign_in.lock_regressed(answer, audit.SYSTEM)
        told = str(refused) if refused.reason in _TOLD else _("This key does not sign in here.")
        return jsonify(error=told), 401
    response = jsonify(location=url_for("me.page", tried=1))
    _open_session(response, key)
    return response


@blueprint.post("/reader")
def at_reader() -> ResponseReturnValue:
    """Queue the sign-in at a reader, for this browser and a fresh cookie alone."""
    waiting = secrets.token_urlsafe(32)
    try:
        station = station_choice.chosen(request.form.get("station", ""))
        with transaction():
            job = orders.queue_assertion(
                station,
                audit.NOBODY,
                purpose=sign_in.USER,
                binding=web.browser_binding(waiting),
            )
    except KeywrightError as refused:
        flash(str(refused), "error")
        return redirect(url_for(".page", choose=1), 303)
    response = desk_job.begun(job, url_for(".page"))
    web.set_cookie(response, web.WAIT_COOKIE, waiting)
    return response


@blueprint.post("/collect")
def collect() -> ResponseReturnValue:
    """Open the session that the answer at the reader is good for: one, here, within two minutes."""
    job = _waiting()
    with transaction():
        key = _collected(job) if job is not None else None
        if key is None:
            _note_refusal("not_collectable")
    if key is None:
        flash(_("That sign-in was used already or took too long. Please sign in again."), "error")
        return visit.move(url_for(".page", choose=1))
    response = visit.move(url_for("me.page", tried=1))
    assert isinstance(response, AnyResponse)  # noqa: S101 - what `move` makes
    _open_session(response, key)
    return response


def _waiting() -> Job | None:
    """Return the sign-in at a reader that this browser waits for, or None."""
    waiting = request.cookies.get(web.WAIT_COOKIE)
    job = jobs.of_binding(web.browser_binding(waiting)) if waiting else None
    if job is None or job.op != Op.ASSERT or job.purpose != sign_in.USER:
        return None
    job = tap.current(job)
    shown = job.state in jobs.OPEN or (job.state == JobState.DONE and job.result != _COLLECTED)
    return job if shown else None


def _collected(job: Job) -> SecurityKey | None:
    """Take a finished sign-in's answer in the caller's transaction; None if it is none."""
    key = job.key
    if job.state != JobState.DONE or key is None or key.user is None:
        return None
    if now_ms() - (job.finished_at or 0) > COLLECT_WITHIN:
        return None
    if key.state != KeyState.ACTIVE or not key.user.active or key.user.deleted_at is not None:
        return None
    first = (
        Job.update(result=_COLLECTED).where(Job.id == job.id, Job.result != _COLLECTED).execute()
    )
    return key if first else None


def _open_session(response: AnyResponse, key: SecurityKey) -> None:
    with transaction():
        with contextlib.suppress(Unauthenticated):
            access.end_session(web.session_of(SessionKind.USER, quiet=True))
        _session, secret = access.open_session(SessionKind.USER, user=key.user, key=key)
    web.set_cookie(response, web.COOKIE[SessionKind.USER], secret)
    web.drop_cookie(response, web.WAIT_COOKIE)


def _note_refusal(reason: str) -> None:
    audit.record(audit.SYSTEM, Event.SIGN_IN_REFUSED, reason=reason, door="user")
