# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Add a spare key, and choose a language: what a person may settle on their own page."""

from __future__ import annotations

import contextlib

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import RadioField
from wtforms.validators import InputRequired

from provisioning.errors import Forbidden, InvalidValue, KeywrightError, Taken, Unauthenticated
from provisioning.issuing import activations, spare_keys
from provisioning.lifecycle import KeyKind
from provisioning.mails import languages
from provisioning.models import User
from provisioning.panel import access
from provisioning.panel.access import SessionKind
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..forms import Form, _text, kinds
from . import home

blueprint = Blueprint("me_spare", __name__, url_prefix="/me")
blueprint.register_error_handler(Unauthenticated, home.away)


class SpareForm(Form):
    """Which kind, and what it is called."""

    kind = RadioField(_l("Kind of key"), choices=kinds)
    name = _text(_l("Name"), 64, InputRequired())


@blueprint.get("/keys/add")
def page() -> ResponseReturnValue:
    """Show what may be added."""
    _session, user = home.signed_in()
    offered = _offered(user)
    form = SpareForm(formdata=None, kind=next(iter(offered)), name="")
    return _page(user, form, offered)


@blueprint.post("/keys/add")
def add() -> ResponseReturnValue:
    """Make the key and go straight to its activation; the link is mailed besides."""
    session, user = home.signed_in()
    offered = _offered(user)
    form = SpareForm()
    form.kind.choices = list(offered.items())
    if not form.validate():
        return _page(user, form, offered)
    try:
        with transaction():
            actor = access.actor_of(session)
            kind = KeyKind(form.kind.data)
            key, activation = spare_keys.add(user, kind, form.name.data or "", actor, services())
            with contextlib.suppress(Unauthenticated):
                access.end_session(web.session_of(SessionKind.ACTIVATION, quiet=True))
            activations.opened(activation, actor)
            _opened, secret = access.open_session(
                SessionKind.ACTIVATION, user=user, key=key, activation=activation
            )
    except (InvalidValue, Taken) as error:
        form.blame(error, "name")
        return _page(user, form, offered)
    except KeywrightError as refused:
        flash(str(refused), "error")
        return redirect(url_for("me.page"), 303)
    flash(_("The link to go on later is in your mail, too."), "info")
    response = redirect(url_for("activation.choose"), 303)
    web.set_cookie(response, web.COOKIE[SessionKind.ACTIVATION], secret)
    return response


@blueprint.post("/language")
def language() -> ResponseReturnValue:
    """Take a person's language; it holds for their pages and mails."""
    _session, user = home.signed_in()
    try:
        with transaction():
            languages.choose(user, request.form.get("language", ""))
    except InvalidValue as error:
        flash(str(error), "error")
    return redirect(url_for("me.page"), 303)


def _offered(user: User) -> dict[str, str]:
    allowed = spare_keys.kinds_for(user, services())
    if not allowed:
        raise Forbidden(_("Your organisation gives keys out itself. Ask your admin for a spare."))
    return {kind.value: kinds()[kind.value] for kind in allowed}


def _page(user: User, form: SpareForm, offered: dict[str, str]) -> ResponseReturnValue:
    form.kind.choices = list(offered.items())
    return render_template(
        "activation/spare.html",
        me=home.shown(user),
        form=form,
        back_url=url_for("me.page"),
    )
