# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from provisioning.app import create_app
from provisioning.commands.shell import open_installation
from provisioning.errors import ConfigurationError
from provisioning.installation import open_services
from provisioning.models import OutboxMail
from provisioning.storage.db import database, transaction
from provisioning.vault import Vault
from tests.fakes import sealed, shell
from tests.fakes.shell import run

pytestmark = pytest.mark.req("R31")


@pytest.fixture
def folder(data: Path) -> Path:
    shell.made(data / "kw")
    yield data / "kw"
    database.close()


@pytest.fixture
def strange(folder: Path, tmp_path: Path) -> Path:
    """The folder with the key of another installation."""
    Vault.create(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "kek", folder / "keys" / "kek")
    return folder


def keys_of(folder: Path) -> list[str]:
    return (folder / "keys" / "kek").read_text().split()


def ids_of(folder: Path) -> list[str]:
    return [each.hex() for each in open_services(folder).vault.keks.ids()]


def test_a_key_is_rotated_and_the_old_one_retired(folder: Path) -> None:
    code = sealed.fill(open_installation(folder))
    (old,) = ids_of(folder)
    assert run("kek", "status", "--data", folder).output == f"{old}  newest  8 sealed\n"
    told = run("kek", "rotate", "--data", folder)
    new = ids_of(folder)[-1]
    assert told.exit_code == 0
    assert told.output == (
        f"New key {new}.\nSealed anew: 8.\nBack up the key files, then: keywright kek retire\n"
    )
    assert run("kek", "status", "--data", folder).output == (
        f"{old}  old  0 sealed\n{new}  newest  8 sealed\n"
    )
    soon = run("kek", "retire", "--data", folder)
    assert soon.exit_code == 1
    assert "try again in" in soon.output
    then = time.time() - 61
    os.utime(folder / "keys" / "kek", (then, then))
    retired = run("kek", "retire", "--data", folder)
    assert retired.exit_code == 0, retired.output
    assert retired.output.startswith(f"Retired {old}; in use: {new}.\n")
    assert run("kek", "status", "--data", folder).output == f"{new}  newest  8 sealed\n"
    sealed.check(open_installation(folder), code)


def test_run_again_it_says_that_it_goes_on(folder: Path) -> None:
    run("kek", "rotate", "--data", folder)
    again = run("kek", "rotate", "--data", folder)
    assert again.output.startswith(f"Going on with key {ids_of(folder)[-1]}, which is there.\n")
    assert len(keys_of(folder)) == 2


def test_what_does_not_open_is_named_and_the_command_fails(folder: Path) -> None:
    services = open_installation(folder)
    row = sealed.mail(services)
    sealed.mail(services)
    cut = bytes(row.sealed_secret)[:-1]
    with transaction():
        OutboxMail.update(sealed_secret=cut).where(OutboxMail.id == row.id).execute()
    told = run("kek", "rotate", "--data", folder)
    assert told.exit_code == 1
    assert "Sealed anew: 1." in told.output
    assert f"These do not open and were left: outbox_mail {row.id}." in told.output


def test_no_key_and_no_secret_is_ever_printed(folder: Path) -> None:
    code = sealed.fill(open_installation(folder))
    said = [run("kek", "status", "--data", folder), run("kek", "rotate", "--data", folder)]
    keys = keys_of(folder)
    then = time.time() - 61
    os.utime(folder / "keys" / "kek", (then, then))
    said += [run("kek", word, "--data", folder) for word in ("status", "rotate", "retire")]
    printed = "".join(each.output for each in said)
    secrets = [*keys, sealed.PIN, sealed.PASSWORD, sealed.AUTHORIZATION, "canary", code]
    assert [secret for secret in secrets if secret in printed] == []
    assert re.findall(r"[A-Za-z0-9+/]{20,}", printed) == []


@pytest.mark.parametrize(
    "words", [("serve",), ("worker",), ("token", "list"), ("kek", "rotate"), ("kek", "retire")]
)
def test_with_the_keys_of_another_installation_nothing_starts(
    strange: Path, words: tuple[str, ...]
) -> None:
    keys = keys_of(strange)
    refused = run(*words, "--data", strange)
    assert refused.exit_code == 1
    assert "Error: keys/kek does not open what this database holds: it lacks key" in refused.output
    assert "Traceback" not in refused.output
    assert keys_of(strange) == keys


def test_a_web_process_does_not_start_either(strange: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not open what this database holds"):
        create_app(open_services(strange))


def test_the_status_tells_which_key_is_missing(strange: Path) -> None:
    told = run("kek", "status", "--data", strange)
    assert told.exit_code == 0
    assert told.output.startswith(f"{ids_of(strange)[0]}  newest  0 sealed\n")
    assert re.search(r"^[0-9a-f]{8}  not in keys/kek  0 sealed$", told.output, re.MULTILINE)


def test_a_lost_key_is_given_up_after_a_question(folder: Path, tmp_path: Path) -> None:
    sealed.fill(open_installation(folder))
    (lost,) = ids_of(folder)
    Vault.create(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "kek", folder / "keys" / "kek")
    assert run("token", "list", "--data", folder).exit_code == 1
    asked = run("kek", "abandon", lost, "--data", folder, typed="n\n")
    assert asked.exit_code == 1
    assert f"Sealed under {lost}, and not to be read without it: 2 in outbox_mail," in asked.output
    assert run("token", "list", "--data", folder).exit_code == 1
    told = run("kek", "abandon", lost, "--data", folder, "--yes")
    assert told.output == (f"Abandoned {lost}. If the key turns up, put its line into keys/kek.\n")
    assert run("token", "list", "--data", folder).exit_code == 0
    assert f"{lost}  abandoned  " in run("kek", "status", "--data", folder).output


def test_a_key_that_is_there_is_not_given_up(folder: Path) -> None:
    refused = run("kek", "abandon", ids_of(folder)[0], "--data", folder, "--yes")
    assert refused.exit_code == 1
    assert "nothing is lost" in refused.output
