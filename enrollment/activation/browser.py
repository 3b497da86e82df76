# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Activation straight in the browser, by WebAuthn: the browser's own dialog asks for the PIN.

The same key and the same checks as at a reader; no PIN of the server's, so none is mailed.
"""

from __future__ import annotations

from flask import Blueprint, jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from provisioning import audit, keys
from provisioning.audit import Event
from provisioning.ceremonies import ceremony
from provisioning.errors import CeremonyRefused
from provisioning.issuing import activations, assignment
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..keys import browser_ceremony
from . import visit

PURPOSE = "activate"

blueprint = Blueprint("activation_browser", __name__, url_prefix="/activate/browser")
visit.guard(blueprint)


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Show the one button."""
    here = visit.current()
    if here.is_finished:
        return redirect(url_for("activation.done"))
    activations.check_live(here.activation)
    return render_template(
        "activation/browser.html",
        key={"name": here.key.name, "kind": here.key.kind},
        options_url=url_for(".options"),
        finish_url=url_for(".finish"),
        back_url=url_for("activation.choose"),
    )


@blueprint.post("/options")
def options() -> ResponseReturnValue:
    """Ask for a new credential, bound to this visit."""
    with transaction():
        here = visit.inside()
        return browser_ceremony.options(
            here.key,
            purpose=PURPOSE,
            binding=web.session_binding(here.session),
            user_name=here.user.user_name,
            display_name=here.user.display_name,
        )


@blueprint.post("/finish")
def finish() -> ResponseReturnValue:
    """Check the credential; store it, use the link up and make the key active, all at once."""
    with transaction():
        here = visit.inside()
        taken = ceremony.take_challenge(
            PURPOSE, web.session_binding(here.session), user=here.user, key=here.key
        )
    response = web.json_body().get("credential")
    try:
        with transaction():
            here = visit.inside()
            verified = browser_ceremony.verify(here.key, response, taken)
            keys.register(here.key, verified, services().settings.rp_id, here.actor)
            assignment.complete_in_browser(here.key, here.activation, services(), here.actor)
    except CeremonyRefused as refused:
        with transaction():
            audit.record(
                here.actor, Event.KEY_REFUSED, user=here.user, key=here.key, reason=refused.reason
            )
        raise
    return jsonify(location=url_for("activation.done"))
