# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Changing a person who was added by hand: details, and the local groups of anybody."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import directory, groups
from provisioning.errors import (
    Forbidden,
    InvalidValue,
    NotFound,
    Stale,
    StepUpNeeded,
    Taken,
    WrongState,
)
from provisioning.issuing import activations, group_policies
from provisioning.lifecycle import LinkState
from provisioning.mails import notices
from provisioning.mails.mail import Template
from provisioning.models import LIVE, Activation, Group, OutboxMail, User
from provisioning.pages import group_list
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import kept, web
from ..forms import UserDetails
from ..groups import picker
from ..web import panel_page
from ..wizard import drafts
from . import document as user_document
from . import page

blueprint = Blueprint("user_edit", __name__, url_prefix="/users/<user_id>")


@blueprint.route("/edit", methods=["GET", "POST"])
@panel_page(Role.OPERATOR)
def details(user_id: str) -> ResponseReturnValue:
    """Change what is known of a person; what somebody else saved meanwhile is shown first."""
    user = _mine(user_id)
    if request.method == "GET":
        late = kept.take()
        given = user_document.fields_of(directory.document_of(user))
        form = UserDetails(late) if late is not None else UserDetails(**given, version=user.version)
        form.besides = user
        return _details(form, user)
    form = UserDetails()
    form.besides = user
    if not form.validate():
        return _details(form, user)
    try:
        with transaction():
            user = _mine(user_id)
            if form.version.data != user.version:
                raise Stale(_("Somebody else changed this person in the meantime."))
            open_links, pin_waits = _open_links(user), _pin_waits(user)
            before = directory.document_of(user)
            typed = {name: form[name].data or "" for name in user_document.fields_of(before)}
            document = user_document.apply(before, typed)
            old = user.email
            if directory.mail_address(document) != old:
                web.check_not_above(user)
            changed = directory.replace_user(user, document, actor=web.actor())
            notices.address_changed(user, old, services())
    except Stale:
        return _details(form, user), 412
    except Forbidden as error:
        form.email.errors = [*form.email.errors, str(error)]
        return _details(form, user)
    except (InvalidValue, Taken) as error:
        form.blame_document(error)
        return _details(form, user)
    if changed:
        flash(_("The details of %(name)s are saved.", name=user.display_name), "success")
    if open_links and not _open_links(user):
        flash(_("A registration link went to the old address: it no longer works."), "warning")
    if pin_waits and not _pin_waits(user):
        words = _("A PIN mail had not left for the old address: it is cancelled. Reset the card.")
        flash(words, "warning")
    return redirect(url_for("users.user", user_id=user_id), 303)


@blueprint.get("/groups")
@panel_page(Role.OPERATOR)
def choose_groups(user_id: str) -> ResponseReturnValue:
    """Show which groups the person is in; those of a directory are changed there."""
    user = directory.get_user(user_id)
    late = kept.take()
    chosen = late.getlist("groups") if late is not None else _local(user)
    return _groups(user, chosen, before=late.getlist("before") if late is not None else chosen)


@blueprint.post("/groups")
@panel_page(Role.OPERATOR)
def keep_groups(user_id: str) -> ResponseReturnValue:
    """Add to and take out of local groups what was ticked and unticked on this page.

    Only that: what somebody else changed meanwhile stays.
    """
    user = directory.get_user(user_id)
    chosen = drafts.take_groups(request.form.getlist("groups"))
    before = drafts.take_groups(request.form.getlist("before"))
    if request.form.get("go") == "search":
        return _groups(user, chosen, before=before, search=request.form.get("search", "")[:100])
    try:
        with transaction():
            for group_id in [each for each in chosen if each not in before]:
                group = _changeable(group_id)
                groups.add_members(group, [user.resource_id], actor=web.actor())
            for group_id in [each for each in before if each not in chosen]:
                group = _changeable(group_id)
                groups.remove_members(group, [user.resource_id], actor=web.actor())
    except StepUpNeeded:
        kept.keep()
        raise
    except (InvalidValue, NotFound, Forbidden) as error:
        flash(str(error), "error")
        return _groups(user, chosen, before=before)
    if set(chosen) != set(before):
        flash(_("The groups of %(name)s are saved.", name=user.display_name), "success")
    return redirect(url_for("users.user", user_id=user_id), 303)


