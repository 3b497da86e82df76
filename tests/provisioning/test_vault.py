# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import ConfigurationError
from provisioning.vault import SealBroken, Vault

FILES = {"kek", "audit.key", "ticket.key", "secret.key"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def vault(folder: Path) -> Vault:
    return Vault.create(folder)


@pytest.fixture(scope="module")
def module_vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.create(tmp_path_factory.mktemp("vault"))


def test_create_makes_four_files_that_only_the_owner_reads(folder: Path) -> None:
    umask = os.umask(0)
    try:
        Vault.create(folder)
    finally:
        os.umask(umask)
    assert {path.name for path in folder.iterdir()} == FILES
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", sorted(FILES))
def test_create_never_overwrites_and_leaves_no_new_file(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).write_bytes(b"precious")
    with pytest.raises(ConfigurationError, match=name):
        Vault.create(folder)
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_bytes() == b"precious"


def test_create_writes_through_no_planted_link(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (folder / "kek").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="kek"):
        Vault.create(folder)
    assert not (tmp_path / "elsewhere").exists()


def test_what_one_process_seals_another_opens(folder: Path, vault: Vault) -> None:
    again = Vault.open(folder)
    assert again.unseal(vault.seal(b"482915", "job:1"), "job:1") == b"482915"
    assert again.audit_key == vault.audit_key
    assert again.flask_secret == vault.flask_secret
    assert again.keyed_hash("uid", b"x") == vault.keyed_hash("uid", b"x")
    signature = vault.signing_key.sign(b"ticket")
    again.signing_key.public_key().verify(signature, b"ticket")


def test_every_key_is_its_own(vault: Vault, folder: Path) -> None:
    kek = base64.b64decode((folder / "kek").read_bytes())
    assert (
        len({kek, vault.audit_key, vault.flask_secret, vault.signing_key.private_bytes_raw()}) == 4
    )
    assert {len(kek), len(vault.audit_key), len(vault.flask_secret)} == {32}


@pytest.mark.req("R3")
@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_key_file_that_others_can_read_stops_the_start(
    folder: Path, name: str, mode: int
) -> None:
    Vault.create(folder)
    (folder / name).chmod(mode)
    with pytest.raises(ConfigurationError) as refusal:
        Vault.open(folder)
    assert str(folder / name) in str(refusal.value)


@pytest.mark.req("R3")
def test_all_faults_are_named_at_once(folder: Path) -> None:
    Vault.create(folder)
    (folder / "kek").chmod(0o644)
    (folder / "audit.key").unlink()
    (folder / "secret.key").write_bytes(b"changeme")
    with pytest.raises(ConfigurationError) as refusal:
        Vault.open(folder)
    assert all(name in str(refusal.value) for name in ("kek", "audit.key", "secret.key"))
    assert "ticket.key" not in str(refusal.value)
    assert "changeme" not in str(refusal.value)


@pytest.mark.req("R3")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("kek", b""),
        ("kek", base64.b64encode(bytes(16))),
        ("kek", base64.b64encode(bytes(32)) + b"\n***\n"),
        ("audit.key", (base64.b64encode(bytes(32)) + b"\n") * 2),
        ("ticket.key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        (
            "ticket.key",
            generate_private_key(SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        ),
        (
            "ticket.key",
            generate_private_key(SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            ),
        ),
    ],
)
def test_a_malformed_key_file_stops_the_start(folder: Path, name: str, content: bytes) -> None:
    Vault.create(folder)
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=name):
        Vault.open(folder)


def test_a_seal_opens_only_where_it_belongs(vault: Vault) -> None:
    sealed = vault.seal(b"482915", "job:1")
    with pytest.raises(SealBroken) as refusal:
        vault.unseal(sealed, "job:2")
    assert refusal.value.__cause__ is None
    assert "482915" not in str(refusal.value)


def test_the_same_secret_never_seals_the_same(vault: Vault) -> None:
    assert len({vault.seal(b"482915", "job:1") for _ in range(100)}) == 100


@pytest.mark.req("R19")
def test_a_sealed_pin_shows_nothing_of_the_pin(vault: Vault) -> None:
    assert b"482915" not in vault.seal(b"482915", "job:1")


@given(plaintext=st.binary(max_size=200), bound_to=st.text(st.characters(codec="utf-8")))
def test_unseal_undoes_seal(module_vault: Vault, plaintext: bytes, bound_to: str) -> None:
    assert module_vault.unseal(module_vault.seal(plaintext, bound_to), bound_to) == plaintext


@given(position=st.integers(0, 37), flip=st.integers(1, 255))
def test_an_altered_byte_anywhere_breaks_the_seal(
    module_vault: Vault, position: int, flip: int
) -> None:
    sealed = bytearray(module_vault.seal(b"482915", "job:1"))
    assert len(sealed) == 38
    sealed[position] ^= flip
    with pytest.raises(SealBroken):
        module_vault.unseal(bytes(sealed), "job:1")


@given(garbage=st.binary(max_size=80))
def test_garbage_breaks_the_seal(module_vault: Vault, garbage: bytes) -> None:
    with pytest.raises(SealBroken):
        module_vault.unseal(garbage, "job:1")


@pytest.mark.parametrize("length", range(38))
def test_a_cut_value_breaks_the_seal(module_vault: Vault, length: int) -> None:
    with pytest.raises(SealBroken):
        module_vault.unseal(module_vault.seal(b"482915", "job:1")[:length], "job:1")


@pytest.mark.req("R31")
def test_after_a_new_kek_old_values_open_and_new_ones_use_it(folder: Path, vault: Vault) -> None:
    old = vault.seal(b"old", "here")
    old_hash = vault.keyed_hash("uid", b"04a1")
    first = (folder / "kek").read_bytes()
    second = base64.b64encode(os.urandom(32)) + b"\n"
    (folder / "kek").write_bytes(first + second)
    rotated = Vault.open(folder)
    assert rotated.unseal(old, "here") == b"old"
    assert rotated.keyed_hash("uid", b"04a1") == old_hash
    new = rotated.seal(b"new", "here")
    assert new[:4] != old[:4]
    (folder / "kek").write_bytes(second)
    assert Vault.open(folder).unseal(new, "here") == b"new"


@pytest.mark.req("R31")
def test_a_value_under_a_lost_kek_says_which(folder: Path, vault: Vault) -> None:
    sealed = vault.seal(b"old", "here")
    (folder / "kek").write_bytes(base64.b64encode(os.urandom(32)))
    with pytest.raises(SealBroken, match=sealed[:4].hex()):
        Vault.open(folder).unseal(sealed, "here")


def test_hashes_differ_by_purpose_value_and_installation(vault: Vault, module_vault: Vault) -> None:
    assert len(vault.keyed_hash("uid", b"04a1")) == 32
    others = {
        vault.keyed_hash("uid", b"04a2"),
        vault.keyed_hash("link", b"04a1"),
        vault.keyed_hash("ui", b"d04a1"),
        module_vault.keyed_hash("uid", b"04a1"),
    }
    assert len(others | {vault.keyed_hash("uid", b"04a1")}) == 5


def test_a_printed_vault_shows_no_key(vault: Vault) -> None:
    shown = f"{vault!r} {vault}"
    assert vault.audit_key.hex() not in shown
    assert repr(vault.flask_secret) not in shown
