# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Mail: the server, a test that shows what it really says, and what the mails look like."""

from __future__ import annotations

import re

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _

from provisioning import audit
from provisioning.audit import Event
from provisioning.mails import mail, samples
from provisioning.mails.mail import MailPermanent, MailTemporary, Template
from provisioning.pages import headers
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..web import panel_page
from . import shared
from .forms import MailForm, MailTestForm, languages
from .shared import OWNER, Page

blueprint = Blueprint("settings_mail", __name__, url_prefix="/settings/mail")

_PAGE = Page("settings_mail.page", "panel/settings/mail.html", MailForm, step_up=True)


@blueprint.get("")
@panel_page()
def page() -> ResponseReturnValue:
    """Show the mail server."""
    return shared.show(_PAGE, **_surroundings())


@blueprint.post("", endpoint="save")
@panel_page(OWNER)
def save() -> ResponseReturnValue:
    """Change the mail server."""
    return shared.save(_PAGE, **_surroundings())


@blueprint.post("/test")
@panel_page(OWNER)
def test() -> ResponseReturnValue:
    """Send a test mail and tell what the mail server said, in its own words."""
    form = MailTestForm()
    if not form.validate():
        return shared.show(_PAGE, **_surroundings(form))
    first = shared.step_up_first(url_for(".page"))
    if first is not None:
        return first
    address = (form.address.data or "").strip()
    sent, said = _send_test(address)
    with transaction():
        audit.record(web.actor(), Event.MAIL_TESTED, address=address, result=said)
    if sent:
        words = _("The mail server took the test mail to %(address)s: %(said)s")
    else:
        words = _("The test mail to %(address)s did not leave: %(said)s")
    flash(words % {"address": address, "said": said}, "success" if sent else "error")
    return redirect(url_for(".page"), 303)


@blueprint.get("/templates")
@panel_page()
def templates() -> ResponseReturnValue:
    """Show every mail that there is."""
    rows = [
        {"name": words, "when": when, "url": url_for(".template", name=name)}
        for name, (words, when) in described().items()
    ]
    return render_template(
        "panel/settings/templates.html",
        rows=rows,
        index_url=url_for("settings.index"),
        mail_url=url_for(".page"),
    )


@blueprint.get("/templates/<name>")
@panel_page()
def template(name: str) -> ResponseReturnValue:
    """Show a mail's two halves side by side, with sample words."""
    kind, locale = _asked(name)
    shown = samples.render(kind, services().settings, locale)
    headers.may_frame()
    return render_template(
        "panel/settings/template.html",
        name=described()[kind][0],
        when=described()[kind][1],
        subject=shown.subject,
        text=shown.text,
        html_url=url_for(".template_html", name=name, language=locale),
        languages=[
            {
                "label": label,
                "url": url_for(".template", name=name, language=code),
                "current": code == locale,
            }
            for code, label in languages().items()
        ],
        templates_url=url_for(".templates"),
        index_url=url_for("settings.index"),
    )


@blueprint.get("/templates/<name>/html")
@panel_page(quiet=True)
def template_html(name: str) -> ResponseReturnValue:
    """Serve the HTML half for the frame on the preview page."""
    kind, locale = _asked(name)
    shown = samples.render(kind, services().settings, locale)
    headers.may_be_framed()
    return Response(_without_inline_styles(shown.html, headers.csp_nonce()), mimetype="text/html")


def described() -> dict[Template, tuple[str, str]]:
    """Return what each mail is called, and when it is sent."""
    return {
        Template.ACTIVATION_LINK: (
            _("Activation link"),
            _("when a key is assigned to be activated by its person, and on Resend"),
        ),
        Template.PIN: (_("PIN"), _("when an admin has activated a card")),
        Template.KEY_ADDED: (_("Key added"), _("whenever a key is bound to a person")),
        Template.KEY_REVOKED: (_("Key revoked"), _("when a key is revoked for good")),
        Template.LINK_REQUESTED: (
            _("Link asked for again"),
            _("to admins, when somebody opens a link that no longer works"),
        ),
        Template.ADDRESS_CHANGED: (
            _("Address changed"),
            _("to the old address of somebody who has a key, when mails go to another one"),
        ),
        Template.ALERT: (
            _("Alert"),
            _("to officers and owners, when something needs a hand: see Overview"),
        ),
        Template.TEST: (_("Test mail"), _("by the button under Mail")),
    }


def _asked(name: str) -> tuple[Template, str]:
    if name not in set(Template):
        abort(404)
    wanted = request.args.get("language") or str(get_locale() or "en").partition("_")[0]
    return Template(name), wanted if wanted in languages() else "en"


def _send_test(address: str) -> tuple[bool, str]:
    given = services().settings
    rendered = samples.render(Template.TEST, given, given.language)
    try:
        return True, mail.send(given, address, rendered, samples.message_id(given))
    except (MailTemporary, MailPermanent) as error:
        return False, str(error)


def _without_inline_styles(html: str, nonce: str) -> str:
    """Move the styles that mail clients need on the elements into a sheet that our CSP allows.

    What people wrote is escaped in there, so that no quote of theirs looks like a style.
    """
    rules: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        number = rules.setdefault(found[1], str(len(rules)))
        return f' data-style="{number}"'

    named = re.sub(r'\sstyle="([^"]*)"', name, html)
    sheet = "\n".join(f'[data-style="{number}"] {{ {style} }}' for style, number in rules.items())
    return named.replace("<style>", f'<style nonce="{nonce}">\n{sheet}', 1)


def _surroundings(form: MailTestForm | None = None) -> dict[str, object]:
    account = web.panel_account()
    return {
        "test_form": form or MailTestForm(formdata=None, address=account.email or ""),
        "test_url": url_for(".test"),
        "templates_url": url_for(".templates"),
        "has_password": bool(services().settings.mail_password),
        "sender_words": services().settings.mail_sender,
    }
