# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What keys a person may have and how they come about: one value, and how several join.

Pure: no database, no request. Several policies hold at once (the installation's, each group's), and
`strictest` makes one of them. Each part joins by itself, by a meet of its own order, so that the
order, repetition and nesting of groups cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, unique
from functools import reduce

from ..lifecycle import KeyKind
from ..panel.access import RANK, Role
from ..settings import PinDelivery


@unique
class Method(StrEnum):
    """Who activates a key: an admin who has it at hand, or its user by a link."""

    ADMIN = "admin"
    USER = "user"


# From the loosest to the strictest: a PIN that nobody else ever knew is the best one.
DELIVERIES = (PinDelivery.MAIL, PinDelivery.REVEAL_ONCE, PinDelivery.USER_SETS)
NO_LENGTH = 0
LONGEST_PIN = 16  # of those that the server makes; a card takes 63


@dataclass(frozen=True)
class Policy:
    """What holds for a person's keys. Without arguments it allows everything.

    `pin_length` in characters, 0 for no rule; `role` is the least one whose holder may assign and
    activate; with `second_approver` another officer has to agree before a key works.
    """

    kinds: frozenset[KeyKind] = frozenset(KeyKind)
    methods: frozenset[Method] = frozenset(Method)
    pin_length: int = NO_LENGTH
    pin_delivery: PinDelivery = PinDelivery.MAIL
    force_pin_change: bool = False
    role: Role = Role.OPERATOR
    second_approver: bool = False

    def allows(self, kind: KeyKind, method: Method) -> bool:
        """Say whether a key of this kind may be activated this way."""
        return kind in self.kinds and method in self.methods

    @property
    def is_possible(self) -> bool:
        """Whether any key at all can be had under this policy."""
        return bool(self.kinds and self.methods)


ANY = Policy()


def strictest(policies: Iterable[Policy]) -> Policy:
    """Return the policy that is as strict as all of these at once; without any, `ANY`."""
    return reduce(_join, policies, ANY)


def _join(one: Policy, other: Policy) -> Policy:
    return Policy(
        kinds=one.kinds & other.kinds,
        methods=one.methods & other.methods,
        pin_length=max(one.pin_length, other.pin_length),
        pin_delivery=max(one.pin_delivery, other.pin_delivery, key=DELIVERIES.index),
        force_pin_change=one.force_pin_change or other.force_pin_change,
        role=max(one.role, other.role, key=RANK.index),
        second_approver=one.second_approver or other.second_approver,
    )
