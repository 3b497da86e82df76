# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A connection with the tolerant profile, and one that forgives nothing."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.scim.pushing import Directory, connect


@pytest.fixture
def directory(app: Flask) -> Directory:
    return connect(app)


@pytest.fixture
def strict(app: Flask) -> Directory:
    return connect(app, "Strict", profile="strict")
