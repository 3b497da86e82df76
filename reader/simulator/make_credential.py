# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""authenticatorMakeCredential (CTAP 2.1 §6.1)."""

from __future__ import annotations

import secrets
from hashlib import sha256

from fido2.ctap import CtapError
from fido2.webauthn import Aaguid, AttestedCredentialData, AuthenticatorData

from reader.simulator import attestation
from reader.simulator.client_pin import ClientPin, Permission
from reader.simulator.credentials import (
    CRED_PROTECT_UV_REQUIRED,
    Credential,
    Memory,
    new_private_key,
)
from reader.simulator.parameters import ERR, Answer, Parameters
from reader.simulator.profile import Faults, Profile

CREDENTIAL_ID_LENGTH = 32
FLAG = AuthenticatorData.FLAG


class MakeCredential:
    def __init__(self, profile: Profile, memory: Memory, client_pin: ClientPin) -> None:
        self._profile = profile
        self._memory = memory
        self._client_pin = client_pin

    def handle(self, request: Parameters, faults: Faults) -> Answer:
        client_data_hash = request.required(1, bytes)
        rp_id = request.required_map(2).required("id", str)
        user = request.required_map(3)
        user_id = user.required("id", bytes)
        algorithm = self._choose_algorithm(request)
        resident = self._read_options(request)
        verified = self._verify_user(request, client_data_hash, rp_id, resident=resident)
        self._check_exclude_list(request, rp_id, verified=verified)
        # The tap is the evidence of user presence (§11.3.1), so nothing is asked for here.
        self._client_pin.spend_token()

        extensions = request.map(6) or Parameters({})
        hmac_secret = self._wants(extensions, "hmac-secret")
        credential = Credential(
            credential_id=secrets.token_bytes(CREDENTIAL_ID_LENGTH),
            rp_id=rp_id,
            user_id=user_id,
            user_name=user.optional("name", str),
            user_display_name=user.optional("displayName", str),
            private_key=new_private_key(algorithm),
            algorithm=algorithm,
            discoverable=resident,
            cred_protect=self._cred_protect(extensions),
            hmac_secret_uv=secrets.token_bytes(32) if hmac_secret else b"",
            hmac_secret_no_uv=secrets.token_bytes(32) if hmac_secret else b"",
        )
        outputs = self._extension_outputs(extensions, credential)
        room = 0 if faults.storage_full else self._memory.room(self._profile)
        self._memory.add(credential, room)
        return self._attest(credential, client_data_hash, outputs, faults, verified=verified)

    def _choose_algorithm(self, request: Parameters) -> int:
        offered = request.maps(4)
        if offered is None:
            raise CtapError(ERR.MISSING_PARAMETER)
        for parameters in offered:
            kind, algorithm = parameters.required("type", str), parameters.required("alg", int)
            if kind == "public-key" and algorithm in self._profile.algorithms:
                return algorithm
        raise CtapError(ERR.UNSUPPORTED_ALGORITHM)

    def _read_options(self, request: Parameters) -> bool:
        options = request.map(7) or Parameters({})
        if options.optional("uv", bool):
            # The card has no verification of its own: uv means a fingerprint, not a PIN.
            raise CtapError(ERR.INVALID_OPTION)
        if options.optional("up", bool) is False:
            raise CtapError(ERR.INVALID_OPTION)
        if request.optional(10, int) is not None and self._profile.ctap_2_1:
            # enterpriseAttestation without the ``ep`` option (§6.1.2 step 9).
            raise CtapError(ERR.INVALID_PARAMETER)
        return bool(options.optional("rk", bool))

    def _verify_user(
        self, request: Parameters, client_data_hash: bytes, rp_id: str, *, resident: bool
    ) -> bool:
        mac = request.optional(8, bytes)
        if mac is not None and not mac:
            # An empty MAC asks only which card is being touched (§6.1.2 step 1).
            raise CtapError(ERR.PIN_INVALID if self._client_pin.is_set else ERR.PIN_NOT_SET)
        if mac is not None:
            if not self._client_pin.is_set:
                raise CtapError(ERR.PIN_NOT_SET)
            self._client_pin.authorize(
                client_data_hash, mac, request.optional(9, int), Permission.MAKE_CREDENTIAL, rp_id
            )
            return True
        without_pin = self._profile.make_cred_uv_not_required and not resident
        if self._memory.always_uv or (self._client_pin.is_set and not without_pin):
            raise CtapError(ERR.PUAT_REQUIRED)
        return False

    def _check_exclude_list(self, request: Parameters, rp_id: str, *, verified: bool) -> None:
        excluded = request.maps(5) or []
        if self._profile.ctap_2_1 and len(excluded) > self._profile.max_creds_in_list:
            raise CtapError(ERR.LIMIT_EXCEEDED)
        for descriptor in excluded:
            credential = self._memory.find(descriptor.required("id", bytes))
            if credential is None or credential.rp_id != rp_id:
                continue
            if verified or credential.cred_protect != CRED_PROTECT_UV_REQUIRED:
                raise CtapError(ERR.CREDENTIAL_EXCLUDED)

    def _wants(self, extensions: Parameters, name: str) -> bool:
        return name in self._profile.extensions and bool(extensions.optional(name, bool))

    def _cred_protect(self, extensions: Parameters) -> int:
        level = None
        if "credProtect" in self._profile.extensions:
            level = extensions.optional("credProtect", int)
        if level is None:
            return self._profile.default_cred_protect
        if level not in (1, 2, 3):
            raise CtapError(ERR.INVALID_OPTION)
        return level

    def _extension_outputs(
        self, extensions: Parameters, credential: Credential
    ) -> dict[str, object]:
        outputs: dict[str, object] = {}
        if "credProtect" in self._profile.extensions and (
            "credProtect" in extensions or credential.cred_protect > 1
        ):
            outputs["credProtect"] = credential.cred_protect
        if credential.hmac_secret_uv:
            outputs["hmac-secret"] = True
        if (
            self._wants(extensions, "minPinLength")
            and credential.rp_id in self._memory.min_pin_rp_ids
        ):
            outputs["minPinLength"] = self._memory.min_pin_length
        return outputs

    def _attest(
        self,
        credential: Credential,
        client_data_hash: bytes,
        outputs: dict[str, object],
        faults: Faults,
        *,
        verified: bool,
    ) -> Answer:
        model = self._profile.aaguid
        claimed = Aaguid(sha256(model).digest()[:16]) if faults.wrong_aaguid else model
        flags = FLAG.UP | FLAG.AT
        if verified and not faults.no_uv:
            flags |= FLAG.UV
        if outputs:
            flags |= FLAG.ED
        auth_data = AuthenticatorData.create(
            credential.rp_id_hash,
            flags,
            self._memory.count_signature(self._profile.sign_count_step),
            AttestedCredentialData.create(claimed, credential.credential_id, credential.public_key),
            outputs or None,
        )
        fmt, statement = attestation.statement(
            self._profile.attestation, credential, auth_data, client_data_hash, model, faults
        )
        return {1: fmt, 2: bytes(auth_data), 3: statement}
