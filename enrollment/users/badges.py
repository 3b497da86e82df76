# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A person's plain badges: shown apart from keys, and forgotten here."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import directory
from provisioning.issuing import badges
from provisioning.models import User
from provisioning.panel.access import Role
from provisioning.storage.db import transaction

from .. import web
from ..web import panel_page

blueprint = Blueprint("badges", __name__, url_prefix="/users/<user_id>/badges")


def shown(user: User) -> list[dict[str, object]]:
    """Return a person's badges for their page."""
    operator = web.may(Role.OPERATOR)
    return [
        {
            "technology": badge.technology,
            "at": badge.created_at,
            "remove_url": url_for(
                "badges.remove", user_id=user.resource_id, badge_id=badge.resource_id
            )
            if operator
            else None,
        }
        for badge in badges.of_user(user)
    ]


@blueprint.post("/<badge_id>/remove")
@panel_page(Role.OPERATOR)
def remove(user_id: str, badge_id: str) -> ResponseReturnValue:
    """Forget a badge."""
    user = directory.get_user(user_id)
    with transaction():
        badges.remove(badges.get(badge_id, user), web.actor())
    flash(_("The identifier is forgotten."), "success")
    return redirect(url_for("users.user", user_id=user_id))
