# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The group picker: what is chosen, what a search finds, and what follows for the person."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.issuing.group_policies import Ruling
from provisioning.pages import group_list
from provisioning.pages.group_list import Line

from . import policy_words

_FOUND = 20


def shown(
    chosen: Sequence[Line], search: str, ruling: Ruling, fixed: Sequence[dict[str, object]] = ()
) -> dict[str, object]:
    """Return it for `panel/wizard/_group_picker.html`; `fixed` are groups changed elsewhere."""
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
                "source": line.source,
                "fixed": line.source is not None,
            }
            for line in found
        ],
        "more": group_list.how_many(search, without) - len(found) if more else 0,
        "policy": policy_words.lines(ruling) if chosen or fixed else [],
        "any": bool(chosen or found or (search and group_list.count())),
    }
