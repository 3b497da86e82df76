# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A wizard under way as a row: whatever was typed is kept, right or wrong, until Confirm.

A draft belongs to the account that began it. Nothing in it is real: no user, no membership; only
a tapped card has a drafted key of its own.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import StrEnum, unique

from flask_babel import gettext as _

from provisioning import directory, keys
from provisioning.clock import now_ms
from provisioning.desks import jobs
from provisioning.desks.jobs import Op
from provisioning.errors import InvalidValue, NotFound
from provisioning.issuing import group_policies, terms
from provisioning.issuing.group_policies import Ruling
from provisioning.lifecycle import JobState, KeyKind
from provisioning.models import Job, PanelAccount, SecurityKey, User, WizardDraft
from provisioning.services import Services

from ..users import document as user_document

_LONGEST = 1_000  # characters kept of one field; the form says what is too long
_MOST_GROUPS = 500


@unique
class Step(StrEnum):
    """The wizard's steps, named as in their addresses."""

    USER_INFORMATION = "user-information"
    GROUPS = "groups"
    SECURITY_KEY = "security-key"
    REVIEW = "review"


@unique
class Plan(StrEnum):
    """What Confirm does about a key."""

    NONE = "none"
    TAPPED = "tapped"
    BY_USER = "by_user"


@dataclass
class Typed:
    """What a draft holds: form fields as they were typed, by step.

    `seen` are steps that were submitted, `faults` sentences from a Confirm that did not go
    through, by step and field; `assign_at` is when the card's assignment was asked for and step-up
    came first; `turn` counts submits, so that a save under way before one is known as late;
    `replaces` is the id of the key that the new one takes over from; `writers` names the tab that
    saved a step last (see `tabs`).
    """

    user: dict[str, str] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    search: str = ""
    key: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    faults: dict[str, dict[str, str]] = field(default_factory=dict)
    assign_at: int = 0
    turn: int = 0
    replaces: str = ""
    writers: dict[str, str] = field(default_factory=dict)


def start(account: PanelAccount, user: User | None = None) -> WizardDraft:
    """Return a fresh draft; one of this account that nobody typed into yet is taken again."""
    blank: WizardDraft | None = WizardDraft.get_or_none(
        WizardDraft.account == account,
        WizardDraft.state == "open",
        WizardDraft.user == user if user is not None else WizardDraft.user.is_null(),
        WizardDraft.data == "{}",
    )
    if blank is not None:
        return blank
    return WizardDraft.create(resource_id=str(uuid.uuid4()), account=account, user=user)


def load(resource_id: str, account: PanelAccount) -> WizardDraft:
    """Return an account's draft in whatever state; raises NotFound."""
    row = WizardDraft.get_or_none(
        WizardDraft.resource_id == resource_id, WizardDraft.account == account
    )
    if row is None:
        raise NotFound("There is no such wizard, or somebody else began it.")
    return row


def unfinished(account: PanelAccount) -> list[WizardDraft]:
    """Return an account's drafts that something was typed into, the newest first."""
    rows = (
        WizardDraft.select()
        .where(
            WizardDraft.account == account, WizardDraft.state == "open", WizardDraft.data != "{}"
        )
        .order_by(WizardDraft.updated_at.desc())
        .limit(5)
    )
    return list(rows)


def read(row: WizardDraft) -> Typed:
    """Return what was typed so far."""
    return Typed(**json.loads(row.data))


def save(row: WizardDraft, typed: Typed) -> None:
    """Keep what was typed."""
    row.data = json.dumps(asdict(typed))
    row.updated_at = now_ms()
    row.version += 1
    row.save()


def take_fields(form: Mapping[str, str], names: list[str]) -> dict[str, str]:
    """Return a form's fields as they were typed, of bounded length."""
    return {name: form.get(name, "")[:_LONGEST] for name in names}


def take_groups(ids: list[str]) -> list[str]:
    """Return group ids without doubles, of a bounded number."""
    return list(dict.fromkeys(ids))[:_MOST_GROUPS]


def steps_of(row: WizardDraft) -> list[Step]:
    """Return the steps: an existing user starts at the key."""
    return list(Step) if row.user is None else [Step.SECURITY_KEY, Step.REVIEW]


def labels() -> dict[Step, str]:
    """Return what the steps are called."""
    return {
        Step.USER_INFORMATION: _("User information"),
        Step.GROUPS: _("Groups"),
        Step.SECURITY_KEY: _("Security key"),
        Step.REVIEW: _("Review"),
    }


