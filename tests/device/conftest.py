# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A real pcscd with two virtual readers for the whole session.

What is missing fails these tests; nothing here skips.
"""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator

import pytest

from provisioning import audit
from provisioning.app import create_app
from provisioning.services import Services
from provisioning.settings import load
from provisioning.storage.db import database, open_database
from provisioning.storage.migrate import migrate
from provisioning.vault import Vault
from reader.simulator import SIMULATOR_AAGUID, SoftwareCard, root_pem
from reader.simulator.vpcd import VpcdCard
from tests.fakes.live_server import LiveServer
from tests.fakes.pcscd import PcscdUnavailable, VirtualReaders


@pytest.fixture(scope="session")
def virtual_readers() -> Iterator[VirtualReaders]:
    """Two empty slots, and this process (and its children) bound to them."""
    readers = VirtualReaders(haste=True)
    os.environ.update(readers.environment)
    try:
        readers.start()
    except PcscdUnavailable as missing:
        readers.close()
        pytest.fail(str(missing), pytrace=False)
    yield readers
    # pyscard's connections talk to pcscd once more when they are collected.
    gc.collect()
    readers.close()


@pytest.fixture
def vpcd_card(virtual_readers: VirtualReaders) -> Iterator[VpcdCard]:
    """A fresh software card on the first reader."""
    with VpcdCard(SoftwareCard(), port=virtual_readers.ports[0]) as card:
        yield card


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, vault: Vault) -> Iterator[Services]:
    """A database and settings that live as long as all the cases."""
    folder = tmp_path_factory.mktemp("pulled")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    roots = folder / "roots"
    roots.mkdir()
    (roots / f"{SIMULATOR_AAGUID}.pem").write_bytes(root_pem())
    settings = load(folder, base_url=f"http://localhost:{port}", demo=True, attestation_roots=roots)
    opened = open_database(settings.database_url)
    migrate(opened)
    audit.use_key(vault.audit_key)
    yield Services(settings, vault)
    database.close()


@pytest.fixture(scope="module")
def bench_server(services: Services) -> Iterator[str]:
    base_url = services.settings.base_url
    with LiveServer(create_app(services), int(base_url.rsplit(":", 1)[1])):
        yield base_url
