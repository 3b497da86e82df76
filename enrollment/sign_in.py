# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Into the panel and out of it: sign-in by a key, the first owner, step-up, sign-out."""

from __future__ import annotations

import contextlib
import secrets

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from provisioning import audit
from provisioning.audit import Event
from provisioning.ceremonies import ceremony
from provisioning.errors import CeremonyRefused, InvalidValue, Unauthenticated
from provisioning.models import PanelAccount
from provisioning.panel import access, owners, panel_keys, sign_in
from provisioning.panel.access import SessionKind
from provisioning.services import services
from provisioning.storage.db import transaction

from . import web
from .desks import station_choice
from .forms import OwnerForm
from .web import panel_page, panel_session

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
def page() -> ResponseReturnValue:
    """Show the one way in: a key."""
    target = web.safe_next("/")
    return render_template(
        "panel/sign_in.html",
        options_url=url_for(".sign_in_options"),
        finish_url=url_for(".sign_in_finish", next=target),
        none_yet=not access.has_owner(),
        me_url="/me",
    )


@blueprint.post("/sign-in/options")
def sign_in_options() -> ResponseReturnValue:
    """Ask any of the panel's keys; the question is bound to this browser."""
    return ask_any_key(sign_in.PANEL)


@blueprint.post("/sign-in/finish")
def sign_in_finish() -> ResponseReturnValue:
    """Open a session, with a new id, for the account whose key answered."""
    binding = web.browser_binding(request.cookies.get(web.WAIT_COOKIE, ""))
    account = _account_that_answers(sign_in.PANEL, binding)
    response = jsonify(location=web.safe_next("/"))
    _open_session(response, account)
    return response


@blueprint.get("/step-up")
@panel_page()
def step_up() -> ResponseReturnValue:
    """Ask for the key once more."""
    back = web.safe_next("/")
    demo = services().settings.demo
    readers = station_choice.offered(web.panel_account().user)
    return render_template(
        "panel/step_up.html",
        reason=None,
        options_url=url_for(".step_up_options"),
        finish_url=url_for(".step_up_finish", next=back),
        back_url=back,
        desk_url=url_for("at_reader.choose", next=back) if readers else None,
        demo_url=url_for("at_reader.ask", next=back) if demo else None,
    )


@blueprint.post("/step-up/options")
@panel_page()
def step_up_options() -> ResponseReturnValue:
    """Ask the keys of this account."""
    session = panel_session()
    with transaction():
        text = ceremony.authentication_options(
            sign_in.party(services()),
            purpose=sign_in.STEP_UP,
            binding=web.session_binding(session),
            allow=sign_in.panel_keys(web.panel_account()),
        )
    return Response(text, mimetype="application/json")


@blueprint.post("/step-up/finish")
@panel_page()
def step_up_finish() -> ResponseReturnValue:
    """Note that the key was used again; the session gets a new id."""
    session = panel_session()
    account = _account_that_answers(sign_in.STEP_UP, web.session_binding(session))
    if account != web.panel_account():
        raise CeremonyRefused("This is not your key.", "foreign_credential")
    response = jsonify(location=web.safe_next("/"))
    with transaction():
        access.stepped_up(session)
        secret = access.renew(session)
    web.set_cookie(response, web.COOKIE[SessionKind.PANEL], secret)
    return response


@blueprint.get("/owner")
def owner() -> ResponseReturnValue:
    """Show the form; the link's token is in the fragment, so nothing is known of it here."""
    demo = services().settings.demo
    return render_template(
        "panel/owner.html",
        form=None if demo else OwnerForm(),
        options_url=url_for(".owner_options"),
        finish_url=url_for(".owner_finish"),
        demo_url=url_for(".owner_demo") if demo else None,
    )


