# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Do we trust this model of key? Our policy on top of both libraries (R14).

py_webauthn accepts no attestation, self-attestation and a forged AAGUID even where roots are
given; python-fido2 accepts self-attestation. So each rule is checked here under a reason of its
own, and both libraries verify besides. WebAuthn L3 §7.1 steps 21 to 24, §8.2.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier
from fido2.attestation.base import Attestation
from fido2.attestation.packed import PackedAttestation
from fido2.webauthn import AttestationObject

from ..errors import ConfigurationError
from ..settings import AttestationRule, Settings
from . import certificates, metadata
from .refusals import Refusal, refused, refusing

SIMULATOR_AAGUID = "6e5431ce-8b3b-4050-b137-31074beb1895"
"""The software card's model. Its root key is public: anyone can sign as this model."""

_AAGUID_EXTENSION = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_LEAF_UNIT = "Authenticator Attestation"
_MAX_CHAIN = 5
# Platform formats that the WebAuthn library verifies against roots of its own. They prove no
# model here: they are only looked at where no attestation is required.
_PLATFORM_FORMATS = frozenset({"tpm", "apple", "android-key"})


@dataclass(frozen=True)
class Model:
    """A model of key. Only a pinned `anchor` vouches for it; without one it has no name."""

    aaguid: str
    name: str | None = None
    anchor: x509.Certificate | None = None


@dataclass(frozen=True)
class Policy:
    """What a new credential must prove. AAGUIDs are lower-case UUID strings.

    `roots`: the trust anchors of each model; `names`: what to call them; `withdrawn`: models that
    are refused whatever they prove, and why; `compromised`: attestation certificates (DER) whose
    keys leaked; `allowed_models`: empty for every model with a root. `device_bound` refuses
    credentials that can be copied; replace it for passkeys.
    """

    required: bool = True
    roots: Mapping[str, tuple[x509.Certificate, ...]] = field(default_factory=dict)
    allowed_models: frozenset[str] = frozenset()
    device_bound: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    withdrawn: Mapping[str, Refusal] = field(default_factory=dict)
    compromised: frozenset[bytes] = frozenset()

    def name_of(self, aaguid: str) -> str | None:
        """What this model is called, for one whose attestation was verified."""
        return self.names.get(aaguid) or model_name(aaguid)


# A few common models, as their makers list them; the metadata service knows the rest.
_NAMES = MappingProxyType(
    {
        SIMULATOR_AAGUID: "Software card (demonstration)",
        "cb69481e-8ff7-4039-93ec-0a2729a154a8": "YubiKey 5",
        "ee882879-721c-4913-9775-3dfcce97072a": "YubiKey 5",
        "fa2b99dc-9e39-4257-8f92-4a30d23c4118": "YubiKey 5 NFC",
        "2fc0579f-8113-47ea-b116-bb5a8db9202a": "YubiKey 5 NFC",
        "a25342c0-3cdc-4414-8e46-f4807fca511c": "YubiKey 5 NFC",
        "d7781e5d-e353-46aa-afe2-3ca49f13332a": "YubiKey 5 NFC",
        "c1f9a0bc-1dd2-404a-b27f-8e29047a43fd": "YubiKey 5 NFC FIPS",
        "c5ef55ff-ad9a-4b9f-b580-adebafe026d0": "YubiKey 5Ci",
        "2194b428-9397-4046-8f39-007a1605a482": "Thales IDPrime 931 FIDO",
        "4d41190c-7beb-4a84-8018-adf265a6352d": "Thales IDPrime FIDO Bio",
        "9c835346-796b-4c27-8898-d6032f515cc5": "Cryptnox FIDO2",
        "260e3021-482d-442d-838c-7edfbe153b7e": "Feitian ePass FIDO2-NFC Plus",
    }
)


def model_name(aaguid: str) -> str | None:
    """The name of a common model. An unverified AAGUID proves nothing: ask the policy instead."""
    return _NAMES.get(aaguid)


def told_name(settings: Settings, aaguid: str) -> str | None:
    """What to call the model that a card says it is, on a screen: nothing has proved it yet."""
    try:
        return load_policy(settings).name_of(aaguid)
    except ConfigurationError:  # told where a credential is judged
        return model_name(aaguid)


def load_policy(settings: Settings) -> Policy:
    """Read what the settings pin: the folder of roots (see `metadata`) and the allowed models.

    Raises ConfigurationError. Outside demo mode the software card is refused, and a folder that
    pins its public root is refused too.
    """
    folder = settings.attestation_roots
    trust = metadata.read(folder) if folder is not None else metadata.Trust()
    withdrawn = dict.fromkeys(trust.withdrawn, Refusal.MODEL_WITHDRAWN)
    if not settings.demo:
        if SIMULATOR_AAGUID in trust.roots:
            raise ConfigurationError(
                f"{folder}: pins the software card, which anyone can imitate, outside demo mode"
            )
        withdrawn[SIMULATOR_AAGUID] = Refusal.MODEL_SIMULATED
    return Policy(
        required=settings.attestation is AttestationRule.REQUIRED,
        roots=trust.roots,
        allowed_models=settings.allowed_models,
        names=trust.names,
        withdrawn=withdrawn,
        compromised=trust.compromised,
    )


