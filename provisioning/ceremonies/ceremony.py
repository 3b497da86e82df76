# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""WebAuthn ceremonies: options out, answers in. The only importer of `webauthn`.

Each rule of WebAuthn L3 §7.1 and §7.2 that we hold has a reason of its own (`refusals`) and is
checked here before the library is asked, because the library alone takes cross-origin answers,
foreign user handles and identifiers of any length (R13 to R15). What comes back is never trusted
to be well-formed: whatever is wrong with it, CeremonyRefused is all that is raised.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import webauthn
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from fido2.webauthn import AttestationObject, AuthenticatorData
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttachment,
    AuthenticatorAttestationResponse,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialHint,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ..models import Credential, PanelCredential, SecurityKey, User
from . import answers, attestation, challenges
from .answers import Answer
from .challenges import TakenChallenge, take_challenge
from .refusals import Refusal, refused, refusing

__all__ = [
    "RelyingParty",
    "TakenChallenge",
    "VerifiedAuthentication",
    "VerifiedRegistration",
    "authentication_options",
    "credential_id_of",
    "registration_options",
    "take_challenge",
    "user_handle_of",
    "verify_authentication",
    "verify_registration",
]

MAX_CREDENTIAL_ID = 1023  # WebAuthn L3 §4, credential id
ALGORITHMS = (-7, -8, -257)  # ES256, EdDSA, RS256
# COSE key type and curve that each algorithm must come with (WebAuthn L3 §5.8.5).
_KEY_SHAPES = {-7: (2, 1), -8: (1, 6), -257: (3, None)}
_MIN_RSA_BYTES = 256
_HINTS = {
    "cross-platform": [PublicKeyCredentialHint.SECURITY_KEY],
    "platform": [PublicKeyCredentialHint.CLIENT_DEVICE],
}


@dataclass(frozen=True)
class RelyingParty:
    """Who we are to an authenticator: RP ID, the one origin, and the name that it shows."""

    id: str
    origin: str
    name: str


