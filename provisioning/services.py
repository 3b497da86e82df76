# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the product carries through a process: its settings and its keys."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from .settings import Settings
from .vault import Vault

EXTENSION = "keywright"


@dataclass(frozen=True)
class Services:
    """Made by the app factory or a command; rows and values go into functions beside it.

    `settings` are those that hold now. What owners choose in the panel lies over what the
    environment `given`, apart from the names that it has `fixed`; `live_settings` makes a new
    one of these when a choice has changed, so that whoever holds one works with one state.
    """

    settings: Settings
    vault: Vault
    given: Settings | None = None  # none: `settings` as they stand
    fixed: frozenset[str] = frozenset()
    version: int = 0  # of the choices
    logo: str = ""  # digest of the picture to show; "": ours


def services() -> Services:
    """Return the services of the current Flask app."""
    found = current_app.extensions[EXTENSION]
    if not isinstance(found, Services):
        raise TypeError("the app was not made by provisioning.app.create_app")
    return found
