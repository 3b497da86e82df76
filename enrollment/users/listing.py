# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Users: the list, one person's page, suspend and reactivate."""

from __future__ import annotations

from flask import (
    Blueprint,
    Response,
    flash,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from provisioning import directory, keys
from provisioning.issuing import group_policies
from provisioning.lifecycle import KeyState
from provisioning.pages import people
from provisioning.panel import panel_keys
from provisioning.panel.access import Role
from provisioning.services import services
from provisioning.storage.db import transaction

from .. import web
from ..forms import user_name_fault
from ..groups import policy_words
from ..keys import items as key_items
from ..web import panel_page
from ..wizard import drafts
from ..wizard import view as wizard_view
from . import badges, bulk, table, timeline
from . import page as user_page

blueprint = Blueprint("users", __name__, url_prefix="/users")

_FILTERS = ("q", "status", "sort", "dir")


@blueprint.get("")
@panel_page()
def users() -> ResponseReturnValue:
    """Show the list by the URL's filters."""
    wanted = table.wanted(request.args)
    counts = people.counts()
    page = people.page(wanted)
    shown = counts[wanted.status] if wanted.status is not None else sum(counts.values())
    operator = web.may(Role.OPERATOR)
    return render_template(
        "panel/users.html",
        tabs=table.tabs(wanted, counts),
        rows=table.rows(page),
        columns=table.columns(wanted),
        pager=table.pager(wanted, page, shown),
        search_text=wanted.search,
        status_filter=wanted.status,
        list_url=url_for(".users"),
        new_url=url_for("wizard.new") if operator else None,
        batch_url=url_for("batches.make") if operator else None,
        bulk_url=url_for("users_bulk.choose") if operator else None,
        verbs=[(name, verb.label) for name, verb in bulk.VERBS.items()],
        filters=[(name, request.args[name]) for name in _FILTERS if request.args.get(name)],
        export_url=table.address(wanted, "users.export"),
        total=sum(counts.values()),
        drafts=_drafts() if operator else [],
        second_key_url=url_for("account.page") if _has_one_key() else None,
        directories_url=url_for("directories.directories") if web.may(Role.OWNER) else None,
        import_url=url_for("imports.imports") if web.may(Role.OFFICER) else None,
    )


@blueprint.get("/export.csv")
@panel_page()
def export() -> ResponseReturnValue:
    """Stream the whole filtered list as CSV."""
    lines = people.export(table.wanted(request.args))
    response = Response(stream_with_context(table.as_csv(lines)), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="users.csv"'
    return response


@blueprint.get("/<user_id>")
@panel_page()
def user(user_id: str) -> ResponseReturnValue:
    """Show one person."""
    person = directory.get_user(user_id)
    assign = person.active and web.may(Role.OPERATOR)
    return render_template(
        "panel/user.html",
        user=user_page.head(person),
        groups=user_page.groups_of(person),
        policy=policy_words.lines(group_policies.of_user(person, services().settings)),
        keys=[key_items.item(key) for key in keys.of_user(person)],
        badges=badges.shown(person),
        events=timeline.page(person, size=15)[0][:15],
        events_url=url_for("user_timeline.timeline", user_id=user_id),
        log_url=url_for("activity.activity", person=user_id),
        actions=user_page.actions(person),
        assign_url=url_for("wizard.assign_key", user_id=user_id) if assign else None,
        users_url=url_for(".users"),
    )


@blueprint.get("/<user_id>/user-name")
@panel_page(Role.OPERATOR)
def user_name(user_id: str) -> ResponseReturnValue:
    """Say at once, while somebody edits, that a userName is another person's."""
    person = directory.get_user(user_id)
    typed = request.args.get("user_name", "")
    sentence = user_name_fault(typed, person) if typed.strip() else ""
    return render_template("panel/_live_note.html", sentence=sentence)


@blueprint.post("/<user_id>/suspend")
@panel_page(Role.OPERATOR)
def suspend(user_id: str) -> ResponseReturnValue:
    """Run the cascade."""
    person = directory.get_user(user_id)
    web.check_not_above(person)
    with transaction():
        directory.suspend(person, web.actor())
    flash(_("%(name)s is suspended, with every key.", name=person.display_name), "success")
    return redirect(url_for(".user", user_id=user_id))


@blueprint.post("/<user_id>/reactivate")
@panel_page(Role.OPERATOR)
def reactivate(user_id: str) -> ResponseReturnValue:
    """Let the person in again; keys stay suspended until an officer resumes them."""
    person = directory.get_user(user_id)
    with transaction():
        directory.resume(person, web.actor())
    stopped = sum(1 for key in keys.of_user(person) if key.state == KeyState.SUSPENDED)
    flash(_("%(name)s is active again.", name=person.display_name), "success")
    if stopped:
        flash(
            ngettext(
                "One key is still suspended: an officer resumes it.",
                "%(num)s keys are still suspended: an officer resumes each one.",
                stopped,
            )
        )
    return redirect(url_for(".user", user_id=user_id))


def _has_one_key() -> bool:
    # The demonstration's owner has a software card that cannot be lost.
    one = len(panel_keys.of_account(web.panel_account())) == 1
    return one and not services().settings.demo


def _drafts() -> list[dict[str, object]]:
    """Return the wizards that this account left unfinished."""
    found = []
    for row in drafts.unfinished(web.panel_account()):
        title = wizard_view.title(row)
        name = drafts.person_name(row, drafts.read(row))
        step = drafts.steps_of(row)[0]
        found.append(
            {
                "name": title if name in title else f"{title}: {name}",
                "url": url_for("wizard.show", draft_id=row.resource_id, step=step.value),
                "saved_at": row.updated_at,
            }
        )
    return found
