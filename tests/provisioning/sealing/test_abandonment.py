# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A key is lost for good, and the server starts without it all the same (R31)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning import audit, live_settings
from provisioning.audit import CLI, Event
from provisioning.commands.shell import open_installation
from provisioning.errors import CommandRefused, ConfigurationError
from provisioning.installation import open_services
from provisioning.issuing import link_codes, pins
from provisioning.mails import outbox
from provisioning.models import Activation, AuditEvent, Job, OutboxMail
from provisioning.sealing import abandonment, proofs, rotation
from provisioning.services import Services
from provisioning.storage.db import database, transaction
from provisioning.vault import SealBroken, Vault
from tests.fakes import sealed, shell

pytestmark = pytest.mark.req("R31")


@pytest.fixture
def folder(data: Path) -> Path:
    shell.made(data / "kw")
    sealed.fill(open_installation(data / "kw"))
    yield data / "kw"
    database.close()


@pytest.fixture
def line(folder: Path) -> bytes:
    """The line of the file `kek` that is lost: another one is in its place."""
    kek = folder / "keys" / "kek"
    lost = kek.read_bytes()
    Vault.create(folder.parent / "other")
    kek.write_bytes((folder.parent / "other" / "kek").read_bytes())
    return lost


def lost_key() -> str:
    (key_id,) = proofs.needed()
    return key_id


def without(folder: Path) -> Services:
    """Give the key up, and start."""
    abandonment.abandon(lost_key(), open_services(folder).vault, CLI)
    return open_installation(folder)


def test_the_server_starts_again_and_says_of_each_secret_that_it_cannot_be_read(
    folder: Path, line: bytes
) -> None:
    with pytest.raises(ConfigurationError, match="it lacks key"):
        open_installation(folder)
    services = without(folder)
    assert services.settings.mail_password == open_services(folder).settings.mail_password
    with pytest.raises(SealBroken, match="reset the card"):
        pins.unseal(services.vault, Job.get())
    with pytest.raises(SealBroken, match="send a new link"), transaction():
        link_codes.show(Activation.get(), services, CLI)
    with pytest.raises(SealBroken):
        outbox.secret_of(OutboxMail.get(), services.vault)


def test_a_password_can_be_chosen_anew(folder: Path, line: bytes) -> None:
    services = without(folder)
    with transaction():
        live_settings.change({"mail_password": "new"}, services.version, CLI, services)
    assert live_settings.layered(replace(services, version=-1)).settings.mail_password == "new"


def test_the_log_tells_which_key_and_how_much(folder: Path, line: bytes) -> None:
    lost = lost_key()
    told = abandonment.lying_under(lost, open_services(folder).vault)
    assert told["outbox_mail"] == 2
    without(folder)
    row = AuditEvent.get(AuditEvent.event == Event.KEK_ABANDONED)
    assert json.loads(row.detail) == {"kek": lost, "values": sum(told.values())}
    assert audit.verify().whole


def test_keys_are_rotated_and_retired_as_ever_afterwards(
    folder: Path, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = lost_key()
    services = without(folder)
    sealed.mail(services)
    rotation.begin(services.vault, CLI)
    batches = list(rotation.reseal(services.vault, CLI))
    assert sum(batch.done for batch in batches) == 1
    assert not any(batch.broken for batch in batches)
    monkeypatch.setattr(rotation, "GRACE", 0.0)
    rotation.retire(services.vault, CLI)
    assert proofs.abandoned() == [lost]
    open_installation(folder)


def test_a_key_that_turns_up_opens_what_was_given_up(folder: Path, line: bytes) -> None:
    services = without(folder)
    kek = folder / "keys" / "kek"
    kek.write_bytes(line + kek.read_bytes())
    again = open_installation(folder)
    assert pins.unseal(again.vault, Job.get()) == sealed.PIN
    assert pins.unseal(services.vault, Job.get()) == sealed.PIN  # in a process that runs, too
    assert sum(batch.done for batch in rotation.reseal(again.vault, CLI)) > 0


def test_a_key_that_is_the_newest_again_is_needed_again(folder: Path, line: bytes) -> None:
    lost = lost_key()
    without(folder)
    kek = folder / "keys" / "kek"
    kek.write_bytes(kek.read_bytes() + line)
    open_installation(folder)
    assert lost in proofs.needed()
    assert proofs.abandoned() == []


def test_only_a_key_that_is_lost_can_be_given_up(folder: Path) -> None:
    vault = open_services(folder).vault
    with pytest.raises(CommandRefused, match="nothing is lost"):
        abandonment.abandon(vault.keks.ids()[0].hex(), vault, CLI)
    for strange in ("00000000", "no key", ""):
        with pytest.raises(CommandRefused, match="needs no key"):
            abandonment.abandon(strange, vault, CLI)


def test_it_is_given_up_once(folder: Path, line: bytes) -> None:
    lost, services = lost_key(), without(folder)
    with pytest.raises(CommandRefused, match="abandoned already"):
        abandonment.abandon(lost, services.vault, CLI)
