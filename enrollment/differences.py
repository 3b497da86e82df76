# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What somebody else saved, beside what was typed: a form's fields in words where they differ."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import gettext as _
from wtforms import BooleanField, Field, HiddenField, SelectField


def between(typed: Iterable[Field], saved: Iterable[Field]) -> list[tuple[str, str]]:
    """Return (label, what is saved) of each field of two forms of a kind that is not the same."""
    pairs = zip(typed, saved, strict=True)
    return [
        (str(there.label.text), words(there))
        for here, there in pairs
        if not isinstance(there, HiddenField) and words(here) != words(there)
    ]


def words(field: Field) -> str:
    """Return a field's value as people read it."""
    if isinstance(field, BooleanField):
        return str(_("yes") if field.data else _("no"))
    if isinstance(field, SelectField):  # radio buttons are such, too
        choices = field.choices or []
        labels = choices if isinstance(choices, dict) else {one[0]: one[1] for one in choices}
        return str(labels.get(field.data, field.data or ""))
    return str(field.data or "").strip()
