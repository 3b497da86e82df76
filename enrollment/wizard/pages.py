# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The wizard's steps as pages."""

from __future__ import annotations

from collections.abc import Callable

from flask import flash, render_template, request, url_for
from flask_babel import gettext as _

from provisioning.errors import Forbidden
from provisioning.issuing.policy import Method
from provisioning.lifecycle import KeyKind
from provisioning.models import WizardDraft
from provisioning.panel import access
from provisioning.services import Services, services

from .. import web
from ..desks import station_choice
from ..groups import policy_words
from . import confirm, drafts, forms, others, view
from .confirm import Confirmed
from .drafts import Step, Typed
from .others import Notice


def user_information(row: WizardDraft, typed: Typed, other: Notice | None = None) -> str:
    """Step 1."""
    return render_template(
        "panel/wizard/user_information.html",
        wizard=view.frame(row, typed, Step.USER_INFORMATION, services(), other),
        form=forms.user_form(typed, check=Step.USER_INFORMATION in typed.seen),
        check_url=url_for("wizard_live.user_name", draft_id=row.resource_id),
    )


def groups(row: WizardDraft, typed: Typed, other: Notice | None = None) -> str:
    """Step 2."""
    for sentence in typed.faults.get(Step.GROUPS, {}).values():
        flash(sentence, "error")
    return render_template(
        "panel/wizard/groups.html",
        wizard=view.frame(row, typed, Step.GROUPS, services(), other),
        picker=view.picker(typed, drafts.ruling(row, typed, services())),
        picker_url=url_for("wizard_live.pick", draft_id=row.resource_id),
        search_text=typed.search,
    )


def security_key(row: WizardDraft, typed: Typed, other: Notice | None = None) -> str:
    """Step 3, with the live panel once a card was asked for."""
    form = forms.key_form(row, typed, services(), check=Step.SECURITY_KEY in typed.seen)
    ruling = drafts.ruling(row, typed, services())
    no_pin_mail = forms.no_pin_mail_reason(row, typed, ruling.policy)
    cards_only = ruling.policy.kinds == {KeyKind.CONTACTLESS_CARD}
    return render_template(
        "panel/wizard/security_key.html",
        wizard=view.frame(row, typed, Step.SECURITY_KEY, services(), other),
        form=form,
        recipient=drafts.address(row, typed),
        no_user_reason=policy_words.no_method(ruling, Method.USER)
        or forms.no_mail_reason(row, typed),
        no_admin_reason=policy_words.no_method(ruling, Method.ADMIN)
        or (no_pin_mail if cards_only else ""),
        no_pin_mail=no_pin_mail,
        edit_url=url_for("user_edit.details", user_id=row.user.resource_id)
        if row.user is not None and row.user.connection_id is None
        else None,
        no_kind_reasons=[no for kind in KeyKind if (no := policy_words.no_kind(ruling, kind))],
        no_role_reason=policy_words.no_role(ruling, access.Role(web.panel_account().role)),
        impossible=not ruling.policy.is_possible,
        policy=policy_words.lines(ruling),
        stations=len(station_choice.offered(row.user)),
        station_url=url_for("wizard_live.station", draft_id=row.resource_id),
        station_state=station_choice.state(form.station.data, row.user),
        pair_url=url_for("pairing.page"),
        pair_here_url=url_for("pairing.here", next=request.path),
        live=view.live(row),
        in_browser=_in_browser(row),
        next_blocked="" if drafts.is_tapped(row) else _blocked(typed),
    )


def review(row: WizardDraft, typed: Typed, other: Notice | None = None) -> str:
    """Step 4."""
    return render_template(
        "panel/wizard/review.html",
        wizard=view.frame(row, typed, Step.REVIEW, services(), other),
        sections=view.sections(row, typed),
        outcome=view.outcome(row, typed, services()),
        known=others.latest(row, web.panel_account()),
        confirm_blocked=others.why_gone(row.user) if row.user is not None else "",
    )


def confirmed(made: Confirmed, *, new_user: bool) -> str:
    """After Confirm; the link is on this page and nowhere else."""
    page = url_for("users.user", user_id=made.user.resource_id)
    headline = (
        _("%(name)s is added", name=made.user.display_name)
        if new_user
        else _("The key is assigned to %(name)s", name=made.user.display_name)
    )
    shows = _may_see_secrets(made)
    key = made.key
    reveal = shows and confirm.reveals_pin(key, services())
    return render_template(
        "panel/wizard/confirmed.html",
        person={"name": made.user.display_name, "url": page},
        headline=headline,
        happened=view.happened(made, new_user, services()),
        message=_message(made, services()) if shows else None,
        link_expires_at=made.expires_at,
        reveal_url=url_for("keys.reveal_pin", key_id=key.resource_id) if reveal and key else None,
        new_url=url_for("wizard.new") if new_user else None,
        users_url=url_for("users.users"),
    )


def _message(made: Confirmed, services: Services) -> str | None:
    """Return the message that an admin can copy, link and all, or None."""
    if made.url is None or made.key is None:
        return None
    return str(
        _(
            "Hello %(name)s,\n\nyour security key “%(key)s” at %(organisation)s is waiting for "
            "you. Have it at hand and open this link:\n\n%(url)s\n\nThe link is for you alone "
            "and works once.",
            name=made.user.display_name,
            key=made.key.name,
            organisation=services.settings.organisation,
            url=made.url,
        )
    )


def _in_browser(row: WizardDraft) -> dict[str, object]:
    """Return how a key that is no card is made here: the ceremony, or the step-up before it."""
    key = row.key
    made = key is not None and key.kind != KeyKind.CONTACTLESS_CARD and drafts.is_tapped(row)
    try:
        access.require_step_up(web.panel_session())
        step_up_url = None
    except Forbidden:
        here = view.step_url(row, Step.SECURITY_KEY)
        step_up_url = url_for("sign_in.step_up", next=here)
    return {
        "made": key.name if made and key is not None else "",
        "step_up_url": step_up_url,
        "options_url": url_for("key_browser.draft_options", draft_id=row.resource_id),
        "finish_url": url_for("key_browser.draft_finish", draft_id=row.resource_id),
    }


def _blocked(typed: Typed) -> str:
    # The style sheet hides this sentence while no key or Activate by user is chosen.
    if typed.key.get("kind", KeyKind.CONTACTLESS_CARD) != KeyKind.CONTACTLESS_CARD:
        return str(_("Use the key in this browser first, or choose Activate by user."))
    return str(_("Assign the card first, or choose Activate by user."))


def _may_see_secrets(made: Confirmed) -> bool:
    try:
        web.check_may_activate(made.user)
    except Forbidden:
        return False
    return True


PAGES: dict[Step, Callable[[WizardDraft, Typed, Notice | None], str]] = {
    Step.USER_INFORMATION: user_information,
    Step.GROUPS: groups,
    Step.SECURITY_KEY: security_key,
    Step.REVIEW: review,
}
