# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""An admin's own keys: a second one, so that a lost key locks nobody out of the panel."""

from __future__ import annotations

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.ceremonies import ceremony
from provisioning.mails import languages
from provisioning.models import PanelAccount, PanelCredential
from provisioning.panel import access, panel_keys, sign_in
from provisioning.services import services
from provisioning.storage.db import transaction

from . import web
from .forms import NameForm
from .keys.items import Action, Ask
from .settings.forms import languages as language_names
from .web import panel_page, panel_session

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
@panel_page(step_up=True)
def page() -> ResponseReturnValue:
    """Show my keys and register another one."""
    mine = panel_keys.of_account(web.panel_account())
    return render_template(
        "panel/account.html",
        rows=[_row(key, len(mine) > 1) for key in mine],
        form=NameForm(name=request.args.get("name", "")),
        options_url=url_for(".options"),
        finish_url=url_for(".finish"),
        languages=_languages(web.panel_account()),
        language_url=url_for(".language"),
    )


@blueprint.post("/language")
@panel_page()
def language() -> ResponseReturnValue:
    """Take my language; it holds for the panel and for mails to me."""
    with transaction():
        languages.choose_for_account(web.panel_account(), request.form.get("language", ""))
    return redirect(url_for(".page"), 303)


@blueprint.post("/options")
@panel_page(step_up=True)
def options() -> ResponseReturnValue:
    """Ask for the new key."""
    account = web.panel_account()
    with transaction():
        text = panel_keys.options(
            web.session_binding(panel_session()),
            account.name,
            bytes(account.user_handle),
            sign_in.panel_keys(account),
            services(),
        )
    return Response(text, mimetype="application/json")


@blueprint.post("/finish")
@panel_page(step_up=True)
def finish() -> ResponseReturnValue:
    """Store the new key."""
    body = web.json_body()
    label = panel_keys.check_label(str(body.get("name") or ""))
    binding = web.session_binding(panel_session())
    with transaction():
        taken = ceremony.take_challenge(panel_keys.PURPOSE, binding)
    with transaction():
        verified = panel_keys.verify(body.get("credential"), taken, services())
        sign_in.add_panel_key(web.panel_account(), verified, label, services())
    flash(_("“%(name)s” opens the panel from now on.", name=label), "success")
    return jsonify(location=url_for(".page"))


@blueprint.post("/keys/<int:key_id>/remove")
@panel_page(step_up=True)
def remove(key_id: int) -> ResponseReturnValue:
    """Take one of my keys away; the last one stays."""
    with transaction():
        key = panel_keys.remove(web.panel_account(), key_id, web.actor())
        access.end_account_sessions(web.panel_account(), besides=panel_session())
    flash(_("“%(name)s” no longer opens the panel.", name=key.label), "success")
    return redirect(url_for(".page"))


def _languages(account: PanelAccount) -> list[dict[str, object]]:
    choices = {"": _("As the browser asks"), **language_names()}
    return [
        {"code": code, "label": label, "chosen": code == (account.language or "")}
        for code, label in choices.items()
    ]


def _row(key: PanelCredential, more: bool) -> dict[str, object]:
    ask = Ask(
        _("Remove “%(name)s”?", name=key.label),
        [_("It no longer opens the panel. To use it again, register it anew.")],
        _("Remove key"),
    )
    url = url_for(".remove", key_id=key.id)
    return {
        "name": key.label,
        "locked": key.locked_at is not None,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "remove": Action(_("Remove"), url, "trash-2", "danger-quiet", ask=ask) if more else None,
    }
