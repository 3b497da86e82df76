# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Settings: the list of pages, and those that are one form and nothing else."""

from __future__ import annotations

from flask import Blueprint, current_app, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning import live_settings
from provisioning.ceremonies import attestation
from provisioning.panel import accounts
from provisioning.settings import AttestationRule, PinDelivery, Settings

from ..web import panel_page
from . import shared
from .forms import LeaverForm, LinkForm, PinForm
from .shared import Page

LONGEST_LINK = 24 * 60  # minutes; more is a deviation (R11, NIST SP 800-63B-4 §4.1.2.2)

blueprint = Blueprint("settings", __name__, url_prefix="/settings")

_PIN = Page("settings.pin", "panel/settings/pin.html", PinForm)
_LINKS = Page("settings.links", "panel/settings/links.html", LinkForm)
_LEAVERS = Page("settings.leavers", "panel/settings/leavers.html", LeaverForm)


@blueprint.get("")
@panel_page()
def index() -> ResponseReturnValue:
    """Show what holds now, each with the page that changes it."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    settings = live_settings.refresh(app, now=True).settings
    return render_template("panel/settings/index.html", sections=_sections(settings))


@blueprint.get("/pin")
@panel_page()
def pin() -> ResponseReturnValue:
    """Show the PIN policy."""
    return shared.show(_PIN)


@blueprint.post("/pin", endpoint="save_pin")
@panel_page(shared.OWNER)
def save_pin() -> ResponseReturnValue:
    """Change the PIN policy."""
    return shared.save(_PIN)


@blueprint.get("/links")
@panel_page()
def links() -> ResponseReturnValue:
    """Show how long links live."""
    return shared.show(_LINKS, longest=LONGEST_LINK)


@blueprint.post("/links", endpoint="save_links")
@panel_page(shared.OWNER)
def save_links() -> ResponseReturnValue:
    """Change how long links live; those that are out keep their time."""
    return shared.save(_LINKS, longest=LONGEST_LINK)


@blueprint.get("/leavers")
@panel_page()
def leavers() -> ResponseReturnValue:
    """Show the grace time."""
    return shared.show(_LEAVERS)


@blueprint.post("/leavers", endpoint="save_leavers")
@panel_page(shared.OWNER)
def save_leavers() -> ResponseReturnValue:
    """Change the grace time, for those who have left already as well."""
    return shared.save(_LEAVERS)


def _sections(settings: Settings) -> list[dict[str, object]]:
    return [
        _section("settings.pin", _("PIN policy"), "lock", _pin_words(settings)),
        _section(
            "settings.links",
            _("Activation links"),
            "link",
            _("Work for %(time)s", time=_span(settings.link_lifetime_minutes)),
            _("Longer than 24 hours") if settings.link_lifetime_minutes > LONGEST_LINK else "",
        ),
        _section(
            "settings.leavers",
            _("Leavers"),
            "hourglass",
            _("Keys are revoked after %(time)s", time=_span(settings.leaver_grace_hours * 60)),
        ),
        _section("settings_models.page", _("Key models"), "shield-check", _model_words(settings)),
        _section("settings_mail.page", _("Mail"), "mail", settings.mail_server),
        _section("settings_branding.page", _("Branding"), "palette", settings.organisation),
        _section(
            "settings_accounts.page",
            _("Panel accounts"),
            "user-cog",
            ngettext("%(num)s account", "%(num)s accounts", accounts.count()),
        ),
    ]


def _section(
    endpoint: str, label: str, icon: str, words: str, warning: str = ""
) -> dict[str, object]:
    return {
        "label": label,
        "url": url_for(endpoint),
        "icon": icon,
        "words": words,
        "warning": warning,
    }


def _pin_words(settings: Settings) -> str:
    if settings.pin_delivery is PinDelivery.USER_SETS:
        return str(_("People choose their own at the reader"))
    mailed = settings.pin_delivery is PinDelivery.MAIL
    how = _("mailed") if mailed else _("shown once to the admin")
    return str(_("%(digits)s digits, %(how)s", digits=settings.pin_length, how=how))


def _model_words(settings: Settings) -> str:
    if settings.attestation is AttestationRule.NONE:
        return str(_("Keys need not prove their model"))
    if settings.allowed_models:
        count = len(settings.allowed_models)
        return str(ngettext("%(num)s model is allowed", "%(num)s models are allowed", count))
    known = len(attestation.load_policy(settings).roots)
    return str(ngettext("%(num)s model with a root", "%(num)s models with a root", known))


def _span(minutes: int) -> str:
    if minutes and minutes % (24 * 60) == 0 and minutes > 24 * 60:
        return str(ngettext("%(num)s day", "%(num)s days", minutes // (24 * 60)))
    if minutes % 60 == 0:
        return str(ngettext("%(num)s hour", "%(num)s hours", minutes // 60))
    return str(ngettext("%(num)s minute", "%(num)s minutes", minutes))
