# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How to connect a directory, vendor by vendor, with this connection's address filled in."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.errors import NotFound
from provisioning.models import Connection, Token
from provisioning.panel.access import Role
from provisioning.upstream import connections, tokens

from .. import web
from ..web import panel_page
from .guides import GUIDES, Guide
from .page import base_url, head
from .words import profile_words

blueprint = Blueprint("directory_guide", __name__, url_prefix="/directories")


@blueprint.get("/<int:connection_id>/guide")
@panel_page()
def guide(connection_id: int) -> ResponseReturnValue:
    """Show the guide that fits the connection best."""
    connection = connections.get(connection_id)
    return _page(connection, _likely(connection))


@blueprint.get("/<int:connection_id>/guide/<slug>")
@panel_page()
def of_vendor(connection_id: int, slug: str) -> ResponseReturnValue:
    """Show one vendor's guide."""
    found = next((each for each in GUIDES if each.slug == slug), None)
    if found is None:
        raise NotFound(_("There is no such guide."))
    return _page(connections.get(connection_id), found)


def _likely(connection: Connection) -> Guide:
    """Guess the vendor by the connection's profile, else by its name."""
    name = connection.name.lower()
    by_profile = (each for each in GUIDES if each.slug == connection.profile)
    by_name = (
        each
        for each in GUIDES
        if each.slug in name or any(word in name for word in each.name.lower().split()[:1])
    )
    return next(by_profile, None) or next(by_name, GUIDES[0])


def _page(connection: Connection, shown: Guide) -> ResponseReturnValue:
    fits = connection.profile in (shown.profile, "tolerant")
    newest = tokens.living(connection).order_by(Token.id.desc()).first()
    return render_template(
        "panel/directory/guide.html",
        **head(connection, "guide"),
        guide=shown,
        vendors=[
            {
                "name": each.name,
                "url": url_for(
                    "directory_guide.of_vendor", connection_id=connection.id, slug=each.slug
                ),
                "current": each is shown,
            }
            for each in GUIDES
        ],
        base_url=base_url(),
        token=f"{tokens.PREFIX}_{newest.public_id}" if newest is not None else None,
        token_ends_at=newest.expires_at if newest is not None else None,
        overview_url=url_for("directory_page.page", connection_id=connection.id),
        other_profile=None
        if fits
        else {
            "now": profile_words(connection.profile),
            "wanted": profile_words(shown.profile),
            "url": url_for("directory_settings.settings", connection_id=connection.id)
            if web.may(Role.OWNER)
            else None,
        },
        test_url=url_for("directory_trial.test", connection_id=connection.id)
        if web.may(Role.OPERATOR)
        else None,
        requests_url=url_for("directory_page.requests", connection_id=connection.id),
        openapi_url=f"{base_url()}/openapi.yaml",
    )
