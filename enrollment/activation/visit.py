# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who came by a mailed link: the session that Start opened, and whether its link still counts."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.audit import Actor
from provisioning.errors import LinkDead, Unauthenticated
from provisioning.issuing import activations
from provisioning.lifecycle import KeyState, LinkState
from provisioning.models import Activation, SecurityKey, Session, User
from provisioning.pages.error_pages import wants_json
from provisioning.panel import access
from provisioning.panel.access import SessionKind

from .. import web


@dataclass(frozen=True)
class Visit:
    """One person's way through the activation of one key."""

    session: Session
    activation: Activation
    key: SecurityKey
    user: User

    @property
    def is_finished(self) -> bool:
        """Whether this link did what it was for."""
        return self.activation.state == LinkState.USED and self.key.state == KeyState.ACTIVE

    @property
    def actor(self) -> Actor:
        """The person, for the audit log."""
        return access.actor_of(self.session)


def current(*, quiet: bool = False) -> Visit:
    """Return this browser's visit, also when the key is active by now; raises Unauthenticated.

    `quiet` for what a page asks by itself.
    """
    session = web.session_of(SessionKind.ACTIVATION, quiet=quiet)
    activation = session.activation
    if activation is None:
        raise Unauthenticated("Please open your link again.")
    return Visit(session, activation, activation.key, activation.user)


def inside() -> Visit:
    """Return this browser's visit by a link that still waits; raises Unauthenticated, LinkDead."""
    here = current()
    activations.check_live(here.activation)
    return here


def guard(blueprint: Blueprint) -> None:
    """Give pages behind a link their answers to a dead link and to a session that is over."""
    blueprint.register_error_handler(LinkDead, _dead)
    blueprint.register_error_handler(Unauthenticated, _away)


def move(url: str) -> ResponseReturnValue:
    """Send the browser elsewhere, also out of a part that htmx asked for."""
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": url})
    return redirect(url, 303)


def dead_page(token: str = "", *, asked: bool = False, status: int = 410) -> ResponseReturnValue:
    """The one page for every link that no longer works, whatever became of it."""
    page = render_template(
        "activation/dead.html",
        asked=asked,
        ask_url=url_for("activation.ask"),
        token=token[:128],
        me_url=url_for("me_sign_in.page"),
    )
    return page, status


def _dead(error: LinkDead) -> ResponseReturnValue:
    if wants_json():
        return jsonify(error=_("This link no longer works. Open the newest one in your mail.")), 410
    if request.headers.get("HX-Request"):
        return move(url_for("activation.choose"))
    return dead_page(request.form.get("token", ""))


def _away(error: Unauthenticated) -> ResponseReturnValue:
    sentence = _("You were away for too long. Open the link in your mail once more.")
    if wants_json():
        return jsonify(error=sentence), 401
    flash(sentence, "info")
    return move(url_for("activation.page"))
