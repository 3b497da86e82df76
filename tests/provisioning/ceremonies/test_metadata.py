# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.ceremonies import metadata
from provisioning.ceremonies.attestation import load_policy
from provisioning.ceremonies.refusals import Refusal
from provisioning.errors import ConfigurationError
from provisioning.settings import load
from tests.fakes.authenticator import (
    AAGUID,
    NOW,
    YEAR,
    Batch,
    Maker,
    b64url,
    new_key,
    sign,
    subject,
)

SIGNER_NAME = "mds.fidoalliance.org"
LISTED, LOCAL, SERVICE = Maker("Listed root"), Maker("Local root"), Maker("Service root")
OTHER_AAGUID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


def signer(maker: Maker = SERVICE, dns_name: str = SIGNER_NAME, **certificate: Any) -> Batch:
    # RS256, as the service itself signs.
    return maker.batch(
        None, key=new_key(-257), name=subject(dns_name, unit=None), dns_name=dns_name,
        **certificate,
    )  # fmt: skip


SIGNER = signer()


def entry(
    aaguid: str = AAGUID, *statuses: str | dict[str, Any], **statement: Any
) -> dict[str, Any]:
    reports = [{"status": s} if isinstance(s, str) else s for s in statuses or ("FIDO_CERTIFIED",)]
    return {
        "aaguid": aaguid,
        "statusReports": reports,
        "timeOfLastStatusChange": "2026-01-01",
        "metadataStatement": {
            "description": "Listed model",
            "aaguid": aaguid,
            "authenticatorVersion": 1,
            "schema": 3,
            "upv": [{"major": 1, "minor": 1}],
            "attestationTypes": ["basic_full"],
            "userVerificationDetails": [],
            "keyProtection": ["hardware"],
            "matcherProtection": ["on_chip"],
            "attachmentHint": ["external"],
            "tcDisplay": [],
            "attestationRootCertificates": [b64(LISTED)],
            **statement,
        },
    }


def b64(maker: Maker) -> str:
    return base64.b64encode(maker.root.public_bytes(Encoding.DER)).decode()


def blob(*entries: dict[str, Any], no: int = 7, by: Batch = SIGNER) -> bytes:
    payload = {
        "legalHeader": "", "no": no, "nextUpdate": "2027-01-01",
        "entries": list(entries) or [entry()],
    }  # fmt: skip
    header = {
        "alg": "RS256", "typ": "JWT", "x5c": [base64.b64encode(c).decode() for c in by.x5c],
    }  # fmt: skip
    message = ".".join(b64url(json.dumps(part).encode()) for part in (header, payload)).encode()
    return message + b"." + b64url(sign(by.key, message)).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mds-root.pem").write_bytes(SERVICE.root.public_bytes(Encoding.PEM))
    return tmp_path


def read(folder: Path, *entries: dict[str, Any]) -> metadata.Trust:
    (folder / "mds.jwt").write_bytes(blob(*entries))
    return metadata.read(folder)


@pytest.mark.req("R14")
def test_the_service_gives_roots_and_names(folder: Path) -> None:
    trust = read(folder)
    assert trust.roots == {AAGUID: (LISTED.root,)}
    assert trust.names == {AAGUID: "Listed model"}
    assert not trust.withdrawn


@pytest.mark.req("R14")
def test_what_is_pinned_by_hand_goes_before_the_service(folder: Path) -> None:
    (folder / "local.pem").write_bytes(LOCAL.root.public_bytes(Encoding.PEM))
    models = {AAGUID: {"name": "Staff card", "roots": ["local.pem"]}}
    (folder / "models.json").write_text(json.dumps(models))
    trust = read(folder, entry(), entry(OTHER_AAGUID))
    assert trust.roots == {AAGUID: (LOCAL.root,), OTHER_AAGUID: (LISTED.root,)}
    assert trust.names == {AAGUID: "Staff card", OTHER_AAGUID: "Listed model"}


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    "status",
    [
        "REVOKED",
        "ATTESTATION_KEY_COMPROMISE",
        "USER_VERIFICATION_BYPASS",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
    ],
)
def test_an_unsafe_model_is_withdrawn_although_pinned_and_later_mended(
    folder: Path, status: str
) -> None:
    (folder / f"{AAGUID}.pem").write_bytes(LOCAL.root.public_bytes(Encoding.PEM))
    (folder / "mds.jwt").write_bytes(
        blob(entry(AAGUID, "FIDO_CERTIFIED", status, "UPDATE_AVAILABLE"))
    )
    policy = load_policy(load(folder, base_url="http://localhost", attestation_roots=folder))
    assert policy.withdrawn[AAGUID] is Refusal.MODEL_WITHDRAWN


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    "status", ["FIDO_CERTIFIED_L2", "UPDATE_AVAILABLE", "NOT_FIDO_CERTIFIED", "NEWLY_INVENTED"]
)
def test_other_statuses_withdraw_nothing(folder: Path, status: str) -> None:
    assert not read(folder, entry(AAGUID, status)).withdrawn