def check(
    attestation: AttestationObject,
    client_data_hash: bytes,
    policy: Policy,
    now: dt.datetime | None = None,
) -> Model:
    """Judge an attestation by the policy and return the model.

    Where the policy requires none, what is there is checked all the same, and a model with a
    pinned root must live up to it. Raises CeremonyRefused.
    """
    with refusing(Refusal.ATTESTATION_INVALID):
        return _check(attestation, client_data_hash, policy, now or dt.datetime.now(dt.UTC))


def _check(
    attestation: AttestationObject, client_data_hash: bytes, policy: Policy, now: dt.datetime
) -> Model:
    credential = attestation.auth_data.credential_data
    if credential is None or not isinstance(attestation.att_stmt, Mapping):
        raise refused(Refusal.MALFORMED)
    model = Model(str(UUID(bytes=bytes(credential.aaguid))))
    statement, fmt = attestation.att_stmt, attestation.fmt
    if model.aaguid in policy.withdrawn:
        raise refused(policy.withdrawn[model.aaguid])
    if fmt == "none":
        if policy.required:
            raise refused(Refusal.ATTESTATION_MISSING)
        if statement:
            raise refused(Refusal.ATTESTATION_INVALID)
        return model
    if fmt != "packed" or "ecdaaKeyId" in statement:
        if policy.required or fmt not in _PLATFORM_FORMATS:
            raise refused(Refusal.ATTESTATION_FORMAT)
        return model
    roots = policy.roots.get(model.aaguid, ())
    if "x5c" not in statement:
        # A pinned model signs with its maker's key; one that signs for itself is not it.
        if policy.required or roots:
            raise refused(Refusal.ATTESTATION_SELF)
        _verify_signature(attestation, client_data_hash)
        return model
    chain = _certificates(statement["x5c"])
    _check_leaf(chain[0], bytes(credential.aaguid))
    if not policy.compromised.isdisjoint(statement["x5c"]):
        raise refused(Refusal.MODEL_WITHDRAWN)
    if not roots:
        if policy.required:
            raise refused(Refusal.MODEL_UNKNOWN)
        _check_dates(chain, now)
        _verify_signature(attestation, client_data_hash)
        return model
    if policy.allowed_models and model.aaguid not in policy.allowed_models:
        raise refused(Refusal.MODEL_NOT_ALLOWED)
    path = certificates.path(chain, roots)
    if path is None:
        raise refused(Refusal.ATTESTATION_CHAIN)
    _check_dates(path, now)
    if _extension(chain[0]) is None and _is_shared(path[-1], model.aaguid, policy):
        raise refused(Refusal.ATTESTATION_AAGUID)
    _verify_signature(attestation, client_data_hash)
    return Model(model.aaguid, policy.name_of(model.aaguid), path[-1])


def _certificates(x5c: object) -> list[x509.Certificate]:
    if not isinstance(x5c, list) or not 0 < len(x5c) <= _MAX_CHAIN:
        raise refused(Refusal.ATTESTATION_CERTIFICATE)
    with refusing(Refusal.ATTESTATION_CERTIFICATE):
        return [x509.load_der_x509_certificate(der) for der in x5c]


def _check_leaf(leaf: x509.Certificate, aaguid: bytes) -> None:
    """WebAuthn L3 §8.2.1, certificate requirements for packed attestation statements.

    Version 3 follows from Basic Constraints being there.
    """
    with refusing(Refusal.ATTESTATION_CERTIFICATE):
        constraints = certificates.basic_constraints(leaf)
        if constraints is None or constraints.ca:
            raise refused(Refusal.ATTESTATION_CA)
        units = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        if [unit.value for unit in units] != [_LEAF_UNIT] or not all(
            leaf.subject.get_attributes_for_oid(oid)
            for oid in (NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
        ):
            raise refused(Refusal.ATTESTATION_SUBJECT)
        extension = _extension(leaf)
        if extension is not None and (
            extension.critical or extension.value.public_bytes() != b"\x04\x10" + aaguid
        ):
            raise refused(Refusal.ATTESTATION_AAGUID)


def _check_dates(path: list[x509.Certificate], now: dt.datetime) -> None:
    if not all(cert.not_valid_before_utc <= now <= cert.not_valid_after_utc for cert in path):
        raise refused(Refusal.ATTESTATION_EXPIRED)


def _verify_signature(attestation: AttestationObject, client_data_hash: bytes) -> None:
    packed: Attestation = PackedAttestation()
    with refusing(Refusal.ATTESTATION_SIGNATURE):
        packed.verify(attestation.att_stmt, attestation.auth_data, client_data_hash)


def _extension(leaf: x509.Certificate) -> x509.Extension[x509.ExtensionType] | None:
    try:
        return leaf.extensions.get_extension_for_oid(_AAGUID_EXTENSION)
    except x509.ExtensionNotFound:
        return None


def _is_shared(anchor: x509.Certificate, aaguid: str, policy: Policy) -> bool:
    """Whether a root vouches for other models too: then leaves must name theirs (§8.2.1)."""
    return any(anchor in anchors for other, anchors in policy.roots.items() if other != aaguid)