@blueprint.post("/groups/pick")
@panel_page(Role.OPERATOR)
def pick(user_id: str) -> ResponseReturnValue:
    """Answer the group picker for what is ticked and searched now."""
    user = directory.get_user(user_id)
    chosen = drafts.take_groups(request.form.getlist("groups"))
    return render_template(
        "panel/wizard/_group_picker.html",
        picker=_picker(user, chosen, request.form.get("search", "")[:100]),
        picker_url=url_for(".pick", user_id=user_id),
    )


def _details(form: UserDetails, user: User) -> str:
    saved = []
    if form.version.data != user.version:
        now = user_document.fields_of(directory.document_of(user))
        saved = [
            (form[name].label.text, value)
            for name, value in now.items()
            if value != (form[name].data or "").strip()
        ]
        form.version.data, form.version.raw_data = user.version, None
    return render_template(
        "panel/user_edit.html",
        form=form,
        saved=saved,
        user=_crumbs(user),
        users_url=url_for("users.users"),
        check_url=url_for("users.user_name", user_id=user.resource_id),
    )


def _groups(user: User, chosen: list[str], *, before: list[str], search: str = "") -> str:
    return render_template(
        "panel/user_groups.html",
        picker=_picker(user, chosen, search),
        picker_url=url_for(".pick", user_id=user.resource_id),
        before=before,
        search_text=search,
        user=_crumbs(user),
        users_url=url_for("users.users"),
    )


def _picker(user: User, chosen: list[str], search: str) -> dict[str, object]:
    mine = group_list.named(chosen)
    locked = _locked()
    others = [line for line in page.groups_of(user) if not _may_leave(line, locked)]
    fixed = [{"name": line["name"], "hint": _why_fixed(line)} for line in others]
    direct = [str(line["id"]) for line in others if not line["indirect"]]
    held = [*(line.resource_id for line in mine), *direct]
    return picker.shown(
        mine, search, group_policies.of_groups(held, services().settings), fixed, locked
    )


def _local(user: User) -> list[str]:
    locked = _locked()
    return [str(line["id"]) for line in page.groups_of(user) if _may_leave(line, locked)]


def _may_leave(line: dict[str, object], locked: set[str]) -> bool:
    return not line["source"] and not line["indirect"] and line["id"] not in locked


def _why_fixed(line: dict[str, object]) -> str:
    if line["source"] or line["indirect"]:
        return str(_("owned by %(source)s", source=line["source"] or _("another group")))
    return picker.locked_words()


def _locked() -> set[str]:
    """Return the groups that the signed-in account changes nobody's membership of."""
    if web.may(group_policies.EDITS):
        return set()
    return group_policies.with_members_under_policy()


def _changeable(group_id: str) -> Group:
    group = groups.get_group(group_id)
    if group.connection is not None:
        raise InvalidValue(
            _("%(name)s is owned by a directory.", name=group.display_name), "groups"
        )
    group_policies.check_members(group, web.panel_session())
    return group


def _mine(user_id: str) -> User:
    user = directory.get_user(user_id)
    if user.connection is not None:
        raise WrongState(
            _("%(source)s owns this person: change them there.", source=user.connection.name)
        )
    return user


def _open_links(user: User) -> bool:
    live = Activation.select().where(Activation.user == user, Activation.state == LIVE)
    return any(activations.state_of(link) is LinkState.LIVE for link in live)


def _pin_waits(user: User) -> bool:
    waiting = OutboxMail.select().where(
        OutboxMail.user == user,
        OutboxMail.template == Template.PIN,
        OutboxMail.sealed_secret.is_null(False),
    )
    return bool(waiting.exists())


def _crumbs(user: User) -> dict[str, str]:
    return {
        "name": user.display_name,
        "url": url_for("users.user", user_id=user.resource_id),
    }
