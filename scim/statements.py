# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Kept statements, as the SCIM door uses them; see `provisioning.statements`."""

from __future__ import annotations

from provisioning.statements import (
    MAX_KEPT,
    ListStatements,
    Parameter,
    Rows,
    Statements,
    parameter,
)

__all__ = ["MAX_KEPT", "ListStatements", "Parameter", "Rows", "Statements", "parameter"]
