# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Taking a mass departure back as long work: so many people are more than one request's worth.

It counts as rejected from the moment that somebody says so, so that whoever leaves from then on
is held anew. A task that is cancelled half-way leaves the rest held, and open to a decision again.
"""

from __future__ import annotations

from .. import tasks
from ..audit import Actor
from ..models import MassDeparture, Task, User
from ..panel.access import Role
from ..tasks import Kind, Queries, Skip, Turn
from . import guard


def take_back(held: MassDeparture, actor: Actor) -> Task:
    """Begin to restore everybody whom it holds, in the caller's transaction."""
    guard.decide(held, "rejected", guard.count(held), actor)
    people = User.select(User.resource_id, User.display_name).where(User.departure == held)
    return tasks.begin(
        TAKE_BACK,
        actor,
        Queries([people]),
        title=held.connection.name,
        options={"departure": held.id},
    )


def _restore(turn: Turn) -> str:
    held = MassDeparture.get_by_id(turn.options["departure"])
    user = User.get_or_none(User.resource_id == turn.subject, User.departure == held)
    if user is None:
        raise Skip("no longer held")
    if not guard.restore(user, held, turn.actor):
        raise Skip("the user name or the external id belongs to somebody else by now")
    return ""


def _finish(task: Task) -> None:
    for_held = MassDeparture.id == tasks.options_of(task)["departure"]
    held = MassDeparture.get_or_none(for_held)
    if held is None or not guard.count(held):
        return
    newer = guard.open_for(held.connection)
    if newer is None:
        held.decided_at = held.decision = None
        held.save()
    else:
        User.update(departure=newer).where(User.departure == held).execute()


TAKE_BACK = tasks.register(Kind("take_back_departure", Role.OFFICER, _restore, _finish))
