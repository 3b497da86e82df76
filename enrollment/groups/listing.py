# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Groups: the list, one group's members, and groups made by hand."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning import groups
from provisioning.errors import Forbidden, InvalidValue, StepUpNeeded, Taken
from provisioning.issuing import group_policies
from provisioning.issuing.group_policies import Ruling
from provisioning.models import Group
from provisioning.pages import group_list, times
from provisioning.pages.group_list import Line, MemberLine
from provisioning.panel.access import Role
from provisioning.storage.db import transaction

from .. import kept, web
from ..forms import GroupForm
from ..keys.items import Action, Ask
from ..web import panel_page
from . import policy_words

blueprint = Blueprint("groups", __name__, url_prefix="/groups")


@blueprint.get("", endpoint="groups")
@panel_page()
def all_groups() -> ResponseReturnValue:
    """Show the groups, by name."""
    search, after = request.args.get("q", "")[:100], request.args.get("after")
    lines, more = group_list.page(search, after=after)
    return render_template(
        "panel/groups.html",
        rows=[_row(line) for line in lines],
        search_text=search,
        list_url=url_for(".groups"),
        pager={
            "shown": ngettext("%(num)s group", "%(num)s groups", len(lines)),
            "first_url": _list(search) if after else None,
            "previous_url": None,
            "next_url": _list(search, lines[-1].resource_id) if more else None,
        },
        total=group_list.count(),
        new_url=url_for(".new") if web.may(Role.OPERATOR) else None,
    )


@blueprint.get("/<group_id>")
@panel_page()
def group(group_id: str) -> ResponseReturnValue:
    """Show one group with its members."""
    row = groups.get_group(group_id)
    search, after = request.args.get("q", "")[:100], web.position()
    lines, following = group_list.members(row, search, after=after)
    here: dict[str, Any] = {"group_id": group_id, "q": search or None}
    source = row.connection.name if row.connection is not None else None
    operator = row.connection is None and web.may(Role.OPERATOR)
    refusal = _refusal(row) if operator else ""
    changes = operator and not refusal
    return render_template(
        "panel/group.html",
        group={
            "name": row.display_name,
            "source": source,
            "facts": [
                (_("Source"), source or _("Local")),
                (_("External ID"), row.external_id),
                (_("Made"), times.exact(row.created_at)),
                (_("Changed"), times.exact(row.updated_at)),
            ],
        },
        rows=[_member(line, row, changes) for line in lines],
        search_text=search,
        list_url=url_for(".group", group_id=group_id),
        pager={
            "shown": _("%(some)s shown", some=len(lines)),
            "first_url": url_for(".group", **here) if after else None,
            "previous_url": None,
            "next_url": url_for(".group", after=following, **here) if following else None,
        },
        total=group_list.member_count(row),
        policy=policy_words.lines(Ruling(group_policies.of_group(row)[0]), all_parts=True),
        policy_url=url_for("group_policy.edit", group_id=group_id)
        if web.may(group_policies.EDITS)
        else None,
        actions=_actions(row, changes) if operator else [],
        add_url=url_for("group_members.choose", group_id=group_id) if changes else None,
        refusal=refusal,
        groups_url=url_for(".groups"),
    )


@blueprint.route("/new", methods=["GET", "POST"])
@panel_page(Role.OPERATOR)
def new() -> ResponseReturnValue:
    """Make a group by hand."""
    form = GroupForm(kept.form_data())
    if form.validate_on_submit():
        try:
            with transaction():
                made = groups.create_group(
                    {"displayName": form.name.data}, connection=None, actor=web.actor()
                )
            flash(_("%(name)s is made.", name=made.display_name), "success")
            return redirect(url_for(".group", group_id=made.resource_id))
        except (InvalidValue, Taken) as error:
            form.blame(error, "name")
    lead = _("People are added on its page, in the New User wizard and on their own pages.")
    return _name_page(form, _("New group"), lead, _("Make group"), None)


@blueprint.route("/<group_id>/rename", methods=["GET", "POST"])
@panel_page(Role.OPERATOR)
def rename(group_id: str) -> ResponseReturnValue:
    """Give a group that was made by hand another name."""
    row = mine(group_id)
    form = GroupForm(kept.form_data(), name=row.display_name, before=row.display_name)
    if form.validate_on_submit() and _is_fresh(form, row):
        try:
            with transaction():
                document = {**groups.document_of(row), "displayName": form.name.data}
                groups.replace_group(row, document, actor=web.actor())
            return redirect(url_for(".group", group_id=group_id))
        except (InvalidValue, Taken) as error:
            form.blame(error, "name")
    return _name_page(form, _("Rename group"), None, _("Rename"), row)


