# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Activation straight in the browser, by WebAuthn: the browser's own dialog asks for the PIN.

The same key and the same checks as at a reader; no PIN of the server's, so none is mailed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from flask import Blueprint, Response, jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from provisioning import activations, assignment, attestation, audit, ceremony, keys, sign_in
from provisioning.audit import Event
from provisioning.db import transaction
from provisioning.errors import CeremonyRefused
from provisioning.lifecycle import KeyKind
from provisioning.services import services
from provisioning.settings import AttestationRule

from . import visit, web
from .visit import Visit

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
        text = ceremony.registration_options(
            sign_in.party(services()),
            purpose=PURPOSE,
            binding=web.session_binding(here.session),
            user_handle=bytes(here.key.user_handle),
            user_name=here.user.user_name,
            display_name=here.user.display_name or here.user.user_name,
            exclude=keys.credential_ids(here.user),
            attachment=_attachment(KeyKind(here.key.kind)),
            attestation=_conveyance(),
            user=here.user,
            key=here.key,
        )
    return Response(text, mimetype="application/json")


@blueprint.post("/finish")
def finish() -> ResponseReturnValue:
    """Check the credential; store it, use the link up and make the key active, all at once."""
    response = web.json_body().get("credential")
    with transaction():
        here = visit.inside()
        taken = ceremony.take_challenge(
            PURPOSE, web.session_binding(here.session), user=here.user, key=here.key
        )
    try:
        with transaction():
            here = visit.inside()
            verified = ceremony.verify_registration(
                response, taken, policy=_policy(here), party=sign_in.party(services())
            )
            keys.register(here.key, verified, services().settings.rp_id, here.actor)
            assignment.complete_in_browser(here.key, here.activation, services(), here.actor)
    except CeremonyRefused as refused:
        with transaction():
            audit.record(
                here.actor, Event.KEY_REFUSED, user=here.user, key=here.key, reason=refused.reason
            )
        raise
    return jsonify(location=url_for("activation.done"))


def _policy(here: Visit) -> attestation.Policy:
    policy = attestation.load_policy(services().settings)
    # What a phone calls a passkey may live in more than one device: the admin chose that kind.
    passkey = here.key.kind == KeyKind.PASSKEY
    return replace(policy, device_bound=policy.device_bound and not passkey)


def _attachment(kind: KeyKind) -> Literal["cross-platform"] | None:
    # A passkey may be on this device or on a phone beside it: the browser asks which.
    return None if kind is KeyKind.PASSKEY else "cross-platform"


def _conveyance() -> Literal["direct", "none"]:
    required = services().settings.attestation is AttestationRule.REQUIRED
    return "direct" if required else "none"
