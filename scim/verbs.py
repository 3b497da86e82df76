# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What may be done to which resource type; one table for single requests and for Bulk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import groups, users
from .caller import Caller
from .json_body import MEBIBYTE
from .resource_types import GROUP, USER
from .rows import Row

Body = Mapping[str, object]


@dataclass(frozen=True)
class Verbs:
    """What may be done to the resources of one type, beside reading them.

    `body_limit` is in bytes. The caller holds the transaction.
    """

    create: Callable[[Caller, Body], Row]
    replace: Callable[[Caller, str, Body, str | None], Row]
    patch: Callable[[Caller, str, Body, str | None], Row]
    delete: Callable[[Caller, str, str | None], None]
    body_limit: int


WRITABLE: dict[str, Verbs] = {
    USER.name: Verbs(users.create, users.replace, users.patch, users.delete, MEBIBYTE),
    GROUP.name: Verbs(groups.create, groups.replace, groups.patch, groups.delete, 32 * MEBIBYTE),
}
