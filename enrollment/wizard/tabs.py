# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One wizard open in two tabs: what one of them saved is not written over by the other unseen.

Each page of a step has a name of its own (`tab`) and knows whose answers it was filled with
(`tab_before`). Whoever saved a step since, other than these two, was another tab.
"""

from __future__ import annotations

import copy
import secrets

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from provisioning.models import WizardDraft
from provisioning.pages import group_list
from provisioning.services import services

from .. import differences
from . import forms
from .drafts import Step, Typed
from .others import Notice

_LONGEST = 20


def names(typed: Typed, step: Step) -> dict[str, str]:
    """Return what a page of this step sends along with its form."""
    return {"tab": secrets.token_urlsafe(8), "tab_before": typed.writers.get(step, "")}


def take(row: WizardDraft, typed: Typed, step: Step, form: MultiDict[str, str]) -> bool:
    """Take a step's fields as `forms.take`, and remember which tab they are from."""
    typed.writers[step] = form.get("tab", "")[:_LONGEST] or secrets.token_urlsafe(8)
    return forms.take(row, typed, step, form)


def clash(
    row: WizardDraft, typed: Typed, step: Step, form: MultiDict[str, str]
) -> tuple[Typed, Notice] | None:
    """Return the draft as this form has it, and what another tab saved beside it; or None.

    None where nobody else saved this step since the form was filled, or saved the same.
    """
    known = (form.get("tab"), form.get("tab_before"))
    if form.get("tab") is None or typed.writers.get(step, "") in known:
        return None
    mine = copy.deepcopy(typed)
    forms.take(row, mine, step, form)
    theirs = _differing(row, typed, mine, step)
    if not theirs:
        return None
    return mine, Notice(
        "warn",
        _("Another tab of yours saved this step in the meantime."),
        text=_("There it says:"),
        facts=tuple(theirs),
        after=_(
            "Below are the answers of this tab; nothing of them is lost. Next keeps these and "
            "replaces what is shown here."
        ),
    )


def _differing(row: WizardDraft, typed: Typed, mine: Typed, step: Step) -> list[tuple[str, str]]:
    if step is Step.GROUPS:
        if set(typed.groups) == set(mine.groups):
            return []
        there = ", ".join(line.name for line in group_list.named(typed.groups))
        return [(_("Groups"), there or _("none"))]
    if step is Step.USER_INFORMATION:
        ours = forms.user_form(mine, check=False)
        other = forms.user_form(typed, check=False)
        return differences.between(ours, other)
    if mine.key == typed.key:
        return []
    key_forms = [forms.key_form(row, each, services(), check=False) for each in (mine, typed)]
    return differences.between(*key_forms)
