# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What most tests start from: a migrated database on disk, keys, settings and the app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from provisioning import audit
from provisioning.app import KEYS, create_app
from provisioning.db import database, open_database
from provisioning.migrate import migrate
from provisioning.services import Services
from provisioning.settings import load
from provisioning.vault import Vault

BASE_URL = "http://localhost:5005"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--req", help="run only the tests that hold this requirement, e.g. R16")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--req")
    if wanted:
        held = [i for i in items if any(wanted in m.args for m in i.iter_markers("req"))]
        config.hook.pytest_deselected(items=[item for item in items if item not in held])
        items[:] = held


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.create(tmp_path_factory.mktemp("vault") / KEYS)


@pytest.fixture
def services(tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    settings = load(tmp_path, base_url=BASE_URL, organisation="Example Hospital", demo=True)
    opened = open_database(settings.database_url)
    migrate(opened)
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


@pytest.fixture
def app(services: Services) -> Flask:
    made = create_app(services)
    made.config["RATELIMIT_ENABLED"] = False
    return made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
