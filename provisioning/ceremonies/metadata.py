# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The folder of trust anchors: which roots vouch for which model of key.

- `<aaguid>.pem`: the roots of one model;
- `models.json`: `{"<aaguid>": {"name": "…", "roots": ["file.pem", …]}}`;
- `mds.jwt` and `mds-root.pem`: a blob of the FIDO Metadata Service and the root that it must be
  signed under (FIDO Metadata Service v3 §3.1). What is pinned by hand goes before what it says.

Read from disk only: nothing is fetched while a key waits.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from fido2.attestation.base import InvalidAttestation
from fido2.mds3 import AuthenticatorStatus, MetadataBlobPayload, parse_blob

from ..errors import ConfigurationError
from . import certificates

BLOB = "mds.jwt"
BLOB_ROOT = "mds-root.pem"
MODELS = "models.json"
_SIGNER = "mds.fidoalliance.org"
_AAGUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Once reported, always refused: the firmware that mends it cannot be told from an assertion.
_UNSAFE = frozenset(
    {
        AuthenticatorStatus.REVOKED,
        AuthenticatorStatus.USER_VERIFICATION_BYPASS,
        AuthenticatorStatus.ATTESTATION_KEY_COMPROMISE,
        AuthenticatorStatus.USER_KEY_REMOTE_COMPROMISE,
        AuthenticatorStatus.USER_KEY_PHYSICAL_COMPROMISE,
    }
)


@dataclass(frozen=True)
class Trust:
    """What the folder says. AAGUIDs are lower-case UUID strings, `compromised` are DER."""

    roots: Mapping[str, tuple[x509.Certificate, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    withdrawn: frozenset[str] = frozenset()
    compromised: frozenset[bytes] = frozenset()


def read(folder: Path) -> Trust:
    """Read the folder, again only when a file in it has changed.

    Raises ConfigurationError that names the file at fault.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder")
    state = sorted((file.name, file.stat()) for file in folder.iterdir())
    return _read(folder, tuple((name, at.st_mtime_ns, at.st_size) for name, at in state))


@lru_cache(maxsize=2)
def _read(folder: Path, _state: tuple[tuple[str, int, int], ...]) -> Trust:
    roots: dict[str, tuple[x509.Certificate, ...]] = {}
    names: dict[str, str] = {}
    unclaimed = {path.name for path in folder.glob("*.pem")} - {BLOB_ROOT}
    for aaguid, (name, files) in _models(folder / MODELS).items():
        names[aaguid] = name
        roots[aaguid] = tuple(root for file in files for root in _pem(folder / file))
        unclaimed -= set(files)
    for file in sorted(unclaimed):
        aaguid = Path(file).stem.lower()
        if not _AAGUID.fullmatch(aaguid):
            raise ConfigurationError(f"{folder / file}: no model in {MODELS} has this root")
        roots[aaguid] = (*roots.get(aaguid, ()), *_pem(folder / file))
    if not (folder / BLOB).exists():
        return Trust(roots, names)
    listed = _trust(_verified((folder / BLOB).read_bytes(), folder))
    return Trust(
        {**listed.roots, **roots},
        {**listed.names, **names},
        listed.withdrawn,
        listed.compromised,
    )


def install(folder: Path, blob: bytes, now: dt.datetime | None = None) -> int:
    """Put a newer blob of the Metadata Service into the folder and return its number.

    Raises ConfigurationError, and keeps the blob that is there, when the new one is not signed
    under `mds-root.pem`, its signer's certificate is out of date, or it is older (R14).
    """
    payload = _verified(blob, folder, now or dt.datetime.now(dt.UTC))
    path = folder / BLOB
    if path.exists():
        present = _verified(path.read_bytes(), folder).no
        if payload.no < present:
            raise ConfigurationError(f"{path}: number {payload.no} is older than {present}")
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return payload.no


def _verified(blob: bytes, folder: Path, now: dt.datetime | None = None) -> MetadataBlobPayload:
    """Verify a blob's signature, signer and chain; the dates too where `now` is given."""
    anchors = _pem(folder / BLOB_ROOT)
    fault = ConfigurationError(f"{folder / BLOB}: not signed by the FIDO Metadata Service")
    try:
        header = json.loads(base64.urlsafe_b64decode(blob.split(b".", 1)[0] + b"=="))
        chain = [x509.load_der_x509_certificate(base64.b64decode(c)) for c in header["x5c"]]
        path = certificates.path(chain, anchors)
        if path is None or _SIGNER not in _dns_names(path[0]):
            raise fault
        if now and not all(c.not_valid_before_utc <= now <= c.not_valid_after_utc for c in path):
            raise ConfigurationError(f"{folder / BLOB}: its signer's certificate is out of date")
        return parse_blob(blob.strip(), path[-1].public_bytes(Encoding.DER))
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,  # RecursionError, NotImplementedError
        AssertionError,
        InvalidSignature,
        InvalidAttestation,
        x509.ExtensionNotFound,
    ):
        raise fault from None


def _trust(payload: MetadataBlobPayload) -> Trust:
    roots: dict[str, tuple[x509.Certificate, ...]] = {}
    names: dict[str, str] = {}
    withdrawn: set[str] = set()
    compromised: set[bytes] = set()
    for entry in payload.entries:
        if not entry.aaguid:
            continue  # U2F and UAF models have none
        aaguid = str(entry.aaguid)
        for report in entry.status_reports:
            leaked = report.certificate or report.batch_certificate
            if report.status is AuthenticatorStatus.ATTESTATION_KEY_COMPROMISE and leaked:
                compromised.add(leaked)
            elif report.status in _UNSAFE:
                withdrawn.add(aaguid)
        if entry.metadata_statement is not None:
            names[aaguid] = entry.metadata_statement.description
            roots[aaguid] = tuple(_der(entry.metadata_statement.attestation_root_certificates))
    return Trust(roots, names, frozenset(withdrawn), frozenset(compromised))


def _der(encoded: object) -> list[x509.Certificate]:
    found = []
    for der in cast("list[bytes]", encoded):
        try:
            found.append(x509.load_der_x509_certificate(der))
        except ValueError:
            continue  # one maker's odd certificate must not cost the others their trust
    return found


def _models(path: Path) -> dict[str, tuple[str, list[str]]]:
    if not path.exists():
        return {}
    shape = f'{path}: expected {{"<aaguid>": {{"name": "…", "roots": ["file.pem"]}}}}'
    try:
        document = json.loads(path.read_bytes())
        models = {
            aaguid.lower(): (entry["name"], entry.get("roots", []))
            for aaguid, entry in document.items()
        }
    except (ValueError, AttributeError, TypeError, KeyError):
        raise ConfigurationError(shape) from None
    for aaguid, (name, files) in models.items():
        if not _AAGUID.fullmatch(aaguid):
            raise ConfigurationError(f"{path}: {aaguid!r} is not an AAGUID")
        if not isinstance(name, str) or not isinstance(files, list) or not files:
            raise ConfigurationError(shape)
        if not all(isinstance(file, str) and Path(file).name == file for file in files):
            raise ConfigurationError(shape)
    return models


def _pem(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{path}: not a PEM certificate") from None


def _dns_names(leaf: x509.Certificate) -> list[str]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)
