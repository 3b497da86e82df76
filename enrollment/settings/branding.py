# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Branding: name, contact, colour and logo, and the two files that pages load because of it."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import live_settings
from provisioning.errors import InvalidValue, NotFound
from provisioning.mails.mail import contact_words
from provisioning.models import Logo
from provisioning.pages import colours, pictures
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..web import panel_page
from . import shared
from .forms import BrandingForm
from .shared import OWNER, Page

FOR_EVER = "public, max-age=31536000, immutable"  # the address changes with the content

blueprint = Blueprint("settings_branding", __name__)

_PAGE = Page("settings_branding.page", "panel/settings/branding.html", BrandingForm)


def register(app: Flask) -> None:
    """Give templates the addresses of logo and colour."""
    app.jinja_env.globals.update(logo_url=logo_url, accent_url=accent_url)


def logo_url() -> str:
    """Return where the organisation's picture is, or ours."""
    digest = services().logo
    if digest:
        return url_for("settings_branding.logo", digest=digest)
    return url_for("static", filename="logo.svg")


def accent_url() -> str:
    """Return the stylesheet of the organisation's colour, or nothing for ours."""
    accent = services().settings.accent_colour
    return url_for("settings_branding.accent", colour=accent[1:]) if accent else ""


@blueprint.get("/settings/branding")
@panel_page()
def page() -> ResponseReturnValue:
    """Show the branding."""
    return shared.show(_PAGE, **_surroundings())


@blueprint.post("/settings/branding", endpoint="save")
@panel_page(OWNER)
def save() -> ResponseReturnValue:
    """Change name, contact and colour."""
    return shared.save(_PAGE, **_surroundings())


@blueprint.post("/settings/branding/logo", endpoint="upload")
@panel_page(OWNER)
def upload() -> ResponseReturnValue:
    """Take a picture."""
    file = request.files.get("logo")
    try:
        picture = pictures.check(file.stream.read(pictures.LARGEST + 1) if file else b"")
    except InvalidValue as error:
        more = {**_surroundings(), "logo_error": str(error)}
        return shared.show(_PAGE, **more)
    with transaction():
        live_settings.choose_logo(picture.media_type, picture.content, picture.digest, web.actor())
    return _changed(_("The logo is changed."))


@blueprint.post("/settings/branding/logo/remove")
@panel_page(OWNER)
def remove() -> ResponseReturnValue:
    """Show our picture again."""
    with transaction():
        live_settings.drop_logo(web.actor())
    return _changed(_("The logo is removed."))


@blueprint.get("/branding/logo/<digest>")
def logo(digest: str) -> ResponseReturnValue:
    """Serve the picture, which can do nothing even when it is opened by itself."""
    found = Logo.get_or_none(Logo.digest == digest)
    if found is None:
        raise NotFound(_("There is no such picture."))
    response = Response(bytes(found.content), mimetype=found.media_type)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = FOR_EVER
    return response


@blueprint.get("/branding/accent/<colour>.css")
def accent(colour: str) -> ResponseReturnValue:
    """Serve the colour that is chosen, and no other that somebody writes into the address."""
    if f"#{colour}" != services().settings.accent_colour:
        raise NotFound(_("There is no such colour."))
    response = Response(colours.style(f"#{colour}"), mimetype="text/css")
    response.headers["Cache-Control"] = FOR_EVER
    return response


def _surroundings() -> dict[str, object]:
    return {
        "logo_error": "",
        "contact": contact_words(services().settings.contact),
        "has_logo": bool(services().logo),
        "upload_url": url_for(".upload"),
        "remove_url": url_for(".remove"),
        "largest": pictures.LARGEST // 1024,
        "widest": pictures.WIDEST,
    }


def _changed(words: str) -> ResponseReturnValue:
    live_settings.refresh(current_app._get_current_object(), now=True)  # type: ignore[attr-defined]
    flash(words, "success")
    return redirect(url_for(".page"), 303)