@dataclass(frozen=True)
class VerifiedRegistration:
    """A new credential that passed every check. `model` is set only if its maker vouches."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    transports: tuple[str, ...]
    fmt: str
    attestation_object: bytes
    backup_eligible: bool
    backed_up: bool
    origin: str
    model: str | None


@dataclass(frozen=True)
class VerifiedAuthentication:
    """An assertion that passed every check."""

    credential_id: bytes
    new_sign_count: int
    user_verified: bool
    backed_up: bool


def registration_options(
    party: RelyingParty,
    *,
    purpose: str,
    binding: str,
    user_handle: bytes,
    user_name: str,
    display_name: str,
    exclude: Sequence[bytes],
    resident: bool = True,
    attachment: Literal["platform", "cross-platform"] | None = None,
    attestation: Literal["direct", "none"] = "direct",
    user: User | None = None,
    key: SecurityKey | None = None,
) -> str:
    """Ask for a new credential: PublicKeyCredentialCreationOptionsJSON, and a Challenge row."""
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=user_handle,
        user_name=user_name,
        user_display_name=display_name,
        challenge=challenges.ask(purpose, binding, user=user, key=key),
        timeout=challenges.LIFETIME,
        attestation=AttestationConveyancePreference(attestation),
        authenticator_selection=AuthenticatorSelectionCriteria(
            authenticator_attachment=AuthenticatorAttachment(attachment) if attachment else None,
            resident_key=ResidentKeyRequirement.REQUIRED
            if resident
            else ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=known) for known in exclude],
        supported_pub_key_algs=[COSEAlgorithmIdentifier(alg) for alg in ALGORITHMS],
        hints=_HINTS.get(attachment or ""),
    )
    return webauthn.options_to_json(options)


def authentication_options(
    party: RelyingParty,
    *,
    purpose: str,
    binding: str,
    allow: Sequence[bytes] | None,
    need_uv: bool = True,
    user: User | None = None,
    key: SecurityKey | None = None,
) -> str:
    """Ask for an assertion: PublicKeyCredentialRequestOptionsJSON, and a Challenge row.

    `allow` None lets the key say whose it is (a discoverable credential).
    """
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenges.ask(purpose, binding, user=user, key=key),
        timeout=challenges.LIFETIME,
        allow_credentials=[PublicKeyCredentialDescriptor(id=known) for known in allow or ()],
        user_verification=UserVerificationRequirement.REQUIRED
        if need_uv
        else UserVerificationRequirement.DISCOURAGED,
    )
    return webauthn.options_to_json(options)


def credential_id_of(response: object) -> bytes:
    """The credential that an answer names, unverified. Raises CeremonyRefused."""
    return answers.read(response).credential_id


def user_handle_of(response: object) -> bytes | None:
    """The user handle that an assertion names, unverified. Raises CeremonyRefused."""
    return answers.read(response).optional("userHandle")


def verify_registration(
    response: object,
    taken: TakenChallenge | None,
    *,
    policy: attestation.Policy,
    party: RelyingParty,
) -> VerifiedRegistration:
    """Verify a RegistrationResponseJSON (WebAuthn L3 §7.1) by R14 and the policy.

    Call it in the transaction that stores the credential: that the id is new is looked up in
    both tables. Raises CeremonyRefused.
    """
    answer = answers.read(response)
    challenge = challenges.value_of(taken)
    client_data = answer.client_data("webauthn.create", challenge, party.origin)
    raw = answer.required("attestationObject", answers.MAX_ATTESTATION)
    with refusing(Refusal.MALFORMED):
        parsed = AttestationObject(raw)
    data = parsed.auth_data
    _check_flags(data, party)
    credential = data.credential_data
    if credential is None or not credential.credential_id:
        raise refused(Refusal.MALFORMED)
    if len(credential.credential_id) > MAX_CREDENTIAL_ID:
        raise refused(Refusal.ID_TOO_LONG)
    if credential.credential_id != answer.credential_id:
        raise refused(Refusal.ID_MISMATCH)
    _check_algorithm(credential.public_key)
    if policy.device_bound and data.is_backup_eligible():
        raise refused(Refusal.BACKUP_ELIGIBLE)
    model = attestation.check(parsed, hashlib.sha256(client_data).digest(), policy)
    # The second opinion, under the same anchor. Two cases it cannot judge, and lets pass: no
    # anchor at all, and one that did not sign itself.
    anchor = model.anchor
    roots = [anchor.public_bytes(Encoding.PEM)] if anchor and _is_self_issued(anchor) else []
    with refusing(Refusal.ATTESTATION_INVALID, WebAuthnException):
        verified = webauthn.verify_registration_response(
            credential=RegistrationCredential(
                id=answer.id,
                raw_id=answer.credential_id,
                response=AuthenticatorAttestationResponse(client_data, raw),
            ),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(alg) for alg in ALGORITHMS],
            pem_root_certs_bytes_by_fmt={AttestationFormat.PACKED: roots},
        )
        # With no attestation the library never builds the key: one that is no point on its
        # curve would be stored, and never verify anything.
        decoded_public_key_to_cryptography(
            decode_credential_public_key(verified.credential_public_key)
        )
    if (verified.credential_id, verified.aaguid) != (answer.credential_id, model.aaguid):
        raise refused(Refusal.MALFORMED)  # the two parsers read two different things
    if _is_known(verified.credential_id):
        raise refused(Refusal.CREDENTIAL_KNOWN)
    return VerifiedRegistration(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        aaguid=model.aaguid,
        transports=_transports(answer),
        fmt=str(parsed.fmt),
        attestation_object=raw,
        backup_eligible=data.is_backup_eligible(),
        backed_up=data.is_backed_up(),
        origin=party.origin,
        model=model.name,
    )


def verify_authentication(
    response: object,
    taken: TakenChallenge | None,
    *,
    party: RelyingParty,
    public_key: bytes,
    sign_count: int,
    user_handle: bytes,
    require_uv: bool = True,
    need_user_handle: bool = False,
) -> VerifiedAuthentication:
    """Verify an AuthenticationResponseJSON (WebAuthn L3 §7.2) of the credential given by the rest.

    `need_user_handle` for a sign-in that named nobody. A counter that stands still or goes
    backwards is told only after the signature holds, so that no stranger can lock a key by it;
    0 after 0 is a key that does not count. Raises CeremonyRefused.
    """
    answer = answers.read(response)
    challenge = challenges.value_of(taken)
    client_data = answer.client_data("webauthn.get", challenge, party.origin)
    raw = answer.required("authenticatorData", answers.MAX_AUTHENTICATOR_DATA)
    signature = answer.required("signature", answers.MAX_SIGNATURE)
    with refusing(Refusal.MALFORMED):
        data = AuthenticatorData(raw)
    _check_flags(data, party, require_uv=require_uv)
    told = answer.optional("userHandle")
    if told is None and need_user_handle:
        raise refused(Refusal.NO_USER_HANDLE)
    if told is not None and not secrets.compare_digest(told, user_handle):
        raise refused(Refusal.FOREIGN_USER_HANDLE)
    with refusing(Refusal.WRONG_SIGNATURE, WebAuthnException):
        verified = webauthn.verify_authentication_response(
            credential=AuthenticationCredential(
                id=answer.id,
                raw_id=answer.credential_id,
                response=AuthenticatorAssertionResponse(client_data, raw, signature, told),
            ),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,  # ours to judge, below
            require_user_verification=require_uv,
        )
    if (data.counter or sign_count) and data.counter <= sign_count:
        raise refused(Refusal.SIGN_COUNT_REGRESSED)
    return VerifiedAuthentication(
        credential_id=verified.credential_id,
        new_sign_count=data.counter,
        user_verified=data.is_user_verified(),
        backed_up=data.is_backed_up(),
    )


def _check_flags(data: AuthenticatorData, party: RelyingParty, *, require_uv: bool = True) -> None:
    if data.rp_id_hash != hashlib.sha256(party.id.encode()).digest():
        raise refused(Refusal.WRONG_RP_ID)
    if not data.is_user_present():
        raise refused(Refusal.USER_NOT_PRESENT)
    if require_uv and not data.is_user_verified():
        raise refused(Refusal.USER_NOT_VERIFIED)
    if data.is_backed_up() and not data.is_backup_eligible():
        raise refused(Refusal.BACKUP_FLAGS)


def _check_algorithm(public_key: dict[int, object]) -> None:
    algorithm = public_key.get(3)
    shape = _KEY_SHAPES.get(algorithm) if type(algorithm) is int else None
    if shape is None or public_key.get(1) != shape[0]:
        raise refused(Refusal.ALGORITHM_NOT_ALLOWED)
    if shape[1] is not None and public_key.get(-1) != shape[1]:
        raise refused(Refusal.ALGORITHM_NOT_ALLOWED)
    modulus = public_key.get(-1)
    if algorithm == -257 and not (
        isinstance(modulus, bytes) and len(modulus.lstrip(b"\0")) >= _MIN_RSA_BYTES
    ):
        raise refused(Refusal.ALGORITHM_NOT_ALLOWED)


def _is_self_issued(certificate: Certificate) -> bool:
    return certificate.issuer == certificate.subject


def _is_known(credential_id: bytes) -> bool:
    return any(
        table.select().where(table.credential_id == credential_id).exists()
        for table in (Credential, PanelCredential)
    )


def _transports(answer: Answer) -> tuple[str, ...]:
    told = answer.response.get("transports")
    known = {transport.value for transport in AuthenticatorTransport}
    if not isinstance(told, list):
        return ()
    return tuple(sorted({name for name in told if isinstance(name, str) and name in known}))