@pytest.mark.req("R14")
def test_a_leaked_batch_key_withdraws_its_certificate_only(folder: Path) -> None:
    leaked = LISTED.batch().x5c[0]
    report = {
        "status": "ATTESTATION_KEY_COMPROMISE",
        "certificate": base64.b64encode(leaked).decode(),
    }
    trust = read(folder, entry(AAGUID, report))
    assert trust.compromised == {leaked}
    assert not trust.withdrawn


def test_models_without_an_aaguid_are_left_out(folder: Path) -> None:
    u2f = entry()
    del u2f["aaguid"], u2f["metadataStatement"]["aaguid"]
    assert not read(folder, u2f).roots


def test_one_odd_certificate_costs_only_itself(folder: Path) -> None:
    odd = entry(attestationRootCertificates=[base64.b64encode(b"odd").decode(), b64(LISTED)])
    assert read(folder, odd).roots == {AAGUID: (LISTED.root,)}


@pytest.mark.req("R14")
def test_a_newer_or_equal_blob_is_installed(folder: Path) -> None:
    assert metadata.install(folder, blob(no=7)) == 7
    assert metadata.install(folder, blob(no=7)) == 7
    assert metadata.install(folder, blob(entry(OTHER_AAGUID), no=8)) == 8
    assert set(metadata.read(folder).roots) == {OTHER_AAGUID}
    assert sorted(path.name for path in folder.iterdir()) == ["mds-root.pem", "mds.jwt"]


@pytest.mark.req("R14")
def test_an_older_blob_is_refused_and_the_present_one_kept(folder: Path) -> None:
    metadata.install(folder, blob(no=8))
    before = (folder / "mds.jwt").read_bytes()
    with pytest.raises(ConfigurationError, match="older than 8"):
        metadata.install(folder, blob(no=7))
    assert (folder / "mds.jwt").read_bytes() == before


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    "by",
    [
        signer(Maker("Service root")),
        signer(dns_name="www.example.com"),
        # A holder of any certificate under the same root, playing CA.
        signer(issuer=SERVICE.intermediate(ca=False, dns_name="www.example.com")),
        SERVICE.batch(None, key=new_key(-257)),
        Batch(new_key(-257), SIGNER.chain),
        Batch(SIGNER.key, ()),
    ],
    ids=["foreign-root", "another-site", "site-as-ca", "no-site", "stolen-chain", "no-chain"],
)
def test_a_blob_by_anybody_else_is_refused(folder: Path, by: Batch) -> None:
    with pytest.raises(ConfigurationError, match="not signed by"):
        metadata.install(folder, blob(by=by))
    (folder / "mds.jwt").write_bytes(blob(by=by))
    with pytest.raises(ConfigurationError, match="not signed by"):
        metadata.read(folder)


@pytest.mark.req("R14")
def test_a_changed_entry_is_refused(folder: Path) -> None:
    parts = blob().split(b".")
    parts[1] = blob(entry(OTHER_AAGUID)).split(b".")[1]
    with pytest.raises(ConfigurationError, match="not signed by"):
        metadata.install(folder, b".".join(parts))


@pytest.mark.req("R14")
def test_an_outdated_signer_installs_nothing_but_stops_no_start(folder: Path) -> None:
    old = blob(by=signer(valid_from=NOW - 2 * YEAR, valid_to=NOW - YEAR))
    with pytest.raises(ConfigurationError, match="out of date"):
        metadata.install(folder, old)
    (folder / "mds.jwt").write_bytes(old)
    assert metadata.read(folder).roots


@pytest.mark.req("R3")
def test_a_blob_needs_a_root(folder: Path) -> None:
    (folder / "mds-root.pem").unlink()
    with pytest.raises(ConfigurationError, match=r"mds-root\.pem"):
        metadata.install(folder, blob())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(garbage=st.binary(max_size=60) | st.tuples(st.integers(0, 5_000), st.integers(1, 255)))
def test_a_damaged_blob_is_only_ever_refused(folder: Path, garbage: Any) -> None:
    if isinstance(garbage, tuple):
        position, flip = garbage
        raw = bytearray(blob())
        raw[position % (len(raw) - 1)] ^= flip  # base64's last character has idle bits
        garbage = bytes(raw)
    with pytest.raises(ConfigurationError):
        metadata.install(folder, garbage)