def document(typed: Typed) -> dict[str, object]:
    """Return the typed person as an RFC 7643 User document."""
    return user_document.apply({"active": True}, typed.user)


def person_name(row: WizardDraft, typed: Typed) -> str:
    """Return the person's shown name as it will be."""
    return row.user.display_name if row.user is not None else directory.shown_name(document(typed))


def address(row: WizardDraft, typed: Typed) -> str | None:
    """Return the address that link and PIN would go to, or None."""
    return row.user.email if row.user is not None else directory.mail_address(document(typed))


def ruling(row: WizardDraft, typed: Typed, services: Services) -> Ruling:
    """Return what the groups' policies say for this person, who may not be there yet."""
    if row.user is not None:
        return group_policies.of_user(row.user, services.settings)
    return group_policies.of_groups(typed.groups, services.settings)


def suggested_name(kind: str, person: str) -> str:
    """Return a key's suggested name."""
    person = person or _("the new user")
    if kind == KeyKind.PASSKEY:
        return str(_("Passkey of %(name)s", name=person))[:64]
    if kind == KeyKind.USB_KEY:
        return str(_("Key of %(name)s", name=person))[:64]
    return str(_("Card of %(name)s", name=person))[:64]


def key_name(row: WizardDraft, typed: Typed) -> str:
    """Return the key's name: as typed, or the suggestion while nobody has changed it."""
    if typed.key.get("key_name") and not typed.key.get("auto"):
        return " ".join(typed.key["key_name"].split())
    if typed.key and not typed.key.get("auto"):
        return ""
    return _suggestion(row, typed, typed.key.get("kind", KeyKind.CONTACTLESS_CARD))


def _suggestion(row: WizardDraft, typed: Typed, kind: str) -> str:
    suggested = suggested_name(kind, person_name(row, typed))
    return keys.free_name(suggested, row.user, besides=row.key)


def ends_at(typed: Typed) -> int | None:
    """Return the last moment (ms) of a temporary key as it was typed, or None.

    Raises InvalidValue for what is no day; the form says so before.
    """
    text = typed.key.get("ends_on", "")
    if not text:
        return None
    try:
        return terms.end_of(date.fromisoformat(text))
    except ValueError as error:
        raise InvalidValue("This is not a day.", "ends_on") from error


def replaced(row: WizardDraft, typed: Typed) -> SecurityKey | None:
    """Return the key that the new one takes over from, or None; raises NotFound."""
    if not typed.replaces:
        return None
    old = keys.get_key(typed.replaces)
    if old.user_id != row.user_id:
        raise NotFound("There is no such key.")
    return old


def take_key(row: WizardDraft, typed: Typed, form: Mapping[str, str]) -> None:
    """Keep the answers of step 3; a name that is still the suggestion follows device and person."""
    names = ["assign_key", "kind", "key_name", "method", "ends_on", "station"]
    told = take_fields(form, names)
    suggestions = {_suggestion(row, typed, kind) for kind in KeyKind}
    if told["key_name"] in suggestions:
        told["auto"] = "y"
    typed.key = told


def key_job(row: WizardDraft) -> Job | None:
    """Return the job that writes this draft's card, if one is under way or done."""
    return jobs.of_key(row.key, Op.ENROL) if row.key is not None else None


def card_job(row: WizardDraft) -> Job | None:
    """Return the job that is at this draft's card now: its reset first, else its enrolment."""
    reset = jobs.of_key(row.key, Op.RESET) if row.key is not None else None
    return reset if reset is not None and reset.state in jobs.OPEN else key_job(row)


def is_tapped(row: WizardDraft) -> bool:
    """Say whether a card was assigned, or another key made in this browser, successfully."""
    kind = read(row).key.get("kind", KeyKind.CONTACTLESS_CARD)
    if row.key is not None and row.key.kind != kind:
        return False
    if row.key is not None and kind != KeyKind.CONTACTLESS_CARD:
        return keys.is_registered(row.key)
    job = key_job(row)
    return job is not None and job.state == JobState.DONE


def plan(typed: Typed) -> Plan:
    """Return what the answers of step 3 ask for."""
    if not typed.key.get("assign_key"):
        return Plan.NONE
    now = typed.key.get("method") == "admin"
    return Plan.TAPPED if now else Plan.BY_USER
