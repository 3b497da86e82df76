# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What nearly no leaver has, found by one look, so that the cascade need not try each by itself."""

from __future__ import annotations

from typing import NamedTuple

from peewee import Select, fn

from .desks import jobs
from .lifecycle import KeyState
from .models import Challenge, Job, PanelAccount, SecurityKey, User
from .storage.db import database
from .storage.statements import Statements, parameter


class Rare(NamedTuple):
    """Which of these a person has."""

    account: bool  # for the panel
    challenge: bool  # of a browser that is about to answer
    job: bool  # that a desk may still do
    draft: bool  # a key in a wizard that is not finished


def rare_of(user: User) -> Rare:
    """Return what a person has of it; true until the transaction ends."""
    return Rare._make(_RARE.rows((), (user.id,))[0])


def _rare() -> Select:
    mine = parameter(0)
    look = Select(
        columns=[
            fn.EXISTS(each)
            for each in (
                PanelAccount.select(PanelAccount.id).where(PanelAccount.user == mine),
                Challenge.select(Challenge.id).where(Challenge.user == mine),
                Job.select(Job.id).where(Job.user == mine, Job.state.in_(jobs.OPEN)),
                SecurityKey.select(SecurityKey.id).where(
                    SecurityKey.user == mine, SecurityKey.state == KeyState.DRAFT
                ),
            )
        ]
    )
    return look.bind(database)


_RARE = Statements(_rare)
