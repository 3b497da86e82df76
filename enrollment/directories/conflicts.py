# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Names that a directory wants and something else holds: hand over, dismiss, take back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from provisioning.errors import WrongState
from provisioning.models import Connection, Group, User
from provisioning.pages import figures
from provisioning.panel.access import Role
from provisioning.storage.db import transaction
from provisioning.upstream import conflicts, connections, hand_overs
from provisioning.upstream.conflicts import Held, Line
from provisioning.upstream.connections import Scope

from .. import tasks, web
from ..keys.items import Action, Ask
from ..tasks import Words
from ..web import panel_page
from .page import head

blueprint = Blueprint(
    "directory_conflicts", __name__, url_prefix="/directories/<int:connection_id>/conflicts"
)


@blueprint.get("", endpoint="conflicts")
@panel_page()
def all_conflicts(connection_id: int) -> ResponseReturnValue:
    """Show what waits for a decision, or with `only=dismissed` what was dismissed."""
    connection = connections.get(connection_id)
    dismissed = request.args.get("only") == "dismissed"
    after = web.position()
    lines, more = conflicts.page(connection, dismissed=dismissed, after=after)
    here: dict[str, Any] = {
        "connection_id": connection_id,
        "only": "dismissed" if dismissed else None,
    }
    return render_template(
        "panel/directory/conflicts.html",
        **head(connection, "conflicts"),
        rows=[_row(connection, line) for line in lines],
        dismissed=dismissed,
        all_action=_all(connection) if lines and not dismissed else None,
        open_url=url_for(".conflicts", connection_id=connection_id),
        dismissed_url=url_for(".conflicts", connection_id=connection_id, only="dismissed"),
        pager={
            "shown": _("%(some)s shown", some=len(lines)),
            "first_url": url_for(".conflicts", **here) if after else None,
            "previous_url": None,
            "next_url": url_for(".conflicts", **here, after=lines[-1].conflict.id)
            if more
            else None,
        },
    )


@blueprint.post("/<int:conflict_id>/hand-over")
@panel_page(Role.OWNER)
def hand_over(connection_id: int, conflict_id: int) -> ResponseReturnValue:
    """Give the person who holds the name to the directory."""
    back = url_for(".conflicts", connection_id=connection_id)
    first = web.step_up_first(back)
    if first is not None:
        return first
    try:
        with transaction():
            connection = connections.get(connection_id)
            user = conflicts.hand_over(conflicts.get(conflict_id, connection), web.actor())
    except WrongState as error:
        flash(str(error), "error")
        return redirect(back)
    flash(
        _(
            "%(name)s belongs to %(connection)s now. At its next attempt the directory finds this "
            "person and updates it.",
            name=user.display_name,
            connection=connection.name,
        ),
        "success",
    )
    return redirect(back)


@blueprint.post("/hand-over")
@panel_page(Role.OWNER)
def hand_over_all(connection_id: int) -> ResponseReturnValue:
    """Give everybody whose name it wants to the directory, as long work."""
    first = web.step_up_first(url_for(".conflicts", connection_id=connection_id))
    if first is not None:
        return first
    with transaction():
        task = hand_overs.begin(connections.get(connection_id), web.actor())
    return redirect(url_for("tasks.task", task_id=task.resource_id))


@blueprint.post("/<int:conflict_id>/dismiss")
@panel_page(Role.OPERATOR)
def dismiss(connection_id: int, conflict_id: int) -> ResponseReturnValue:
    """Let a conflict be."""
    with transaction():
        line = conflicts.get(conflict_id, connections.get(connection_id))
        conflicts.dismiss(line.conflict, web.actor())
    flash(_("Dismissed. It stays under Dismissed, where it can be taken back."), "success")
    return redirect(url_for(".conflicts", connection_id=connection_id))


@blueprint.post("/<int:conflict_id>/reopen")
@panel_page(Role.OPERATOR)
def reopen(connection_id: int, conflict_id: int) -> ResponseReturnValue:
    """Take a dismissal back."""
    with transaction():
        line = conflicts.get(conflict_id, connections.get(connection_id))
        conflicts.reopen(line.conflict, web.actor())
    return redirect(url_for(".conflicts", connection_id=connection_id, only="dismissed"))


def _all(connection: Connection) -> Action | None:
    """Offer to hand everybody over, where there are several."""
    people = hand_overs.count(connection) if web.may(Role.OWNER) else 0
    if people < 2:
        return None
    number, there = figures.number(people), connection.name
    ask = Ask(
        _("Hand %(n)s people over to %(connection)s?", n=number, connection=there),
        [
            _(
                "From its next attempts on %(connection)s finds them by name and updates them: "
                "what it sends replaces what is here, and when it says that somebody has left, "
                "that person's keys stop at once.",
                connection=there,
            ),
            _("Directories that sent some of them until now lose them, and so do their groups."),
            _("People with an account in the panel are left out: decide about them one by one."),
            _("It runs in the background, can be watched and stopped, and ends with a result."),
        ],
        _("Hand all over"),
        tone="primary",
    )
    url = url_for(".hand_over_all", connection_id=connection.id)
    return Action(_("Hand over all %(n)s", n=number), url, "send", ask=ask)


