# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A connection and its client."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.scim.pushing import Directory, connect


@pytest.fixture
def directory(app: Flask) -> Directory:
    return connect(app)
