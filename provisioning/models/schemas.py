# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Attributes that an installation adds to people and groups."""

from __future__ import annotations

from peewee import BigIntegerField, BooleanField, CharField, TextField

from ..clock import now_ms
from .rows import Row


class CustomSchema(Row):
    """A schema of an organisation's own, as the document that it was given in."""

    urn = TextField()
    urn_key = TextField(unique=True)  # URNs compare without case
    resource_type = CharField()  # User | Group
    required = BooleanField(default=False)
    document = TextField()
    created_at = BigIntegerField(default=now_ms)
