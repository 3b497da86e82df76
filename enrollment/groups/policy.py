# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A group's policy: what it asks of its members' keys, edited with what would follow."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning import groups
from provisioning.errors import InvalidValue, Stale
from provisioning.issuing import group_policies
from provisioning.issuing.policy import ANY, Policy
from provisioning.models import Group, GroupPolicy
from provisioning.storage.db import transaction

from .. import kept, web
from ..web import panel_page
from . import policy_words
from .policy_form import PolicyForm

blueprint = Blueprint("group_policy", __name__, url_prefix="/groups/<group_id>/policy")


@blueprint.get("")
@panel_page(group_policies.EDITS, step_up=True)
def edit(group_id: str) -> ResponseReturnValue:
    """Show the policy as a form."""
    group = groups.get_group(group_id)
    policy, row = group_policies.of_group(group)
    late = kept.take()
    return _page(group, PolicyForm.of(policy) if late is None else PolicyForm(late), row)


@blueprint.post("")
@panel_page(group_policies.EDITS, step_up=True)
def save(group_id: str) -> ResponseReturnValue:
    """Say what would follow, then store it; what somebody else saved meanwhile is shown first."""
    group = groups.get_group(group_id)
    form = PolicyForm()
    before, row = group_policies.of_group(group)
    go = request.form.get("go")
    if go == "edit" or not form.validate():
        return _page(group, form, row)
    policy = form.policy()
    if go != "save":
        return _page(group, form, row, follows=_follows(group, before, policy))
    try:
        with transaction():
            group_policies.save(group, policy, version=form.version.data or 0, actor=web.actor())
    except InvalidValue as error:
        form.blame(error, "methods")
        return _page(group, form, row)
    except Stale:
        return _page(group, form, group_policies.of_group(group)[1]), 412
    flash(_("The policy of %(name)s is saved.", name=group.display_name), "success")
    return redirect(url_for("groups.group", group_id=group_id))


def _page(
    group: Group, form: PolicyForm, row: GroupPolicy | None, *, follows: list[str] | None = None
) -> str:
    version = row.version if row is not None else 0
    saved = None
    if form.version.data not in (None, version):
        # Both are on the page: the fields hold what was typed, the notice what was saved.
        saved, follows = group_policies.of_group(group)[0], None
    form.version.data, form.version.raw_data = version, None
    return render_template(
        "panel/group_policy.html",
        group={
            "name": group.display_name,
            "url": url_for("groups.group", group_id=group.resource_id),
        },
        groups_url=url_for("groups.groups"),
        form=form,
        follows=follows,
        saved=None
        if saved is None
        else {
            "by": row.changed_by if row is not None else "",
            "at": row.updated_at if row is not None else None,
            "parts": [(label, value) for _part, label, value in policy_words.parts(saved)],
        },
    )


def _follows(group: Group, before: Policy, after: Policy) -> list[str]:
    """Return what saving would mean, in sentences with numbers."""
    old = {part: value for part, _label, value in policy_words.parts(before)}
    said = [
        _("%(label)s: %(new)s. Until now: %(old)s.", label=label, new=value, old=old[part])
        for part, label, value in policy_words.parts(after)
        if value != old[part]
    ]
    if not said:
        return [_("Nothing changes.")]
    people = group_policies.people_under(group)
    said.append(
        ngettext(
            "This holds for one person, who is in this group directly or through another one.",
            "This holds for %(num)s people, who are in this group directly or through others.",
            people,
        )
        if people
        else _("Nobody is in this group yet.")
    )
    waiting = group_policies.waiting_against(group, after)
    if waiting:
        said.append(
            ngettext(
                "One key that waits for its activation does not fit: it cannot be activated.",
                "%(num)s keys that wait for their activation do not fit: they cannot be activated.",
                waiting,
            )
        )
    said.append(
        _("Keys that work already go on working.")
        if after != ANY
        else _("The group asks for nothing any more; other groups may still.")
    )
    return said
