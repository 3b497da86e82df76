# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The mailed link: an inert page, Start, what is needed, and what comes after.

The token travels in the fragment and then in one POST. The link stays good until a key is active:
a mail scanner that opens the page, or even presses Start, takes nothing from its user (R12).
"""

from __future__ import annotations

import contextlib

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning.desks import jobs
from provisioning.desks.jobs import Op, PinMode
from provisioning.errors import Unauthenticated
from provisioning.issuing import activations, group_policies, link_codes
from provisioning.lifecycle import JobState, KeyKind, LinkState
from provisioning.models import Job, SecurityKey
from provisioning.panel import access
from provisioning.panel.access import SessionKind
from provisioning.services import services
from provisioning.settings import PinDelivery
from provisioning.storage.db import transaction

from .. import web
from ..desks import desk_job
from ..forms import kind_name
from . import visit
from .visit import Visit

blueprint = Blueprint("activation", __name__, url_prefix="/activate")
visit.guard(blueprint)

_PHONES = ("Android", "iPhone", "iPad", "Mobile")


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Show Start, the same for every link: GET knows nothing of it and changes nothing."""
    return render_template("activation/start.html", start_url=url_for(".start"))


@blueprint.post("/start")
def start() -> ResponseReturnValue:
    """Open a session by a live link, and its code where it asks for one. It stays as it is."""
    token = request.form.get("token", "").strip().rpartition("#")[2]
    activation = activations.find(token)
    typed = request.form.get("code", "")[:64]
    if link_codes.is_asked(activation):
        if not typed.strip():
            return _ask_code(token)
        with transaction():
            right = activations.takes_code(activation, typed, services())
        if not right:
            activations.find(token)  # the last wrong one has ended it
            return _ask_code(token, wrong=True), 403
    with transaction():
        with contextlib.suppress(Unauthenticated):
            access.end_session(web.session_of(SessionKind.ACTIVATION, quiet=True))
        activations.opened(activation)
        _session, secret = access.open_session(
            SessionKind.ACTIVATION,
            user=activation.user,
            key=activation.key,
            activation=activation,
        )
    response = redirect(url_for(".choose"), 303)
    web.set_cookie(response, web.COOKIE[SessionKind.ACTIVATION], secret)
    return response


def _ask_code(token: str, *, wrong: bool = False) -> str:
    return render_template(
        "activation/code.html", start_url=url_for(".start"), token=token, wrong=wrong
    )


@blueprint.post("/ask")
def ask() -> ResponseReturnValue:
    """Tell the admins that a new link is wanted; the answer is the same for a forged one."""
    token = request.form.get("token", "").strip().rpartition("#")[2]
    activation = activations.known(token) if token else None
    if activation is None and not token:
        with contextlib.suppress(Unauthenticated):
            activation = visit.current(quiet=True).activation
    if activation is not None and activations.state_of(activation) is not LinkState.LIVE:
        with transaction():
            activations.ask_again(activation, services())
    return visit.dead_page(asked=True, status=200)


@blueprint.get("/key")
def choose() -> ResponseReturnValue:
    """Say which organisation, which key and what is needed, and offer the ways."""
    here = visit.current()
    if here.is_finished:
        return redirect(url_for(".done"))
    activations.check_live(here.activation)
    kind = KeyKind(here.key.kind)
    readers = len(desk_job.listed(here.user))
    at_reader = kind is KeyKind.CONTACTLESS_CARD
    phone = any(word in request.user_agent.string for word in _PHONES)
    return render_template(
        "activation/choose.html",
        person=here.user.display_name or here.user.user_name,
        key={"name": here.key.name, "kind": kind, "kind_label": kind_name(kind)},
        needs=_needs(here),
        station_url=url_for("activation_reader.page") if at_reader else None,
        stations=readers,
        browser_url=url_for("activation_browser.page"),
        browser_hint=_browser_hint(kind, phone=phone),
        best="station" if at_reader and readers and not phone else "browser",
        driver_url=url_for("activation_driver.page") if at_reader else None,
        expires_at=here.activation.expires_at,
        steps=None,
    )


@blueprint.get("/done")
def done() -> ResponseReturnValue:
    """Say what comes next: change the PIN where the card insists on it, then try the key."""
    here = visit.current()
    if not here.is_finished:
        return redirect(url_for(".choose"))
    return render_template(
        "activation/done.html",
        key={"name": here.key.name, "kind": here.key.kind},
        pin_mail=_pin_address(here),
        change_pin=_change_pin(here.key),
        try_it={"url": url_for("me_sign_in.page")},
    )


def _needs(here: Visit) -> list[dict[str, object]]:
    policy = group_policies.of_user(here.user, services().settings).policy
    kind, length = KeyKind(here.key.kind), policy.pin_length
    own = ngettext(
        "A PIN of at least %(num)s digit, which you choose",
        "A PIN of at least %(num)s digits, which you choose",
        length,
    )
    two_minutes = {"text": _("About two minutes"), "icon": "clock"}
    if kind is KeyKind.CONTACTLESS_CARD:
        mailed = policy.pin_delivery is PinDelivery.MAIL
        pin = {"text": _("Your mailbox: the PIN comes there"), "icon": "mail"}
        return [
            {"text": _("The card"), "icon": "credit-card"},
            {"text": _("A card reader, or a phone that reads cards"), "icon": "nfc"},
            pin if mailed else {"text": own, "icon": "lock"},
        ]
    if kind is KeyKind.USB_KEY:
        return [
            {"text": _("The key, and a computer or phone that it fits"), "icon": "usb"},
            {"text": own, "icon": "lock"},
            two_minutes,
        ]
    return [
        {"text": _("The phone or computer that you will sign in with"), "icon": "smartphone"},
        {"text": _("Its screen lock: fingerprint, face or PIN"), "icon": "lock"},
        two_minutes,
    ]


def _browser_hint(kind: KeyKind, *, phone: bool) -> str | None:
    if kind is KeyKind.CONTACTLESS_CARD:
        if phone:
            return str(_("Your phone can read the card itself, if it has NFC."))
        if "Windows" in request.user_agent.string:
            return str(_("Windows reads the card itself, at a reader on this computer."))
        return None
    if kind is KeyKind.USB_KEY:
        return str(_("Plug the key in; your browser asks for the rest."))
    return str(_("Your browser asks this device, or a phone that you hold beside it."))


def _pin_address(here: Visit) -> str | None:
    """Return where the PIN went, as much of it as its owner needs to know the mailbox again."""
    job = jobs.of_key(here.key, Op.ENROL)
    policy = group_policies.of_user(here.user, services().settings).policy
    mailed = policy.pin_delivery is PinDelivery.MAIL
    if job is None or job.state != JobState.DONE or job.pin_mode != PinMode.SERVER or not mailed:
        return None
    name, _at, domain = str(here.user.email or "").rpartition("@")
    return f"{name[:1]}…@{domain}" if name else None


def _change_pin(key: SecurityKey) -> dict[str, object] | None:
    changed = (
        Job.select()
        .where(Job.key == key, Job.op == Op.CHANGE_PIN, Job.state == JobState.DONE)
        .exists()
    )
    if not key.pin_change_forced and not changed:
        return None
    return {"url": url_for("activation_reader.pin_page"), "done": not key.pin_change_forced}
