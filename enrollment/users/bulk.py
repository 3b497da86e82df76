# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Many people at once: ticked in the list, or all that its filters let through; as long work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from peewee import ModelSelect
from werkzeug.datastructures import MultiDict

from provisioning import bulk_users, tasks
from provisioning.bulk_users import ASSIGN, RESEND, SUSPEND, Reach
from provisioning.lifecycle import UserStatus
from provisioning.models import User
from provisioning.pages import people
from provisioning.panel.access import Role
from provisioning.storage.db import transaction
from provisioning.tasks import Kind, Queries

from .. import kept, web
from .. import tasks as task_pages
from ..forms import BulkAssignForm
from ..web import panel_page
from ..wizard import drafts
from . import page as user_page
from . import table

blueprint = Blueprint("users_bulk", __name__, url_prefix="/users/many")

_MOST = people.PAGE  # ticks of one page; more go by the filters


@dataclass(frozen=True)
class _Verb:
    kind: Kind
    label: Any
    icon: str
    tone: str = "primary"


VERBS = {
    "assign": _Verb(ASSIGN, _l("Assign a key by link"), "key-round"),
    "resend": _Verb(RESEND, _l("Send links anew"), "send"),
    "suspend": _Verb(SUSPEND, _l("Suspend"), "circle-pause", "danger"),
}


def _about(options: Mapping[str, Any]) -> str:
    whom = options.get("whom")
    if not whom:
        return str(_("Chosen in the list"))
    status = str(table.status_names()[UserStatus(whom["status"])]) if whom["status"] else ""
    search = str(_("“%(name)s”", name=whom["search"])) if whom["search"] else ""
    filters = ", ".join(part for part in (search, status) if part)
    return str(_("All that match %(filters)s", filters=filters) if filters else _("All users"))


for _one in VERBS.values():
    task_pages.WORDS[_one.kind.name] = task_pages.Words(
        _one.label, _l("Users"), "users.users", _one.icon, about=_about, people=True
    )


@blueprint.post("")
@panel_page(Role.OPERATOR)
def choose() -> ResponseReturnValue:
    """Go from the list to the page that says what the chosen action would do."""
    return _page(request.form)


@blueprint.get("")
@panel_page(Role.OPERATOR)
def again() -> ResponseReturnValue:
    """The same page after a sign-in or step-up that came in between."""
    late = kept.take()
    return _page(late) if late is not None else redirect(url_for("users.users"))


@blueprint.post("/go")
@panel_page(Role.OPERATOR)
def begin() -> ResponseReturnValue:
    """Queue the work; the page of the task shows how far it is."""
    form = request.form
    verb = VERBS.get(form.get("verb", ""))
    chosen, all_of_them = _chosen(form)
    if verb is None or not chosen.exists():
        return _page(form)
    options: dict[str, object] = {}
    if verb.kind is ASSIGN:
        asked = BulkAssignForm()
        if not asked.validate():
            return _page(form, asked)
        pattern = drafts.suggested_name(asked.kind.data, "{name}")
        options = {"kind": asked.kind.data, "name": pattern, "again": bool(asked.again.data)}
    first = web.step_up_first(url_for(".again"))
    if first is not None:
        kept.keep(url_for(".again"))
        return first
    named = chosen.select(User.resource_id, User.display_name).order_by(User.display_name_key)
    with transaction():
        options["whom"] = _whom(form, all_of_them)
        task = tasks.begin(verb.kind, web.actor(), Queries([named]), options=options)
    return redirect(url_for("tasks.task", task_id=task.resource_id), 303)


def _page(form: MultiDict[str, str], asked: BulkAssignForm | None = None) -> ResponseReturnValue:
    name = form.get("verb", "")
    verb = VERBS.get(name)
    chosen, all_of_them = _chosen(form)
    found = bulk_users.reach(chosen)
    back = table.address(table.wanted(form))
    if verb is None or not found.people:
        flash(_("Tick somebody first, or choose all that match."), "info")
        return redirect(back, 303)
    return render_template(
        "panel/users_bulk.html",
        title=verb.label,
        verb=name,
        picture=verb.icon,
        tone=verb.tone,
        follows=_follows(verb.kind, found),
        form=(asked or BulkAssignForm(form if "kind" in form else None))
        if verb.kind is ASSIGN
        else None,
        fields=_carried(form, all_of_them),
        go_url=url_for(".begin"),
        back={"label": _("Users"), "url": back},
    )


def _chosen(form: MultiDict[str, str]) -> tuple[ModelSelect[User], bool]:
    """Return whom the form means, as a query, and whether that is all whom the filters find."""
    if form.get("whom") == "all":
        return people.matching(table.wanted(form)), True
    ticked = list(dict.fromkeys(form.getlist("user")))[:_MOST]
    return User.select().where(User.resource_id.in_(ticked), User.deleted_at.is_null()), False


def _carried(form: MultiDict[str, str], all_of_them: bool) -> list[tuple[str, str]]:
    """Return what names the chosen people again when the form comes back."""
    if all_of_them:
        filters = [(name, form.get(name, "")) for name in ("q", "status", "sort", "dir")]
        return [("whom", "all"), *(pair for pair in filters if pair[1])]
    return [("user", each) for each in dict.fromkeys(form.getlist("user"))][:_MOST]


def _follows(kind: Kind, found: Reach) -> list[str]:
    """Return what the work would do, in sentences with numbers."""
    said = [ngettext("One person is chosen.", "%(num)s people are chosen.", found.people)]
    away = found.people - found.active
    if away:
        said.append(
            ngettext(
                "One of the chosen is suspended already.",
                "%(num)s of the chosen are suspended already.",
                away,
            )
        )
    if kind is ASSIGN:
        if found.with_key:
            said.append(
                ngettext(
                    "One of them has a key already and is left out.",
                    "%(num)s of them have a key already and are left out.",
                    found.with_key,
                )
            )
        if found.without_address:
            said.append(
                ngettext(
                    "One has no address that a link could go to; the result names them.",
                    "%(num)s have no address that a link could go to; the result names them.",
                    found.without_address,
                )
            )
        others = found.with_key or found.without_address or found.people > found.active
        said.append(
            _("Everybody else gets a key that waits, and a registration link by mail.")
            if others
            else _("Each gets a key that waits, and a registration link by mail.")
        )
        said.append(_("Where the groups of a person do not allow this, the result says so."))
    elif kind is SUSPEND:
        said.append(
            ngettext(
                "One key stops working at once.",
                "%(num)s keys stop working at once.",
                found.working + found.waiting,
            )
        )
        said.append(_("Every sign-in of these people ends, and open links die."))
        said.append(user_page.after_grace())
    else:
        said.append(
            ngettext(
                "One key waits for its activation.",
                "%(num)s keys wait for their activation.",
                found.waiting,
            )
        )
        said.append(_("Each that is activated by its user gets a new link; older ones stop."))
    return said


def _whom(form: MultiDict[str, str], all_of_them: bool) -> dict[str, object]:
    """Return whom the work is about, to be said in each reader's language."""
    if not all_of_them:
        return {}
    wanted = table.wanted(form)
    return {"search": wanted.search, "status": wanted.status}
