# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.audit import CLI
from provisioning.errors import ConfigurationError
from provisioning.models import AuditEvent, Setting
from provisioning.sealing import proofs
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.vault import Vault
from tests.fakes import sealed
from tests.fakes.queries import counted

pytestmark = pytest.mark.req("R31")


@pytest.fixture(autouse=True)
def tables(services: Services) -> None:
    """Every test here has a database."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def vault(folder: Path) -> Vault:
    return Vault.create(folder)


def test_a_new_database_takes_the_key_that_is_there_and_says_nothing(vault: Vault) -> None:
    proofs.check(vault)
    assert proofs.needed() == [vault.keks.ids()[0].hex()]
    assert not AuditEvent.select().exists()
    proofs.check(vault)
    assert Setting.select().where(Setting.name == "keks").count() == 1


def test_another_installations_key_is_refused_by_its_id(vault: Vault, tmp_path: Path) -> None:
    proofs.check(vault)
    lost = vault.keks.ids()[0].hex()
    with pytest.raises(ConfigurationError, match=f"it lacks key {lost}"):
        proofs.check(Vault.create(tmp_path / "other"))
    assert proofs.needed() == [lost]


@pytest.mark.parametrize("lost", ["the old one", "the newest"])
def test_a_lost_line_is_refused_though_the_other_key_is_there(
    folder: Path, vault: Vault, lost: str
) -> None:
    proofs.check(vault)
    vault.keks.add()
    proofs.check(vault)
    ids, lines = vault.keks.ids(), (folder / "kek").read_bytes().splitlines()
    at = 0 if lost == "the old one" else 1
    (folder / "kek").write_bytes(lines[1 - at])
    with pytest.raises(ConfigurationError, match=f"it lacks key {ids[at].hex()}"):
        proofs.check(Vault.open(folder))
    (folder / "kek").write_bytes(b"\n".join(lines))
    proofs.check(Vault.open(folder))


def test_a_proof_that_does_not_open_is_refused(vault: Vault) -> None:
    proofs.check(vault)
    with transaction():
        row = Setting.get(Setting.name == "keks")
        Setting.update(value=row.value.replace('": "', '": "AAAA')).where(
            Setting.id == row.id
        ).execute()
    with pytest.raises(ConfigurationError, match="it lacks key"):
        proofs.check(vault)


def test_a_database_without_proofs_is_asked_what_it_holds(
    services: Services, tmp_path: Path
) -> None:
    sealed.fill(services)
    held = services.vault.keks.ids()[0].hex()
    with pytest.raises(ConfigurationError, match=f"it lacks key {held}"):
        proofs.check(Vault.create(tmp_path / "other"))
    assert proofs.needed() == []
    proofs.check(services.vault)
    assert proofs.needed() == [held]


def test_a_start_asks_one_question_however_much_is_sealed(services: Services) -> None:
    proofs.check(services.vault)
    sealed.fill(services, mails=20)
    with counted() as queries:
        proofs.check(services.vault)
    assert len(queries) == 1


def test_a_key_that_was_put_into_the_file_is_noted_at_the_start(vault: Vault) -> None:
    proofs.check(vault)
    new = vault.keks.add()
    proofs.check(vault)
    assert proofs.needed()[-1] == new.hex()
    assert AuditEvent.get().event == "kek.added"
    with transaction():
        assert not proofs.add(vault, CLI)
