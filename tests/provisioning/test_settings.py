# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.errors import ConfigurationError
from provisioning.settings import AttestationRule, MailTls, load


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("KEYWRIGHT_")]:
        monkeypatch.delenv(name)


def test_a_base_url_is_enough(tmp_path: Path) -> None:
    settings = load(tmp_path, base_url="https://keys.example.org/")
    assert settings.base_url == "https://keys.example.org"
    assert settings.rp_id == "keys.example.org"
    assert settings.database_url == f"sqlite:///{tmp_path}/keywright.sqlite3"


@pytest.mark.req("R3")
def test_all_faults_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYWRIGHT_BASE_URL", "http://keys.example.org")
    monkeypatch.setenv("KEYWRIGHT_PORT", "99999")
    monkeypatch.setenv("KEYWRIGHT_COLOUR", "red")
    monkeypatch.setenv("KEYWRIGHT_MAIL_PASSWORD_FILE", "/nowhere/at/all")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path)
    lines = str(refused.value).splitlines()
    assert any(line.startswith("KEYWRIGHT_BASE_URL: must be https") for line in lines)
    assert any(line.startswith("KEYWRIGHT_PORT: ") for line in lines)
    assert "KEYWRIGHT_COLOUR: there is no such setting" in lines
    assert any(line.startswith("KEYWRIGHT_MAIL_PASSWORD_FILE: No such file") for line in lines)


def test_a_missing_base_url_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="KEYWRIGHT_BASE_URL"):
        load(tmp_path)


def test_a_secret_may_come_from_a_file_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "smtp").write_text("hunter2 \n")
    monkeypatch.setenv("KEYWRIGHT_MAIL_PASSWORD_FILE", str(tmp_path / "smtp"))
    settings = load(tmp_path, base_url="https://keys.example.org")
    assert settings.mail_password == "hunter2"
    assert "hunter2" not in repr(settings)


def test_the_environment_wins_over_the_folders_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keywright.env").write_text(
        "# settings\nKEYWRIGHT_BASE_URL=https://a.example\nKEYWRIGHT_MAIL_TLS=none\n"
    )
    monkeypatch.setenv("KEYWRIGHT_MAIL_TLS", "tls")
    settings = load(tmp_path)
    assert settings.base_url == "https://a.example"
    assert settings.mail_tls is MailTls.TLS


def test_an_rp_id_must_be_the_host_or_above_it(tmp_path: Path) -> None:
    assert load(tmp_path, base_url="https://a.b.example", rp_id="b.example").rp_id == "b.example"
    with pytest.raises(ConfigurationError, match=r"rp_id 'c\.example'"):
        load(tmp_path, base_url="https://a.b.example", rp_id="c.example")


def test_allowed_models_are_a_list_in_one_variable(tmp_path: Path) -> None:
    settings = load(tmp_path, base_url="https://a.example", allowed_models="AA-1, bb-2,")
    assert settings.allowed_models == {"aa-1", "bb-2"}


def test_attestation_is_required_as_soon_as_there_are_roots(tmp_path: Path) -> None:
    base = "https://a.example"
    assert load(tmp_path, base_url=base).attestation is AttestationRule.NONE
    pinned = load(tmp_path, base_url=base, attestation_roots=str(tmp_path))
    assert pinned.attestation is AttestationRule.REQUIRED
    relaxed = load(tmp_path, base_url=base, attestation_roots=str(tmp_path), attestation="none")
    assert relaxed.attestation is AttestationRule.NONE
    with pytest.raises(ConfigurationError, match="needs attestation_roots"):
        load(tmp_path, base_url=base, attestation="required")


def test_a_plain_http_base_url_brings_its_port(tmp_path: Path) -> None:
    assert load(tmp_path, base_url="http://localhost:5005").port == 5005
    assert load(tmp_path, base_url="http://localhost:5005", port="9000").port == 9000
    assert load(tmp_path, base_url="https://keys.example.org:8443").port == 8080


def test_a_base_url_with_a_broken_port_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="KEYWRIGHT_BASE_URL"):
        load(tmp_path, base_url="http://localhost:port")


def test_a_base_url_is_kept_as_browsers_write_an_origin(tmp_path: Path) -> None:
    assert load(tmp_path, base_url="https://Keys.Example.ORG:443/").base_url == (
        "https://keys.example.org"
    )