tasks.WORDS[hand_overs.HAND_OVER.name] = Words(
    _l("Hand-over to a directory"),
    _l("Conflicts"),
    "directory_conflicts.conflicts",
    "folder-sync",
    lambda options: {"connection_id": options["connection"]},
)


def _row(connection: Connection, line: Line) -> dict[str, object]:
    conflict, holder = line.conflict, line.holder
    person = holder if isinstance(holder, User) else None
    return {
        "id": conflict.id,
        "attribute": conflict.attribute,
        "value": conflict.value,
        "seen": conflict.seen,
        "first_seen_at": conflict.first_seen_at,
        "last_seen_at": conflict.last_seen_at,
        "held": line.held,
        "text": _words(connection, line),
        "person": person.display_name if person is not None else None,
        "person_url": url_for("users.user", user_id=person.resource_id)
        if person is not None
        else None,
        "actions": _actions(connection, line),
    }


def _words(connection: Connection, line: Line) -> str:
    holder = line.holder
    if line.held is Held.FREE or holder is None:
        return str(_("Nobody holds it any more: the directory's next attempt will do."))
    if isinstance(holder, Group) and line.conflict.attribute == "displayName":
        # A directory's groups clash with its own alone.
        return str(
            _(
                "This directory made a group of this name itself. It should look groups up by "
                "displayName before it posts them. If it has two of one name, switch “%(name)s” "
                "off under Settings.",
                name=_("Each group name only once"),
            )
        )
    if line.held is Held.OWN:
        return " ".join(map(str, _own_words(connection, line.conflict.kind)))
    if holder.connection is not None:
        return str(_("Held by somebody whom %(source)s sends.", source=holder.connection.name))
    return str(_("Held by somebody who was made here by hand."))


def _own_words(connection: Connection, kind: str) -> Iterator[object]:
    yield _(
        "This directory made the holder itself and did not recognise it. Look at the "
        "attribute by which it matches: it should be the one named here."
    )
    if kind == "User" and not connection.merges_bulk:  # HR connectors look nobody up
        yield _(
            "If it posts everybody anew each time, by Bulk, switch “%(name)s” on under Settings.",
            name=_("A Bulk POST of somebody who is there changes them"),
        )


def _actions(connection: Connection, line: Line) -> list[Action]:
    here: dict[str, Any] = {"connection_id": connection.id, "conflict_id": line.conflict.id}
    found = []
    if line.held is Held.ELSEWHERE and isinstance(line.holder, User) and web.may(Role.OWNER):
        ask = _ask(connection, line.holder)
        found.append(Action(_("Hand over"), url_for(".hand_over", **here), "send", ask=ask))
    if web.may(Role.OPERATOR):
        found.append(
            Action(_("Dismiss"), url_for(".dismiss", **here), "x", "quiet")
            if line.conflict.dismissed_at is None
            else Action(_("Show again"), url_for(".reopen", **here), "rotate-ccw", "quiet")
        )
    return found


def _ask(connection: Connection, user: User) -> Ask:
    """Say what follows, in numbers."""
    follows = conflicts.consequences(user)
    name, there = user.display_name, connection.name
    sentences = [
        _(
            "From its next attempt on %(connection)s finds this person by name and updates it: "
            "what it sends replaces what is here.",
            connection=there,
        ),
        ngettext(
            "When it says that %(name)s has left, one working key stops at once.",
            "When it says that %(name)s has left, %(num)s working keys stop at once.",
            follows.keys,
            name=name,
        )
        if follows.keys
        else _("%(name)s has no working key at the moment.", name=name),
    ]
    if follows.source is not None:
        sentences.append(
            ngettext(
                "%(source)s loses this person, and its group loses a member.",
                "%(source)s loses this person, and %(num)s of its groups lose a member.",
                follows.groups,
                source=follows.source,
            )
            if follows.groups
            else _("%(source)s loses this person.", source=follows.source)
        )
    if follows.account is not None:
        sentences.append(
            _(
                "%(name)s has a panel account (%(role)s): when the directory says that they have "
                "left, it is suspended, unless it is the last owner's.",
                name=name,
                role=follows.account,
            )
        )
    if connection.scope == Scope.READ:
        sentences.append(
            _("%(connection)s may only read, so that it can change nothing.", connection=there)
        )
    title = _("Hand %(name)s over to %(connection)s?", name=name, connection=there)
    return Ask(title, sentences, _("Hand over"), tone="primary")
