# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A user's own page: my keys, rename, report lost, change a PIN, what happened."""

from __future__ import annotations

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import audit, keys
from provisioning.audit import Event
from provisioning.ceremonies import attestation
from provisioning.desks import jobs, orders
from provisioning.desks.jobs import Op
from provisioning.errors import KeywrightError, NotFound, Unauthenticated
from provisioning.issuing import spare_keys
from provisioning.lifecycle import KeyKind, KeyState, Reason
from provisioning.mails import languages
from provisioning.models import AuditEvent, Job, SecurityKey, Session, User
from provisioning.pages import audit_list
from provisioning.pages.error_pages import wants_json
from provisioning.panel import access
from provisioning.panel.access import SessionKind
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import reasons, timeline, web
from ..activation import visit
from ..desks import desk_job, station_choice, tap
from ..keys.items import Action, Ask
from ..settings.forms import languages as language_names

SHOWN_EVENTS = 20

blueprint = Blueprint("me", __name__, url_prefix="/me")


@blueprint.errorhandler(Unauthenticated)
def away(error: Unauthenticated) -> ResponseReturnValue:
    """Lead whoever is signed out to the way in."""
    if wants_json():
        return jsonify(error=_("Please sign in again.")), 401
    return visit.move(url_for("me_sign_in.page"))


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Show the signed-in user's keys."""
    session, user = signed_in()
    readers = bool(station_choice.offered(user))
    return render_template(
        "activation/me.html",
        me=shown(user),
        keys=[_item(key, session, readers=readers) for key in keys.of_user(user)],
        spare_url=_spare_url(user),
        languages=_languages(user),
        language_url=url_for("me_spare.language"),
        tried="tried" in request.args,
        events=[timeline.moment(row) for row in _events(user)],
    )


@blueprint.post("/keys/<key_id>/rename")
def rename(key_id: str) -> ResponseReturnValue:
    """Give a key another name."""
    session, user = signed_in()
    key = _mine(key_id, user)
    try:
        with transaction():
            keys.rename(key, request.form.get("name", ""), access.actor_of(session))
    except KeywrightError as refused:
        flash(str(refused), "error")
    return redirect(url_for(".page"), 303)


@blueprint.post("/keys/<key_id>/lost")
def lost(key_id: str) -> ResponseReturnValue:
    """Suspend a key at once; whoever finds it can do nothing with it."""
    session, user = signed_in()
    with transaction():
        key = _mine(key_id, user)
        jobs.suspend_key(key, Reason.LOST, access.actor_of(session))
    flash(
        _(
            "“%(name)s” is suspended. Ask your admin for another key; if it turns up again, they "
            "can resume it.",
            name=key.name,
        ),
        "success",
    )
    return redirect(url_for(".page"), 303)


@blueprint.get("/keys/<key_id>/pin")
def pin_page(key_id: str) -> ResponseReturnValue:
    """Let the person choose a reader for the change of PIN; then show what happens there."""
    _session, user = signed_in()
    key = _mine(key_id, user)
    job = None if "choose" in request.args else _pin_job(key)
    return render_template(
        "activation/tap.html",
        me=shown(user),
        title=_("Change the PIN of “%(name)s”", name=key.name),
        lead=_("In the window at the reader you type the present PIN, then the new one."),
        live=desk_job.panel(job) if job is not None else None,
        stations=desk_job.listed(user),
        states_url=url_for("desk_job.readers"),
        start_url=url_for(".change_pin", key_id=key_id),
        start_label=_("Change the PIN at this reader"),
        back={"label": _("My security keys"), "url": url_for(".page")},
    )


