# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How to connect each directory: data for one template, a module for each vendor."""

from __future__ import annotations

from . import entra, google, jumpcloud, okta, onelogin, ping, sailpoint
from .shape import Guide

GUIDES: tuple[Guide, ...] = (
    entra.GUIDE,
    okta.GUIDE,
    onelogin.GUIDE,
    jumpcloud.GUIDE,
    ping.GUIDE,
    sailpoint.GUIDE,
    google.GUIDE,
)

__all__ = ["GUIDES", "Guide"]
