# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Browsers that are signed in to the panel, and a desk beside them."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from provisioning.services import Services
from tests.fakes.desk import Desk
from tests.fakes.panel import Panel


@pytest.fixture
def panel(app: Flask) -> Panel:
    """The owner's browser; forms go without their CSRF token unless a test asks for it."""
    app.config["WTF_CSRF_ENABLED"] = False
    return Panel(app)


@pytest.fixture
def desk(client: FlaskClient, services: Services) -> Desk:
    """A paired station that has polled just now."""
    made = Desk.paired(client, services)
    made.poll()
    return made
