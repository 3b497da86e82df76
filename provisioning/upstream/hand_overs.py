# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Every conflict of a directory decided at once: whoever was imported before a directory is
connected is a conflict each, and there may be thousands. Long work, see `tasks`.

People with an account in the panel are left out: handing them over is decided one by one.
"""

from __future__ import annotations

from typing import Any

from peewee import Cast, ModelSelect, fn

from .. import tasks
from ..audit import Actor
from ..models import Conflict, Connection, PanelAccount, Task, User
from ..panel.access import Role
from ..tasks import Kind, Queries, Skip, Turn
from . import conflicts, connections
from .conflicts import Held


def count(connection: Connection) -> int:
    """Return how many people `begin` would hand over."""
    query: Any = _handed(connection).select(fn.COUNT(Conflict.id))
    return int(query.scalar() or 0)


def begin(connection: Connection, actor: Actor) -> Task:
    """Hand over everybody whose name this directory wants and who is not its own yet."""
    rows = _handed(connection).select(Cast(Conflict.id, "TEXT"), Conflict.value)
    return tasks.begin(
        HAND_OVER,
        actor,
        Queries([rows.order_by(Conflict.id)]),
        title=connection.name,
        options={"connection": connection.id},
    )


def _handed(connection: Connection) -> ModelSelect[Any]:
    accounts = PanelAccount.select(PanelAccount.user).where(
        PanelAccount.user.is_null(False), PanelAccount.state == "active"
    )
    return (
        Conflict.select()
        .join(User, on=(User.user_name_key == Conflict.value_key) & User.deleted_at.is_null())
        .where(
            Conflict.connection == connection,
            Conflict.attribute == "userName",
            Conflict.dismissed_at.is_null(),
            User.connection.is_null() | (User.connection != connection),
            User.id.not_in(accounts),
        )
    )


def _one(turn: Turn) -> str:
    connection = connections.get(turn.options["connection"])
    line = conflicts.get(int(turn.subject), connection)
    if line.held is not Held.ELSEWHERE or not isinstance(line.holder, User):
        raise Skip("Nobody else holds this name any more.")
    if conflicts.consequences(line.holder).account is not None:
        raise Skip("This person has an account in the panel: hand them over one by one.")
    conflicts.hand_over(line, turn.actor)
    return ""


HAND_OVER = tasks.register(Kind("hand_over", Role.OFFICER, _one))