@blueprint.post("/<group_id>/delete")
@panel_page(Role.OPERATOR)
def delete(group_id: str) -> ResponseReturnValue:
    """Delete a group that was made by hand; its members stay users."""
    row = mine(group_id)
    first = asked_first(row)
    if first is not None:
        return first
    with transaction():
        group_policies.check_members(row, web.panel_session())
        groups.delete_group(row, web.actor())
    flash(_("%(name)s is deleted.", name=row.display_name), "success")
    return redirect(url_for(".groups"))


def mine(group_id: str) -> Group:
    """Return a group that was made by hand; raises Forbidden naming the directory."""
    row = groups.get_group(group_id)
    if row.connection is not None:
        raise Forbidden(
            _("%(source)s owns this group: change it there.", source=row.connection.name)
        )
    return row


def asked_first(row: Group) -> ResponseReturnValue | None:
    """Return the way to the step-up page if who is in this group changes only with a key, or None.

    Raises Forbidden for whoever may not change that at all.
    """
    try:
        group_policies.check_members(row, web.panel_session())
    except StepUpNeeded:
        return web.step_up_first(url_for("groups.group", group_id=row.resource_id))
    return None


def _refusal(row: Group) -> str:
    """Return why the signed-in account cannot change who is in a group, or ""."""
    try:
        group_policies.check_members(row, web.panel_session())
    except StepUpNeeded:
        return ""
    except Forbidden as error:
        return str(error)
    return ""


def _is_fresh(form: GroupForm, row: Group) -> bool:
    """Say whether nobody renamed the group meanwhile; what was typed stays in the field."""
    if form.before.data in (None, row.display_name):
        return True
    flash(
        _(
            "Meanwhile somebody else renamed this group: it is called %(name)s now. Your name is "
            "still in the field; rename again to replace theirs.",
            name=row.display_name,
        ),
        "warning",
    )
    form.before.data, form.before.raw_data = row.display_name, None
    return False


def _actions(row: Group, changes: bool) -> list[Action]:
    given: dict[str, Any] = {"group_id": row.resource_id}
    rename = Action(_("Rename"), url_for(".rename", **given), "pencil", link=True)
    if not changes:
        return [rename]
    members = group_list.member_count(row)
    ask = Ask(
        _("Delete %(name)s?", name=row.display_name),
        [
            ngettext(
                "One member leaves the group and stays a user.",
                "%(num)s members leave the group and stay users.",
                members,
            )
            if members
            else _("It has no members."),
            _("This cannot be undone."),
        ],
        _("Delete group"),
    )
    return [
        rename,
        Action(_("Delete"), url_for(".delete", **given), "trash-2", "danger-quiet", ask=ask),
    ]


def _name_page(
    form: GroupForm, title: str, lead: str | None, label: str, row: Group | None
) -> ResponseReturnValue:
    back = {"label": _("Groups"), "url": url_for(".groups")}
    if row is not None:
        back = {"label": row.display_name, "url": url_for(".group", group_id=row.resource_id)}
    return render_template(
        "panel/name.html", title=title, lead=lead, form=form, save_label=label, back=back
    )


def _row(line: Line) -> dict[str, object]:
    return {
        "url": url_for(".group", group_id=line.resource_id),
        "name": line.name,
        "members": line.members,
        "source": line.source,
        "updated_at": line.updated_at,
    }


def _member(line: MemberLine, group: Group, changes: bool) -> dict[str, object]:
    given: dict[str, Any] = {"group_id": group.resource_id, "member_id": line.resource_id}
    remove = url_for("group_members.remove", **given) if changes else None
    if line.is_user:
        url = url_for("users.user", user_id=line.resource_id)
        return {
            "kind": "user",
            "url": url,
            "name": line.name,
            "sub": line.sub,
            "status": line.status,
            "remove_url": remove,
        }
    url = url_for(".group", group_id=line.resource_id)
    return {"kind": "group", "url": url, "name": line.name, "sub": _("group"), "remove_url": remove}


def _list(search: str, after: str | None = None) -> str:
    return url_for(".groups", q=search or None, after=after)
