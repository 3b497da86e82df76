# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The group picker: what is chosen, what a search finds, and what follows for the person."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from flask_babel import gettext as _

from provisioning.issuing.group_policies import Ruling
from provisioning.pages import group_list
from provisioning.pages.group_list import Line

from . import policy_words

_FOUND = 20


def shown(
    chosen: Sequence[Line],
    search: str,
    ruling: Ruling,
    fixed: Sequence[dict[str, object]] = (),
    locked: Collection[str] = (),
) -> dict[str, object]:
    """Return it for `panel/wizard/_group_picker.html`.

    `fixed` are groups that the person is in and that are changed elsewhere, `locked` the resource
    ids of those that whoever looks puts nobody into.
    """
    without = [line.resource_id for line in chosen]
    found, more = group_list.page(search, without=without, size=_FOUND)
    return {
        "chosen": [{"id": line.resource_id, "name": line.name} for line in chosen],
        "fixed": list(fixed),
        "found": [
            {
                "id": line.resource_id,
                "name": line.name,
                "members": line.members,
                "fixed": line.source is not None or line.resource_id in locked,
                "hint": _("Owned by %(source)s: change it there.", source=line.source)
                if line.source is not None
                else locked_words(),
            }
            for line in found
        ],
        "more": group_list.how_many(search, without) - len(found) if more else 0,
        "policy": policy_words.lines(ruling) if chosen or fixed else [],
        "any": bool(chosen or found or (search and group_list.count())),
    }


def locked_words() -> str:
    """Return why an operator puts nobody into a group, and takes nobody out."""
    return str(_("It has a policy: an officer changes who is in it."))
