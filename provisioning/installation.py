# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A data folder as `keywright init` makes it, and how a process opens it."""

from __future__ import annotations

from pathlib import Path

from . import audit
from .services import Services
from .settings import given_names, load
from .storage.db import open_database
from .vault import Vault

KEYS = "keys"


def open_services(data: Path | None = None, **overrides: object) -> Services:
    """Read settings and keys, open the database, and give this process its audit key.

    Raises ConfigurationError, naming every fault.
    """
    services = open_keys(data, **overrides)
    open_database(services.settings.database_url)
    return services


def open_keys(data: Path | None = None, **overrides: object) -> Services:
    """Do what `open_services` does, but leave the database alone, which may not be there."""
    settings = load(data, **overrides)
    vault = Vault.open(settings.data / KEYS)
    audit.use_key(vault.audit_key)
    return Services(settings, vault, fixed=given_names(data, **overrides))
