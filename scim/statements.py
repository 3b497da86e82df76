# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Kept statements, as the SCIM door uses them; see `provisioning.storage.statements`."""

from __future__ import annotations

from provisioning.storage.statements import (
    MAX_KEPT,
    ListStatements,
    Parameter,
    Rows,
    Statements,
    parameter,
)

__all__ = ["MAX_KEPT", "ListStatements", "Parameter", "Rows", "Statements", "parameter"]
