# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The wizard's Confirm: everything becomes real in one transaction, or nothing does."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext as _

from provisioning import directory, groups, keys
from provisioning.audit import Actor
from provisioning.desks import jobs
from provisioning.desks.jobs import Op, PinMode
from provisioning.errors import Forbidden, InvalidValue, KeywrightError, NotFound, Taken, WrongState
from provisioning.issuing import assignment, group_policies, terms
from provisioning.lifecycle import KeyKind, KeyState
from provisioning.models import PanelAccount, SecurityKey, User, WizardDraft
from provisioning.panel import access
from provisioning.services import Services
from provisioning.settings import PinDelivery

from . import drafts
from .drafts import Plan, Step, Typed


@dataclass(frozen=True)
class Confirmed:
    """What Confirm made; `url` is the registration link, which is nowhere else."""

    user: User
    key: SecurityKey | None = None
    url: str | None = None
    expires_at: int | None = None
    waits: bool = False  # for a second person


@dataclass(frozen=True)
class Blame:
    """The step and field beside which a refusal's sentence belongs."""

    step: Step
    field: str
    sentence: str


def confirm(
    row: WizardDraft, account: PanelAccount, services: Services, actor: Actor
) -> Confirmed | None:
    """Make it real in the caller's transaction; None if another Confirm was faster.

    Raises Taken, InvalidValue, NotFound, WrongState or Forbidden: see `blame`.
    """
    first = (
        WizardDraft.update(state="confirmed")
        .where(WizardDraft.id == row.id, WizardDraft.state == "open")
        .execute()
    )
    if not first:
        return None
    row.renew()
    typed = drafts.read(row)
    plan = drafts.plan(typed)
    user = row.user or _create(typed, actor)
    if plan is not Plan.TAPPED:
        drop_card(row, actor)
    made = Confirmed(user)
    if plan is Plan.TAPPED:
        made = _tapped(row, user, account, services, actor)
    elif plan is Plan.BY_USER:
        made = _by_user(row, typed, user, services, actor)
    if made.key is not None:
        _limit(made.key, typed, actor)
    row.state, row.user, row.key = "confirmed", user, made.key
    drafts.save(row, Typed())  # what was typed is in the user now, and nowhere else
    return made


def drop_card(row: WizardDraft, actor: Actor) -> bool:
    """Give back a card that was begun for this draft; True when something is written on it."""
    if row.key is None or row.key.state != KeyState.DRAFT:
        return False
    touched = assignment.release_card(row.key, actor)
    row.key = None
    WizardDraft.update(key=None).where(WizardDraft.id == row.id).execute()
    return touched


def reveals_pin(key: SecurityKey | None, services: Services) -> bool:
    """Say whether this installation shows a tapped card's PIN to the admin, once."""
    if key is None or key.state != KeyState.ACTIVE:
        return False
    job = jobs.of_key(key, Op.ENROL)
    policy = group_policies.of_user(key.user, services.settings).policy
    shows = policy.pin_delivery is PinDelivery.REVEAL_ONCE
    return shows and job is not None and job.pin_mode == PinMode.SERVER and bool(job.sealed_pin)


def blame(row: WizardDraft, error: KeywrightError) -> Blame:
    """Return where a refused Confirm is told."""
    field = getattr(error, "field", None) or ""
    known = {
        "userName": (Step.USER_INFORMATION, "user_name"),
        "displayName": (Step.USER_INFORMATION, "display_name"),
        "emails": (Step.USER_INFORMATION, "email"),
        "key_name": (Step.SECURITY_KEY, "key_name"),
        "ends_on": (Step.SECURITY_KEY, "ends_on"),
        "members": (Step.GROUPS, "groups"),
    }
    step, name = known.get(field, (Step.SECURITY_KEY, "method"))
    if step not in drafts.steps_of(row):
        step, name = Step.SECURITY_KEY, "method"
    return Blame(step, name, str(error))


def _limit(key: SecurityKey, typed: Typed, actor: Actor) -> None:
    ends_at = drafts.ends_at(typed)
    if ends_at is not None:
        terms.set_end(key, ends_at, actor)


def _create(typed: Typed, actor: Actor) -> User:
    user = directory.create_user(drafts.document(typed), connection=None, actor=actor)
    for group_id in typed.groups:
        try:
            group = groups.get_group(group_id)
        except NotFound as error:
            raise InvalidValue(_("One of the chosen groups is gone."), "members") from error
        if group.connection is not None:
            raise InvalidValue(
                _("%(name)s is owned by a directory.", name=group.display_name), "members"
            )
        # A policy is no hindrance here: somebody new comes under it and out of none.
        groups.add_members(group, [user.resource_id], actor=actor)
    return user


def _tapped(
    row: WizardDraft, user: User, account: PanelAccount, services: Services, actor: Actor
) -> Confirmed:
    key = row.key
    if key is None:
        raise WrongState(_("Assign the card first, or choose Activate by user."))
    access.check_may_activate(account, user)
    name = drafts.key_name(row, drafts.read(row))
    if name != key.name:
        keys.rename(key, keys.check_name(name, user, besides=key), actor)
    else:
        keys.check_name(name, user, besides=key)
    _replace(key, row)
    confirm = (
        assignment.confirm_tapped
        if key.kind == KeyKind.CONTACTLESS_CARD
        else assignment.confirm_in_person
    )
    works = confirm(key, user, services, actor)
    return Confirmed(user, key, waits=not works)


def _replace(key: SecurityKey, row: WizardDraft) -> None:
    old = drafts.replaced(row, drafts.read(row))
    if old is not None:
        assignment.replace(key, old)


def _by_user(
    row: WizardDraft, typed: Typed, user: User, services: Services, actor: Actor
) -> Confirmed:
    kind = KeyKind(typed.key.get("kind", KeyKind.CONTACTLESS_CARD))
    name = drafts.key_name(row, typed)
    key = keys.draft(kind, name, "user", user=user, actor=actor)
    _replace(key, row)
    sent = assignment.confirm_by_user(key, user, services, actor)
    if sent is None:
        return Confirmed(user, key, waits=True)
    activation, url = sent
    return Confirmed(user, key, url, activation.expires_at)


REFUSALS = (Taken, InvalidValue, NotFound, WrongState, Forbidden)
