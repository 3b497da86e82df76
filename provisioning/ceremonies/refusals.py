# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Why a WebAuthn answer is refused: one stable word for the audit log, one sentence for people."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from enum import StrEnum, unique

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import AttributeNotFound, DuplicateExtension, InvalidVersion
from fido2.attestation.base import InvalidAttestation

from ..errors import CeremonyRefused


@unique
class Refusal(StrEnum):
    """Every `reason` of CeremonyRefused. The words are part of the audit log: never rename one."""

    MALFORMED = "malformed"
    # The challenge (R13)
    NO_CHALLENGE = "no_challenge"
    CHALLENGE_EXPIRED = "challenge_expired"
    CHALLENGE_FOREIGN = "challenge_foreign"
    WRONG_CHALLENGE = "wrong_challenge"
    # What every answer must show (R14, R15)
    WRONG_TYPE = "wrong_type"
    WRONG_ORIGIN = "wrong_origin"
    CROSS_ORIGIN = "cross_origin"
    WRONG_RP_ID = "wrong_rp_id"
    USER_NOT_PRESENT = "user_not_present"
    USER_NOT_VERIFIED = "user_not_verified"
    BACKUP_FLAGS = "backup_flags"
    # A new credential (R14)
    ID_MISMATCH = "id_mismatch"
    ID_TOO_LONG = "id_too_long"
    CREDENTIAL_KNOWN = "credential_known"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    BACKUP_ELIGIBLE = "backup_eligible"
    # Its attestation (R14)
    ATTESTATION_MISSING = "attestation_missing"
    ATTESTATION_SELF = "attestation_self"
    ATTESTATION_FORMAT = "attestation_format"
    ATTESTATION_SIGNATURE = "attestation_signature"
    ATTESTATION_CERTIFICATE = "attestation_certificate"
    ATTESTATION_CA = "attestation_ca"
    ATTESTATION_SUBJECT = "attestation_subject"
    ATTESTATION_AAGUID = "attestation_aaguid"
    ATTESTATION_EXPIRED = "attestation_expired"
    ATTESTATION_CHAIN = "attestation_chain"
    ATTESTATION_INVALID = "attestation_invalid"
    MODEL_UNKNOWN = "model_unknown"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_WITHDRAWN = "model_withdrawn"
    MODEL_SIMULATED = "model_simulated"
    # An assertion (R15)
    FOREIGN_USER_HANDLE = "foreign_user_handle"
    NO_USER_HANDLE = "no_user_handle"
    WRONG_SIGNATURE = "wrong_signature"
    SIGN_COUNT_REGRESSED = "sign_count_regressed"


SENTENCES: dict[Refusal, str] = {
    Refusal.MALFORMED: "The answer of the key could not be read.",
    Refusal.NO_CHALLENGE: "This was answered already, or never asked here. Start again.",
    Refusal.CHALLENGE_EXPIRED: "This took longer than five minutes. Start again.",
    Refusal.CHALLENGE_FOREIGN: "This was asked of somebody else. Start again.",
    Refusal.WRONG_CHALLENGE: "The key answered another question than the one asked. Start again.",
    Refusal.WRONG_TYPE: "The key answered another kind of question than the one asked.",
    Refusal.WRONG_ORIGIN: "The key was used on another website than this one.",
    Refusal.CROSS_ORIGIN: "The key was used inside another website's page.",
    Refusal.WRONG_RP_ID: "The key answered for another website than this one.",
    Refusal.USER_NOT_PRESENT: "The key was not touched or tapped.",
    Refusal.USER_NOT_VERIFIED: "The key did not ask for its PIN.",
    Refusal.BACKUP_FLAGS: "The key contradicts itself about being copied to other devices.",
    Refusal.ID_MISMATCH: "The answer names two different keys.",
    Refusal.ID_TOO_LONG: "The key's identifier is too long.",
    Refusal.CREDENTIAL_KNOWN: "This key is registered already.",
    Refusal.ALGORITHM_NOT_ALLOWED: "The key uses a kind of signature that is not allowed here.",
    Refusal.BACKUP_ELIGIBLE: "This is a passkey that can be copied to other devices; "
    "a key that stays in one device is needed.",
    Refusal.ATTESTATION_MISSING: "This key cannot prove which model it is.",
    Refusal.ATTESTATION_SELF: "This key cannot prove which model it is.",
    Refusal.ATTESTATION_FORMAT: "This key proves its model in a way that is not accepted here.",
    Refusal.ATTESTATION_SIGNATURE: "The proof of this key's model is forged or damaged.",
    Refusal.ATTESTATION_CERTIFICATE: "The certificate of this key's model cannot be used.",
    Refusal.ATTESTATION_CA: "The certificate of this key's model is not a key's certificate.",
    Refusal.ATTESTATION_SUBJECT: "The certificate of this key's model is not a key's certificate.",
    Refusal.ATTESTATION_AAGUID: "This key says that it is another model than its certificate.",
    Refusal.ATTESTATION_EXPIRED: "The certificate of this key's model is not valid at this time.",
    Refusal.ATTESTATION_CHAIN: "The certificate of this key's model is not its maker's.",
    Refusal.ATTESTATION_INVALID: "The proof of this key's model is not valid.",
    Refusal.MODEL_UNKNOWN: "This model of key is not known here.",
    Refusal.MODEL_NOT_ALLOWED: "This model of key is not allowed here.",
    Refusal.MODEL_WITHDRAWN: "This model of key is reported as unsafe by its maker.",
    Refusal.MODEL_SIMULATED: "This is a software card for demonstrations, not a security key.",
    Refusal.FOREIGN_USER_HANDLE: "This key belongs to somebody else.",
    Refusal.NO_USER_HANDLE: "The key did not say whose it is.",
    Refusal.WRONG_SIGNATURE: "The key's signature is not valid.",
    Refusal.SIGN_COUNT_REGRESSED: "This key counts backwards, so there may be a copy of it.",
}

# What the two libraries and the parsers below them raise on hostile input, apart from errors of
# their own. RuntimeError holds RecursionError and NotImplementedError.
_FAULTS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    InvalidSignature,
    UnsupportedAlgorithm,
    AttributeNotFound,
    DuplicateExtension,
    InvalidVersion,
    InvalidAttestation,
)


def refused(reason: Refusal) -> CeremonyRefused:
    """Return the error to raise for this reason."""
    return CeremonyRefused(SENTENCES[reason], reason.value)


@contextlib.contextmanager
def refusing(reason: Refusal, *faults: type[Exception]) -> Iterator[None]:
    """Turn whatever a parser or library raises inside into CeremonyRefused(reason)."""
    try:
        yield
    except _FAULTS + faults as fault:
        raise refused(reason) from fault