@blueprint.get("/join")
def join() -> ResponseReturnValue:
    """Show an invited admin, or one who lost all keys, how to register a key."""
    demo = services().settings.demo
    return render_template(
        "panel/owner.html",
        form=None,
        joining=True,
        options_url=url_for(".owner_options"),
        finish_url=url_for(".owner_finish"),
        demo_url=url_for(".owner_demo") if demo else None,
    )


@blueprint.post("/owner/options")
def owner_options() -> ResponseReturnValue:
    """Ask for the new owner's key; the link stays unused."""
    link = access.find_owner_link(_told("token"))
    name = " ".join(_told("name").split())
    if link.account is None and not name:
        raise InvalidValue("Type your name first.", "name")
    with transaction():
        text = owners.options(link, name, services())
    return Response(text, mimetype="application/json")


@blueprint.post("/owner/finish")
def owner_finish() -> ResponseReturnValue:
    """Use the link up: account, key and session at once."""
    link = access.find_owner_link(_told("token"))
    with transaction():
        taken = ceremony.take_challenge(panel_keys.PURPOSE, owners.binding_of(link))
    with transaction():
        account = owners.become(
            link,
            web.json_body().get("credential"),
            taken,
            name=_told("name"),
            email=_told("email"),
            services=services(),
        )
    response = jsonify(location=url_for("home"))
    _open_session(response, account, stepped_up=True)
    return response


@blueprint.post("/owner/demo")
def owner_demo() -> ResponseReturnValue:
    """Demonstration only: the printed link opens the owner's session."""
    link = access.find_owner_link(request.form.get("token", ""))
    with transaction():
        account = owners.open_demo(link, services())
    response = redirect(url_for("home"))
    _open_session(response, account)
    return response


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session and have the browser forget what it showed."""
    response = redirect(url_for(".page"))
    try:
        session = web.session_of(SessionKind.PANEL)
    except Unauthenticated:
        return response
    with transaction():
        access.end_session(session)
        audit.record(access.actor_of(session), Event.ACCOUNT_SIGNED_OUT)
    web.drop_cookie(response, web.COOKIE[SessionKind.PANEL])
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def ask_any_key(purpose: str) -> Response:
    """Ask whichever key answers; the question waits for this browser alone, by a cookie."""
    waiting = request.cookies.get(web.WAIT_COOKIE) or secrets.token_urlsafe(32)
    with transaction():
        text = ceremony.authentication_options(
            sign_in.party(services()),
            purpose=purpose,
            binding=web.browser_binding(waiting),
            allow=None,
        )
    response = Response(text, mimetype="application/json")
    web.set_cookie(response, web.WAIT_COOKIE, waiting)
    return response


def _account_that_answers(purpose: str, binding: str) -> PanelAccount:
    """Return the account that answers this browser's question, which is dead after this try."""
    response = web.json_body().get("credential")
    with transaction():
        taken = ceremony.take_challenge(purpose, binding)
    try:
        with transaction():
            return sign_in.account_by(response, taken, services())
    except CeremonyRefused as refused:
        with transaction():
            audit.record(audit.SYSTEM, Event.SIGN_IN_REFUSED, reason=refused.reason, door="panel")
            if refused.reason == "sign_count_regressed":
                sign_in.lock_regressed(response, audit.SYSTEM)
        raise


def _open_session(
    response: AnyResponse, account: PanelAccount, *, stepped_up: bool = False
) -> None:
    with transaction():
        with contextlib.suppress(Unauthenticated):
            access.end_session(web.session_of(SessionKind.PANEL, quiet=True))
        session, secret = access.open_session(SessionKind.PANEL, account=account)
        audit.record(access.actor_of(session), Event.ACCOUNT_SIGNED_IN)
        if stepped_up:
            access.stepped_up(session)
    web.set_cookie(response, web.COOKIE[SessionKind.PANEL], secret)
    web.drop_cookie(response, web.WAIT_COOKIE)


def _told(name: str) -> str:
    value = web.json_body().get(name)
    return value if isinstance(value, str) else ""
