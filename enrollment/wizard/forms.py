# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The wizard's forms, filled with what the draft holds and checked against it."""

from __future__ import annotations

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from provisioning import keys
from provisioning.clock import now_ms
from provisioning.errors import InvalidValue, Taken
from provisioning.issuing import terms
from provisioning.issuing.policy import Method, Policy
from provisioning.lifecycle import KeyKind
from provisioning.models import WizardDraft
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import PinDelivery

from .. import web
from ..desks import station_choice
from ..forms import Form, SecurityKeyForm, UserInformation, kinds
from ..groups import policy_words
from . import drafts
from .drafts import Plan, Step, Typed

_BARE = {"csrf": False}  # the app checks it for every post; here only stored answers are read


def user_form(typed: Typed, *, check: bool) -> UserInformation:
    """Return step 1 filled; with `check` its errors stand beside the fields."""
    form = UserInformation(MultiDict(typed.user), meta=_BARE)
    if check:
        form.validate()
        _add_faults(form, typed, Step.USER_INFORMATION)
    return form


def key_form(row: WizardDraft, typed: Typed, services: Services, *, check: bool) -> SecurityKeyForm:
    """Return step 3 filled; with `check` its errors stand beside the fields."""
    told = typed.key or _first_answers(row)
    told = {**told, "key_name": drafts.key_name(row, typed)}
    form = SecurityKeyForm(
        MultiDict({name: value for name, value in told.items() if value}), meta=_BARE
    )
    form.station.choices = station_choice.choices(row.user)
    policy = drafts.ruling(row, typed, services).policy
    form.kind.choices = {kind: label for kind, label in kinds().items() if kind in policy.kinds}
    _preset(form, typed, policy)
    if check and form.assign_key.data:
        form.validate()
        _check_key(form, row, typed, services)
        _add_faults(form, typed, Step.SECURITY_KEY)
    return form


def take(row: WizardDraft, typed: Typed, step: Step, form: MultiDict[str, str]) -> bool:
    """Take a step's fields as they are; True when the key's suggested name is another now."""
    if step is Step.USER_INFORMATION:
        names = list(user_form(typed, check=False).data)
        typed.user = drafts.take_fields(form, names)
    elif step is Step.GROUPS:
        typed.groups = drafts.take_groups(form.getlist("groups"))
        typed.search = form.get("search", "")[:100]
    elif "kind" in form:  # while a card is at the reader the questions are not on the page
        drafts.take_key(row, typed, form)
        return bool(drafts.key_name(row, typed) != typed.key["key_name"])
    return False


def blocked(row: WizardDraft, typed: Typed) -> str:
    """Return why Next is not possible at step 3 yet, or nothing."""
    plan = drafts.plan(typed)
    if plan is Plan.NONE and row.user is not None:
        return str(_("Turn the switch on to assign a key, or cancel."))
    if (plan is Plan.TAPPED or not typed.key) and not drafts.is_tapped(row):
        if typed.key.get("kind", KeyKind.CONTACTLESS_CARD) != KeyKind.CONTACTLESS_CARD:
            return str(_("Use the key in this browser first, or choose Activate by user."))
        return str(_("Assign the card first, or choose Activate by user."))
    return ""


def finished(row: WizardDraft, typed: Typed, services: Services) -> set[Step]:
    """Return the steps that were submitted and hold."""
    done: set[Step] = set()
    for step in drafts.steps_of(row):
        if step in typed.seen and step is not Step.REVIEW and _holds(step, row, typed, services):
            done.add(step)
    return done


def _holds(step: Step, row: WizardDraft, typed: Typed, services: Services) -> bool:
    if typed.faults.get(step):
        return False
    if step is Step.USER_INFORMATION:
        return not user_form(typed, check=True).errors
    if step is Step.SECURITY_KEY:
        form = key_form(row, typed, services, check=True)
        return not form.errors and not (typed.key and blocked(row, typed))
    return True


def no_mail_reason(row: WizardDraft, typed: Typed) -> str:
    """Return why this person cannot be sent a link, or nothing."""
    if drafts.address(row, typed):
        return ""
    return str(_("Not possible: this person has no e-mail address that a link could go to."))


def no_pin_mail_reason(row: WizardDraft, typed: Typed, policy: Policy) -> str:
    """Return why an admin cannot activate a card for this person now, or nothing."""
    if drafts.address(row, typed) or policy.pin_delivery is not PinDelivery.MAIL:
        return ""
    return str(_("The PIN is mailed to the person: give an e-mail address first."))


def _first_answers(row: WizardDraft) -> dict[str, str]:
    # On a user's page somebody pressed "Assign security key"; a new user may well get none.
    return {
        "assign_key": "y" if row.user is not None else "",
        "kind": KeyKind.CONTACTLESS_CARD,
        "method": "admin",
    }


def _preset(form: SecurityKeyForm, typed: Typed, policy: Policy) -> None:
    """Answer what nobody has answered yet, and nothing that the policy does not allow."""
    allowed = [kind for kind in KeyKind if kind in policy.kinds]
    if form.kind.data not in set(KeyKind) or (not typed.key and form.kind.data not in allowed):
        form.kind.data = next(iter(allowed), KeyKind.CONTACTLESS_CARD)
    if form.method.data not in set(Method) or not typed.key:
        kind = KeyKind(form.kind.data)
        by_admin = policy.allows(kind, Method.ADMIN)
        form.method.data = Method.ADMIN if by_admin or not policy.methods else Method.USER


def _check_key(form: SecurityKeyForm, row: WizardDraft, typed: Typed, services: Services) -> None:
    try:
        keys.check_name(form.key_name.data or "", row.user, besides=row.key)
    except (InvalidValue, Taken) as error:
        form.blame(error, "key_name")
    if form.ends_on.data is not None and terms.end_of(form.ends_on.data) <= now_ms():
        form.ends_on.errors = [_("This day is over: choose a later one.")]
    by_user = form.method.data == "user"
    ruling = drafts.ruling(row, typed, services)
    method, kind = Method(form.method.data), KeyKind(form.kind.data)
    no_role = policy_words.no_role(ruling, Role(web.panel_account().role))
    no_method = no_role or policy_words.no_method(ruling, method)
    no_kind = policy_words.no_kind(ruling, kind)
    no_mail = no_mail_reason(row, typed)
    if no_kind:
        form.kind.errors = [no_kind]
    if no_method:
        form.method.errors = [no_method]
    elif by_user and no_mail:
        form.method.errors = [no_mail]
    elif kind is not KeyKind.CONTACTLESS_CARD:
        return
    elif not by_user and (no_pin_mail := no_pin_mail_reason(row, typed, ruling.policy)):
        form.method.errors = [no_pin_mail]


def _add_faults(form: Form, typed: Typed, step: Step) -> None:
    for name, sentence in typed.faults.get(step, {}).items():
        field = form[name]
        if sentence not in field.errors:
            field.errors = [*field.errors, sentence]
