# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What people choose: owners the settings over those of the environment, everybody a language."""

from __future__ import annotations

from peewee import BigIntegerField, BlobField, CharField, ForeignKeyField, IntegerField, TextField

from ..clock import now_ms
from .people import User
from .rows import Row


class LiveSetting(Row):
    """One setting that an owner has changed; see `live_settings`. Never deleted, only emptied."""

    name = CharField(unique=True)
    value = TextField(null=True)  # JSON; none: as the environment says
    sealed = BlobField(null=True)  # a secret value instead, AEAD, bound to the name
    version = IntegerField(index=True)  # counts all changes together, so that the latest is MAX
    changed_at = BigIntegerField(default=now_ms)


class Preference(Row):
    """What a person has chosen on their own page."""

    user = ForeignKeyField(User, unique=True, on_delete="CASCADE")
    language = CharField()  # one of settings.LANGUAGES


class Logo(Row):
    """The picture beside the organisation's name; one row, replaced as a whole."""

    digest = CharField(unique=True)  # SHA-256, hex: also its address, so that caches never lie
    media_type = CharField()
    content = BlobField()
