# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What groups ask of their members' keys, and keys that wait for a second person's word."""

from __future__ import annotations

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from ..clock import now_ms
from .keys import SecurityKey
from .panel import PanelAccount
from .people import Group, User
from .rows import Row


class GroupPolicy(Row):
    """A group's policy (`policy.Policy`); a group without one asks for nothing."""

    group = ForeignKeyField(Group, unique=True, backref="policies", on_delete="CASCADE")
    kinds = CharField()  # lifecycle.KeyKind, space-separated
    methods = CharField()  # policy.Method, space-separated
    pin_length = IntegerField(default=0)
    pin_delivery = CharField()  # settings.PinDelivery
    force_pin_change = BooleanField(default=False)
    role = CharField()  # access.Role
    second_approver = BooleanField(default=False)
    version = IntegerField(default=1)
    changed_by = TextField(default="")
    updated_at = BigIntegerField(default=now_ms)


class Approval(Row):
    """A key that waits for a second person, or the word that was given (R25)."""

    resource_id = CharField(unique=True)
    key = ForeignKeyField(SecurityKey, backref="approvals", on_delete="CASCADE")
    user = ForeignKeyField(User, backref="approvals")
    state = CharField(default="waiting")  # approvals.ApprovalState
    requested_by = ForeignKeyField(PanelAccount, null=True)
    requester = TextField()
    decided_by = ForeignKeyField(PanelAccount, null=True)
    decider = TextField(default="")
    created_at = BigIntegerField(default=now_ms)
    decided_at = BigIntegerField(null=True)


Approval.add_index(Approval.id, where=(Approval.state == "waiting"), name="approval_waiting")
