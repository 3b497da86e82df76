# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who is in a group that was made by hand: people and groups are added and taken out."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning import directory, groups
from provisioning.errors import InvalidValue, NotFound, StepUpNeeded
from provisioning.issuing import group_policies
from provisioning.models import Group
from provisioning.pages import group_list
from provisioning.panel.access import Role
from provisioning.storage.db import transaction

from .. import kept, web
from ..web import panel_page
from ..wizard import drafts
from .listing import asked_first, mine

blueprint = Blueprint("group_members", __name__, url_prefix="/groups/<group_id>/members")


@blueprint.get("/add")
@panel_page(Role.OPERATOR)
def choose(group_id: str) -> ResponseReturnValue:
    """Search for people and groups to add."""
    group = mine(group_id)
    group_policies.check_members(group, web.panel_session())
    late = kept.take()
    chosen = drafts.take_groups(late.getlist("members")) if late is not None else []
    return _page(group, request.args.get("q", "").strip()[:100], chosen)


@blueprint.post("/add")
@panel_page(Role.OPERATOR)
def add(group_id: str) -> ResponseReturnValue:
    """Add who was ticked, or look for others and keep the ticks."""
    group = mine(group_id)
    chosen = drafts.take_groups(request.form.getlist("members"))
    if request.form.get("go") != "add":
        return _page(group, request.form.get("q", "").strip()[:100], chosen)
    try:
        with transaction():
            group_policies.check_members(group, web.panel_session())
            added = groups.add_members(group, chosen, actor=web.actor())
    except StepUpNeeded:
        kept.keep()
        raise
    except InvalidValue as error:
        flash(str(error), "error")
        return _page(group, request.form.get("q", "").strip()[:100], chosen)
    flash(
        ngettext("One member was added.", "%(num)s members were added.", added)
        if added
        else _("Nobody was added."),
        "success" if added else "info",
    )
    return redirect(url_for("groups.group", group_id=group_id), 303)


@blueprint.post("/<member_id>/remove")
@panel_page(Role.OPERATOR)
def remove(group_id: str, member_id: str) -> ResponseReturnValue:
    """Take one out; they stay what they are."""
    group = mine(group_id)
    first = asked_first(group)
    if first is not None:
        return first
    with transaction():
        group_policies.check_members(group, web.panel_session())
        removed = groups.remove_members(group, [member_id], actor=web.actor())
    if removed:
        words = _(
            "%(member)s is no longer in %(group)s.",
            member=_name(member_id),
            group=group.display_name,
        )
        flash(words, "success")
    return redirect(url_for("groups.group", group_id=group_id), 303)


def _page(group: Group, search: str, chosen: list[str]) -> str:
    found = group_list.candidates(group, search)
    ticked = [line for line in group_list.lines_of(chosen) if line not in found]
    return render_template(
        "panel/group_add.html",
        group={
            "name": group.display_name,
            "url": url_for("groups.group", group_id=group.resource_id),
        },
        groups_url=url_for("groups.groups"),
        add_url=url_for(".add", group_id=group.resource_id),
        rows=[*ticked, *found],
        chosen=chosen,
        search_text=search,
    )


def _name(resource_id: str) -> str:
    try:
        return str(directory.get_user(resource_id).display_name)
    except NotFound:
        try:
            return str(groups.get_group(resource_id).display_name)
        except NotFound:
            return resource_id
