# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Activate now as an admin, without a reader: a key in the hand, at this browser.

For USB security keys and passkeys; from a user's page (the key waits for its activation) and from
the wizard (the key is a draft until Confirm).
"""

from __future__ import annotations

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import audit, keys
from provisioning.audit import Event
from provisioning.ceremonies import ceremony
from provisioning.errors import CeremonyRefused, NotFound, StepUpNeeded, WrongState
from provisioning.issuing import assignment, group_policies
from provisioning.issuing.policy import Method
from provisioning.lifecycle import KeyKind, KeyState
from provisioning.models import SecurityKey, User, WizardDraft
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..web import panel_page
from ..wizard import confirm as wizard_confirm
from ..wizard import drafts
from ..wizard import forms as wizard_forms
from ..wizard import view as wizard_view
from ..wizard.drafts import Plan, Step
from . import browser_ceremony

PURPOSE = "assign"

blueprint = Blueprint("key_browser", __name__)


@blueprint.get("/keys/<key_id>/browser")
@panel_page(Role.OPERATOR)
def page(key_id: str) -> ResponseReturnValue:
    """Show the one button for a key that waits."""
    key, user = _waiting(key_id)
    web.check_may_activate(user)
    try:
        access.require_step_up(web.panel_session())
    except StepUpNeeded:
        return redirect(url_for("sign_in.step_up", next=request.path))
    return render_template(
        "panel/key_browser.html",
        key={"name": key.name, "kind": key.kind},
        person=user.display_name,
        options_url=url_for(".options", key_id=key_id),
        finish_url=url_for(".finish", key_id=key_id),
        back={
            "label": user.display_name,
            "url": url_for("users.user", user_id=user.resource_id),
        },
    )


@blueprint.post("/keys/<key_id>/browser/options")
@panel_page(Role.OPERATOR, step_up=True)
def options(key_id: str) -> ResponseReturnValue:
    """Ask this browser for a new credential."""
    with transaction():
        key, user = _waiting(key_id)
        web.check_may_activate(user)
        return browser_ceremony.options(
            key,
            purpose=PURPOSE,
            binding=web.session_binding(web.panel_session()),
            user_name=user.user_name,
            display_name=user.display_name,
        )


@blueprint.post("/keys/<key_id>/browser/finish")
@panel_page(Role.OPERATOR, step_up=True)
def finish(key_id: str) -> ResponseReturnValue:
    """Check the credential, and let the key work, all at once."""
    key, user = _waiting(key_id)
    web.check_may_activate(user)
    _register(key, lambda fresh: assignment.complete_in_person(fresh, services(), web.actor()))
    return jsonify(location=url_for("users.user", user_id=user.resource_id))


@blueprint.post("/users/new/<draft_id>/browser/options")
@panel_page(Role.OPERATOR, step_up=True)
def draft_options(draft_id: str) -> ResponseReturnValue:
    """Keep the wizard's answers, and ask this browser for a new credential."""
    body = {name: str(value) for name, value in web.json_body().items()}
    with transaction():
        row = _open(draft_id)
        typed = drafts.read(row)
        drafts.take_key(row, typed, body)
        form = wizard_forms.key_form(row, typed, services(), check=True)
        sentences = [str(one) for errors in form.errors.values() for one in errors]
        if sentences:
            raise WrongState(" ".join(sentences))
        if drafts.plan(typed) is not Plan.TAPPED or form.kind.data == KeyKind.CONTACTLESS_CARD:
            raise WrongState(_("This key does not wait for an activation in a browser."))
        kind, name = KeyKind(form.kind.data), drafts.key_name(row, typed)
        if row.key is not None and row.key.kind != kind:
            wizard_confirm.drop_card(row, web.actor())
        if row.key is None:
            row.key = keys.draft(kind, name, Method.ADMIN, user=row.user, actor=web.actor())
        drafts.save(row, typed)
        policy = drafts.ruling(row, typed, services()).policy
        group_policies.check(policy, kind, Method.ADMIN, web.actor())
        person = drafts.person_name(row, typed) or name
        return browser_ceremony.options(
            row.key,
            purpose=PURPOSE,
            binding=web.session_binding(web.panel_session()),
            user_name=row.user.user_name if row.user is not None else person,
            display_name=person,
        )


@blueprint.post("/users/new/<draft_id>/browser/finish")
@panel_page(Role.OPERATOR, step_up=True)
def draft_finish(draft_id: str) -> ResponseReturnValue:
    """Store the credential with the draft; Confirm makes it count."""
    row = _open(draft_id)
    if row.key is None or row.key.state != KeyState.DRAFT:
        raise WrongState(_("This wizard waits for no key any more."))
    _register(row.key)
    return jsonify(location=wizard_view.step_url(row, Step.SECURITY_KEY))


def _register(key: SecurityKey, then: object = None) -> None:
    response = web.json_body().get("credential")
    with transaction():
        taken = ceremony.take_challenge(
            PURPOSE, web.session_binding(web.panel_session()), user=key.user, key=key
        )
    try:
        with transaction():
            fresh = keys.get_key(key.resource_id)
            verified = browser_ceremony.verify(fresh, response, taken)
            keys.register(fresh, verified, services().settings.rp_id, web.actor())
            if callable(then):
                then(fresh)
    except CeremonyRefused as refused:
        with transaction():
            audit.record(
                web.actor(), Event.KEY_REFUSED, user=key.user, key=key, reason=refused.reason
            )
        raise


def _waiting(key_id: str) -> tuple[SecurityKey, User]:
    key = keys.get_key(key_id)
    if key.user is None:
        raise NotFound(_("There is no such key."))
    if key.state != KeyState.PENDING or key.kind == KeyKind.CONTACTLESS_CARD:
        raise WrongState(_("This key does not wait for an activation in a browser."))
    return key, key.user


def _open(draft_id: str) -> WizardDraft:
    row = drafts.load(draft_id, web.panel_account())
    if row.state != "open":
        raise WrongState(_("This wizard is finished already."))
    web.check_may_activate(row.user)
    return row
