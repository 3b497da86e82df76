# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the wizard's pages show, made from the draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from provisioning import keys, nesting
from provisioning.desks import jobs
from provisioning.issuing import activations, group_policies, link_codes
from provisioning.issuing.group_policies import Ruling
from provisioning.lifecycle import JobState, JobStep, KeyKind, reached
from provisioning.models import Job, SecurityKey, WizardDraft
from provisioning.pages import group_list, times
from provisioning.services import Services
from provisioning.settings import PinDelivery

from .. import web
from ..desks import tap
from ..desks.tap import Links, Live
from ..forms import kind_name
from ..groups import picker as group_picker
from ..keys.reader_verbs import Verb
from ..users import page as user_page
from . import drafts, forms, others, tabs
from .confirm import Confirmed
from .drafts import Plan, Step, Typed


def step_url(row: WizardDraft, step: Step) -> str:
    """Return a step's address."""
    return url_for("wizard.show", draft_id=row.resource_id, step=step.value)


def frame(
    row: WizardDraft,
    typed: Typed,
    step: Step,
    services: Services,
    other: others.Notice | None = None,
) -> dict[str, object]:
    """Return the wizard's frame: title, steps, autosave, what Cancel means.

    `other` tells what another tab saved: until somebody has decided, nothing is saved by itself.
    """
    steps = drafts.steps_of(row)
    done = forms.finished(row, typed, services)
    names = drafts.labels()
    return {
        "title": title(row),
        "steps": [
            {
                "name": one.value,
                "label": names[one],
                "state": "current" if one is step else "done" if one in done else "todo",
            }
            for one in steps
        ],
        "first": step is steps[0],
        "cancel_url": url_for("wizard.cancel", draft_id=row.resource_id),
        "leaving": leaving(row),
        "autosave_url": url_for(
            "wizard_live.save", draft_id=row.resource_id, step=step.value, turn=typed.turn
        )
        if step in (Step.USER_INFORMATION, Step.GROUPS, Step.SECURITY_KEY) and other is None
        else None,
        "saved_at": row.updated_at if typed != Typed() else None,
        "notices": [*([other] if other else []), *others.notices(row, web.panel_account())],
        **tabs.names(typed, step),
    }


def title(row: WizardDraft) -> str:
    """Return what this wizard does."""
    if row.user is None:
        return str(_("New User"))
    old = drafts.replaced(row, drafts.read(row))
    if old is not None:
        return str(_("Replace “%(key)s”", key=old.name))
    return str(_("Assign security key to %(name)s", name=row.user.display_name))


def leaving(row: WizardDraft) -> list[str]:
    """Return what Cancel means right now, in sentences."""
    if row.user is None:
        said = _("What you typed here is discarded. Nobody is added and no mail is sent.")
    else:
        said = _(
            "What you typed here is discarded. %(name)s gets no key and no mail is sent.",
            name=row.user.display_name,
        )
    return [sentence for sentence in (said, on_card(row)) if sentence]


def on_card(row: WizardDraft) -> str:
    """Return what is on the card if its assignment is given up, honestly, and what helps."""
    job = drafts.key_job(row)
    if job is None or not jobs.card_touched(job):
        return ""
    if not reached(JobStep(job.step), JobStep.REGISTERED):
        return str(
            _(
                "The card may have a PIN now that nobody knows. When it is assigned again, choose "
                "“Reset this card”."
            )
        )
    if row.user is None or row.user.deleted_at is not None:
        return str(
            _(
                "The card keeps a key that opens nothing here, and a PIN that nobody knows. When "
                "it is assigned again, choose “Reset this card”."
            )
        )
    return str(
        _(
            "The card keeps a key that opens nothing here, and a PIN that nobody knows. “Return "
            "card to stock” on the page of %(name)s wipes it.",
            name=row.user.display_name,
        )
    )


def given_back(row: WizardDraft) -> str:
    """Return the same once it is given up, with the way to what helps; asked before that."""
    left, key = on_card(row), row.key
    if row.user is None or row.user.deleted_at is not None:
        return left
    if not left or key is None or not keys.is_registered(key):
        return left
    url = url_for("key_reader.choose", key_id=key.resource_id, verb=Verb.RETURN)
    return Markup('{} <a href="{}">{}</a>').format(left, url, _("Return card to stock"))


def picker(typed: Typed, ruling: Ruling) -> dict[str, object]:
    """Return chosen groups, those found by the search, and how many more there are."""
    return group_picker.shown(group_list.named(typed.groups), typed.search, ruling)


def live(row: WizardDraft) -> Live | None:
    """Return the tap panel of this draft's card, or None before it was asked for."""
    job = drafts.card_job(row)
    if job is None:
        return None
    job = tap.current(job)
    given: dict[str, Any] = {"draft_id": row.resource_id}
    links = Links(
        poll=url_for("wizard_card.state", **given),
        retry=url_for("wizard_card.again", **given),
        cancel=url_for("wizard_card.cancel", **given),
        reset=url_for("wizard_card.reset", **given),
        own_pin=url_for("wizard_card.own_pin", **given),
    )
    panel = tap.tap_view(job, links)
    if panel["phase"] == "fault":
        actions = panel["actions"]
        assert isinstance(actions, list)  # noqa: S101 - tap_view makes one
        by_user = url_for("wizard_card.by_user", **given)
        actions.append({"label": _("Activate by user instead"), "url": by_user, "icon": "send"})
    return panel


