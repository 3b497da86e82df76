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
    """Made once by the app factory or a command; rows and values go into functions beside it."""

    settings: Settings
    vault: Vault


def services() -> Services:
    """Return the services of the current Flask app."""
    found = current_app.extensions[EXTENSION]
    if not isinstance(found, Services):
        raise TypeError("the app was not made by provisioning.app.create_app")
    return found
