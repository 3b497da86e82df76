# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What most tests start from: a migrated database on disk, keys, settings and the app."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings

from provisioning import audit
from provisioning.app import create_app
from provisioning.installation import KEYS
from provisioning.services import EXTENSION, Services
from provisioning.settings import load
from provisioning.storage import recorder
from provisioning.storage.db import database, open_database
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from tests.fakes.postgres import Postgres, PostgresUnavailable

BASE_URL = "http://localhost:5005"
LANES = ("unit", "postgresql", "device", "e2e")
TESTED = "tested"  # the PostgreSQL database that each test finds empty
_MEMORY = Path("/dev/shm")

# A busy machine is slow, not wrong.
hypothesis_settings.register_profile("keywright", deadline=None)
hypothesis_settings.load_profile("keywright")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--req", help="run only the tests that hold this requirement, e.g. R16")
    parser.addoption("--all-lanes", action="store_true", help="fail if a lane ran no test")


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "sqlite: about SQLite itself, so not run on PostgreSQL",
        "postgresql: on a PostgreSQL server of our own; set by conftest for most tests",
    ):
        config.addinivalue_line("markers", line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what goes through the database on both, unless it is about one of them."""
    marked = metafunc.definition.get_closest_marker
    if "database_url" not in metafunc.fixturenames or any(map(marked, ("device", "e2e", "sqlite"))):
        return
    both = [
        pytest.param("sqlite", id=pytest.HIDDEN_PARAM),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
    only = [pytest.param("postgresql", id=pytest.HIDDEN_PARAM)]
    metafunc.parametrize("database_url", only if marked("postgresql") else both, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # Unit tests open no sockets, apart from those that say which hosts they talk to.
        if (
            lane_of(item) in ("unit", "postgresql")
            and item.get_closest_marker("allow_hosts") is None
        ):
            item.add_marker(pytest.mark.disable_socket)
        if lane_of(item) in ("device", "e2e"):
            item.add_marker(pytest.mark.xdist_group("machine"))  # one reader, one after the other
    wanted = config.getoption("--req")
    if wanted:
        held = [i for i in items if any(wanted in m.args for m in i.iter_markers("req"))]
        config.hook.pytest_deselected(items=[item for item in items if item not in held])
        items[:] = held
    # The quick lane first: who broke something hears of it in seconds.
    items.sort(key=lambda item: LANES.index(lane_of(item)))


def lane_of(item: pytest.Item) -> str:
    """Return the lane that a test runs in."""
    return next((lane for lane in LANES[1:] if item.get_closest_marker(lane)), "unit")


def passed_by_lane(config: pytest.Config) -> Counter[str]:
    """Count the tests that passed, by lane; from reports, as other processes may have run them."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return Counter(
        next((lane for lane in LANES[1:] if lane in report.keywords), "unit")
        for report in (reporter.stats.get("passed", []) if reporter is not None else [])
        if report.when == "call"
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many tests ran in each lane: a lane that did not run must not go unseen."""
    ran = passed_by_lane(config)
    told = ", ".join(f"{lane} {ran[lane]}" for lane in LANES)
    terminalreporter.write_line(f"passed in each lane: {told}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With --all-lanes a lane without a test is a failure, not a detail."""
    if session.config.getoption("--all-lanes") and not hasattr(session.config, "workerinput"):
        ran = passed_by_lane(session.config)
        if not all(ran[lane] for lane in LANES):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.create(tmp_path_factory.mktemp("vault") / KEYS)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of our own; what is missing fails the lane, nothing here skips."""
    server = Postgres()
    try:
        server.start()
    except PostgresUnavailable as missing:
        server.close()
        pytest.fail(str(missing), pytrace=False)
    migrate(open_database(server.create(TESTED)))
    database.close()
    yield server
    server.close()


@pytest.fixture
def database_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty database; "" stands for SQLite in the data folder."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield ""
        return
    server: Postgres = request.getfixturevalue("postgres")
    server.empty(TESTED)
    monkeypatch.setenv("KEYWRIGHT_DATABASE_URL", server.url(TESTED))
    yield server.url(TESTED)
    database.close()


@pytest.fixture
def data(database_url: str) -> Iterator[Path]:
    """A data folder; in memory where the system has such a place, as sync costs most of a test."""
    folder = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    yield folder
    # A thread that an earlier test left behind may close its connection right now, and SQLite
    # takes its -wal and -shm files away with the last one: what is gone already is no error.
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database, migrated once and copied for each test."""
    path = tmp_path_factory.mktemp("migrated") / "keywright.sqlite3"
    migrate(open_database(f"sqlite:///{path}"))
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture
def services(data: Path, migrated: Path, vault: Vault) -> Iterator[Services]:
    settings = load(data, base_url=BASE_URL, organisation="Example Hospital", demo=True)
    if settings.database_url.startswith("sqlite:"):
        shutil.copy(migrated, data / migrated.name)
    migrate(open_database(settings.database_url))
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


@pytest.fixture(scope="session")
def made_app() -> dict[str, Flask]:
    """The app is made once: its rules and templates cost more than most tests."""
    return {}


@pytest.fixture
def app(services: Services, made_app: dict[str, Flask]) -> Flask:
    """The app on this test's database, with no trace of what the test before did to it."""
    if not made_app:
        made_app["app"] = create_app(services)
        made_app["app"].extensions["pristine"] = dict(made_app["app"].config)
    app = made_app["app"]
    app.config.clear()
    app.config.update(app.extensions["pristine"])
    app.extensions[EXTENSION] = services
    for limiter in app.extensions["limiter"]:
        limiter.reset()
    app.extensions[recorder.EXTENSION].forget()
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
