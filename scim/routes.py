# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The addresses under /scim/v2."""

from __future__ import annotations

from flask import Blueprint

from provisioning.services import Services


def blueprint(services: Services) -> Blueprint:
    """Make the door that directories push through."""
    return Blueprint("scim", __name__)