@blueprint.post("/keys/<key_id>/pin")
def change_pin(key_id: str) -> ResponseReturnValue:
    """Queue the change of PIN at the chosen reader."""
    session, user = signed_in()
    key = _mine(key_id, user)
    here = url_for(".pin_page", key_id=key_id)
    try:
        station = station_choice.chosen(request.form.get("station", ""))
        with transaction():
            job = orders.queue_pin_change(station, key, access.actor_of(session))
    except KeywrightError as refused:
        flash(str(refused), "error")
        return redirect(f"{here}?choose=1", 303)
    return desk_job.begun(job, here)


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session and have the browser forget what it showed."""
    session, user = signed_in()
    with transaction():
        access.end_session(session)
        audit.record(access.actor_of(session), Event.USER_SIGNED_OUT, user=user)
    response = redirect(url_for("me_sign_in.page"), 303)
    web.drop_cookie(response, web.COOKIE[SessionKind.USER])
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def signed_in() -> tuple[Session, User]:
    """Return the session and its person; raises Unauthenticated."""
    session = web.session_of(SessionKind.USER)
    if session.user is None:
        raise Unauthenticated("Please sign in.")
    return session, session.user


def _spare_url(user: User) -> str | None:
    may = spare_keys.kinds_for(user, services()) and spare_keys.has_room(user)
    return url_for("me_spare.page") if may else None


def _languages(user: User) -> list[dict[str, object]]:
    chosen = languages.chosen_by(user) or ""
    choices = {"": _("As the browser asks"), **language_names()}
    return [
        {"code": code, "label": label, "chosen": code == chosen} for code, label in choices.items()
    ]


def _mine(key_id: str, user: User) -> SecurityKey:
    key = keys.get_key(key_id)
    if key.user != user or key.state == KeyState.DRAFT:
        raise NotFound("There is no such key.")
    return key


def _pin_job(key: SecurityKey) -> Job | None:
    job = jobs.of_key(key, Op.CHANGE_PIN)
    job = tap.current(job) if job is not None else None
    return job if job is not None and job.state in jobs.OPEN else None


def shown(user: User) -> dict[str, str]:
    """Return whose page this is."""
    return {
        "name": user.display_name or user.user_name,
        "sign_out_url": url_for("me.sign_out"),
    }


def _item(key: SecurityKey, session: Session, *, readers: bool) -> dict[str, object]:
    """Return a key for `panel/_key.html` with what its holder may do."""
    living = key.state in (KeyState.ACTIVE, KeyState.PENDING)
    return {
        "id": key.resource_id,
        "name": key.name,
        "kind": key.kind,
        "state": key.state,
        "model": key.model or attestation.model_name(key.aaguid or ""),
        "reason": reasons.of_key(key),
        "last_used_at": key.last_used_at,
        "rename_url": url_for(".rename", key_id=key.resource_id) if living else None,
        "actions": _actions(key, session, readers=readers),
    }


def _actions(key: SecurityKey, session: Session, *, readers: bool) -> list[Action]:
    actions = []
    if key.state == KeyState.ACTIVE and key.kind == KeyKind.CONTACTLESS_CARD and readers:
        url = url_for(".pin_page", key_id=key.resource_id)
        actions.append(Action(_("Change PIN"), url, "lock", link=True))
    if key.state in (KeyState.ACTIVE, KeyState.PENDING):
        sentences = [
            _("The key stops working at once, everywhere. Your admin can give you another one.")
        ]
        if key.id == session.key_id:
            sentences.append(_("You signed in with this key, so you are signed out as well."))
        ask = Ask(_("Report “%(name)s” as lost?", name=key.name), sentences, _("Suspend it now"))
        url = url_for(".lost", key_id=key.resource_id)
        actions.append(Action(_("Report lost"), url, "circle-pause", "danger-quiet", ask=ask))
    return actions


def _events(user: User) -> list[AuditEvent]:
    return list(
        AuditEvent.select()
        .where(
            audit_list.about([user.id]),
            AuditEvent.event.not_in([event.value for event in timeline.NOISE]),
        )
        .order_by(AuditEvent.id.desc())
        .limit(SHOWN_EVENTS)
    )