def sections(row: WizardDraft, typed: Typed) -> list[dict[str, object]]:
    """Return the review: each step's answers with the step to edit them."""
    found: list[dict[str, object]] = []
    names = drafts.labels()
    if row.user is None:
        chosen = [line.name for line in group_list.named(typed.groups)]
        found.append(
            {
                "title": names[Step.USER_INFORMATION],
                "step": Step.USER_INFORMATION.value,
                "facts": user_page.facts(drafts.document(typed)),
            }
        )
        found.append(
            {
                "title": names[Step.GROUPS],
                "step": Step.GROUPS.value,
                "facts": [(_("Member of"), ", ".join(chosen) or _("none"))],
            }
        )
    found.append(
        {
            "title": names[Step.SECURITY_KEY],
            "step": Step.SECURITY_KEY.value,
            "facts": _key_facts(row, typed),
        }
    )
    return found


def outcome(row: WizardDraft, typed: Typed, services: Services) -> list[str]:
    """Return what Confirm will make real, in sentences."""
    name = drafts.person_name(row, typed)
    address = drafts.address(row, typed)
    said: list[str] = []
    if row.user is None:
        said.append(_("%(name)s is added.", name=name))
    if typed.groups:
        said.append(
            ngettext(
                "Becomes a member of one group.",
                "Becomes a member of %(num)s groups.",
                len(typed.groups),
            )
        )
    plan = drafts.plan(typed)
    policy = drafts.ruling(row, typed, services).policy
    if plan is not Plan.NONE and policy.second_approver:
        said.append(_("Another officer has to agree before the key works."))
        return said
    if plan is Plan.TAPPED:
        said.append(_("“%(key)s” works from now on.", key=drafts.key_name(row, typed)))
        if typed.key.get("kind", KeyKind.CONTACTLESS_CARD) == KeyKind.CONTACTLESS_CARD:
            said.append(_pin_words(policy.pin_delivery, address))
        else:
            said.append(_("The key has the PIN that was chosen in this browser."))
    if plan is Plan.BY_USER:
        said.append(_("A registration link goes to %(address)s.", address=address))
    old = drafts.replaced(row, typed)
    if old is not None and plan is Plan.TAPPED:
        said.append(_("“%(key)s” is revoked for ever in the same moment.", key=old.name))
    elif old is not None and plan is Plan.BY_USER:
        said.append(
            _("“%(key)s” stays as it is until the new one works; then it is revoked.", key=old.name)
        )
    return said


def happened(made: Confirmed, new_user: bool, services: Services) -> list[dict[str, str]]:
    """Return what Confirm did besides what the headline says."""
    address = made.user.email
    said: list[dict[str, str]] = []
    count = len(nesting.groups_of(made.user)) if new_user else 0
    if count:
        text = ngettext("Member of one group.", "Member of %(num)s groups.", count)
        said.append({"text": text, "icon": "users-round"})
    if made.key is None:
        said.append({"text": _("No security key was assigned yet."), "icon": "key-round"})
    if made.key is not None and made.waits:
        text = _("“%(key)s” waits until another officer agrees.", key=made.key.name)
        said.append({"text": text, "icon": "clock"})
    elif made.key is not None and made.url is None:
        policy = group_policies.of_user(made.user, services.settings).policy
        said.append({"text": _("“%(key)s” is active.", key=made.key.name), "icon": "nfc"})
        if made.key.kind == KeyKind.CONTACTLESS_CARD:
            said.append({"text": _pin_words(policy.pin_delivery, address), "icon": "mail"})
    elif made.key is not None:
        text = _("The registration link is on its way to %(address)s.", address=address)
        said.append({"text": text, "icon": "send"})
        link = activations.latest(made.key)
        if link is not None and link_codes.is_asked(link):
            text = _("It asks for a code, which stands on the person's page: tell it by phone.")
            said.append({"text": text, "icon": "lock"})
    return said


def _pin_words(delivery: PinDelivery, address: str | None) -> str:
    if delivery is PinDelivery.MAIL:
        return str(_("The card's PIN goes to %(address)s by mail.", address=address))
    if delivery is PinDelivery.REVEAL_ONCE:
        return str(_("You can look at the card's PIN once, to hand it over."))
    return str(_("The card has the PIN that was chosen at the reader."))


def _key_facts(row: WizardDraft, typed: Typed) -> list[tuple[str, str]]:
    plan = drafts.plan(typed)
    if plan is Plan.NONE:
        return [(_("Security key"), _("none"))]
    kind = KeyKind(typed.key.get("kind", KeyKind.CONTACTLESS_CARD))
    facts = [
        (_("Security Key Device"), kind_name(kind)),
        (_("Name"), drafts.key_name(row, typed)),
    ]
    ends_at = drafts.ends_at(typed)
    if ends_at is not None:
        facts.append((_("Works until"), times.exact(ends_at)))
    if plan is Plan.BY_USER:
        address = drafts.address(row, typed) or ""
        return [*facts, (_("How to activate"), _("Activate by user")), (_("Link to"), address)]
    facts.append((_("How to activate"), _("Activate now as an admin")))
    if kind is not KeyKind.CONTACTLESS_CARD:
        made = row.key is not None and drafts.is_tapped(row)
        model = (row.key.model if row.key is not None else None) or _("made in this browser")
        return [*facts, (_("Key"), model if made else _("not made yet"))]
    return [*facts, *_card_facts(row.key, drafts.key_job(row))]


def _card_facts(key: SecurityKey | None, job: Job | None) -> list[tuple[str, str]]:
    if key is None or job is None or job.state != JobState.DONE:
        return [(_("Card"), _("not assigned yet"))]
    told: Mapping[str, object] = jobs.card_of(job)
    return [
        (_("Card"), str(key.model or told.get("model") or _("assigned"))),
        (_("Reader"), job.station.name),
    ]
