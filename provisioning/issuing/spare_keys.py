# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A spare key that a person adds on their own page, where the organisation lets them.

Signed in with one key they may bind another (NIST SP 800-63B-4 §4.1.2): it is activated by a link
like any other, which is mailed as well, so that somebody hears of it who was not at the screen.
"""

from __future__ import annotations

from .. import keys
from ..audit import Actor
from ..errors import PolicyForbids, WrongState
from ..lifecycle import KeyKind
from ..models import Activation, SecurityKey, User
from ..panel.access import Role
from ..services import Services
from . import activations, group_policies
from .policy import Method

MOST = 5  # living keys of one person


def kinds_for(user: User, services: Services) -> list[KeyKind]:
    """Return which kinds this person may add by themselves; none if their groups say otherwise.

    Groups that want a higher role or a second officer to look at a key want nobody to add one.
    """
    policy = group_policies.of_user(user, services.settings).policy
    if not services.settings.spare_keys or policy.second_approver or policy.role != Role.OPERATOR:
        return []
    if not user.email:
        return []
    return [kind for kind in KeyKind if policy.allows(kind, Method.USER)]


def has_room(user: User) -> bool:
    """Say whether a person may have one more."""
    return sum(key.state in keys.LIVING for key in keys.of_user(user)) < MOST


def add(
    user: User, kind: KeyKind, name: str, actor: Actor, services: Services
) -> tuple[SecurityKey, Activation]:
    """Make a pending key and its link, in the caller's transaction.

    Raises PolicyForbids, WrongState, InvalidValue and Taken.
    """
    user.renew()
    if not user.active:
        raise WrongState(f"{user.display_name} is suspended: reactivate first.")
    if kind not in kinds_for(user, services):
        raise PolicyForbids("Your organisation does not let you add this kind of key.", "kind")
    if not has_room(user):
        raise WrongState(f"You have {MOST} keys already. Ask for one to be revoked first.")
    key = keys.draft(kind, name, Method.USER, user=user, actor=actor)
    keys.assign(key, user, actor)
    activation, _url = activations.issue(key, services, actor)
    return key, activation
