# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""authenticatorGetAssertion and authenticatorGetNextAssertion (CTAP 2.1 §6.2, §6.3)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from fido2.ctap import CtapError
from fido2.webauthn import AuthenticatorData

from reader.simulator.client_pin import ClientPin, Permission
from reader.simulator.credentials import (
    CRED_PROTECT_UV_OPTIONAL,
    CRED_PROTECT_UV_REQUIRED,
    Credential,
    Memory,
)
from reader.simulator.parameters import ERR, Answer, Parameters
from reader.simulator.pin_protocol import SharedSecret
from reader.simulator.profile import Faults, Profile

FLAG = AuthenticatorData.FLAG
NEXT_ASSERTION_TIMEOUT = 30.0


@dataclass(frozen=True)
class HmacSecretInput:
    secret: SharedSecret
    salts: bytes

    def output(self, credential: Credential, *, verified: bool) -> bytes | None:
        key = credential.hmac_secret_uv if verified else credential.hmac_secret_no_uv
        if not key:
            return None
        halves = (self.salts[at : at + 32] for at in range(0, len(self.salts), 32))
        return self.secret.encrypt(b"".join(hmac.digest(key, half, "sha256") for half in halves))


@dataclass(frozen=True)
class Ceremony:
    """What the answers to one getAssertion have in common."""

    client_data_hash: bytes
    flags: FLAG
    hmac_secret: HmacSecretInput | None
    names: bool
    """Whether the user's names may be told: only if verified, and there is a choice."""

    @property
    def verified(self) -> bool:
        return FLAG.UV in self.flags


class GetAssertion:
    def __init__(
        self,
        profile: Profile,
        memory: Memory,
        client_pin: ClientPin,
        clock: Callable[[], float],
    ) -> None:
        self._profile = profile
        self._memory = memory
        self._client_pin = client_pin
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Any other command ends the enumeration (§6.3)."""
        self._ceremony: Ceremony | None = None
        self._waiting: list[Credential] = []
        self._asked_at = 0.0

    def handle(self, request: Parameters, faults: Faults) -> Answer:
        rp_id = request.required(1, str)
        client_data_hash = request.required(2, bytes)
        options = request.map(5) or Parameters({})
        if options.optional("uv", bool):
            raise CtapError(ERR.INVALID_OPTION)
        if "rk" in options:
            raise CtapError(ERR.UNSUPPORTED_OPTION)
        present = options.optional("up", bool) is not False
        verified = self._verify_user(request, client_data_hash, rp_id, present=present)
        allow_list = request.maps(3)
        found = self._find(rp_id, allow_list, verified=verified)
        if not found:
            raise CtapError(ERR.NO_CREDENTIALS)
        hmac_secret = self._read_hmac_secret(request, present=present)
        flags = FLAG(0)
        if present:
            flags |= FLAG.UP
            self._client_pin.spend_token()
        if verified:
            flags |= FLAG.UV
        discovered = not allow_list
        ceremony = Ceremony(
            client_data_hash, flags, hmac_secret, verified and discovered and len(found) > 1
        )
        answer = self._assert(ceremony, found[0], faults)
        if discovered and len(found) > 1:
            answer[5] = len(found)
            self._ceremony, self._waiting = ceremony, found[1:]
            self._asked_at = self._clock()
        return answer

    def next(self, faults: Faults) -> Answer:
        if self._ceremony is None or not self._waiting:
            raise CtapError(ERR.NOT_ALLOWED)
        if self._clock() - self._asked_at > NEXT_ASSERTION_TIMEOUT:
            self.forget()
            raise CtapError(ERR.NOT_ALLOWED)
        self._asked_at = self._clock()
        return self._assert(self._ceremony, self._waiting.pop(0), faults)

    def _verify_user(
        self, request: Parameters, client_data_hash: bytes, rp_id: str, *, present: bool
    ) -> bool:
        mac = request.optional(6, bytes)
        if mac is None:
            # A pre-flight (up=false) is let through, or no platform could search by allowList.
            if self._memory.always_uv and present:
                raise CtapError(ERR.PUAT_REQUIRED)
            return False
        if not mac:
            raise CtapError(ERR.PIN_INVALID if self._client_pin.is_set else ERR.PIN_NOT_SET)
        if not self._client_pin.is_set:
            raise CtapError(ERR.PIN_NOT_SET)
        self._client_pin.authorize(
            client_data_hash, mac, request.optional(7, int), Permission.GET_ASSERTION, rp_id
        )
        return True

    def _find(
        self, rp_id: str, allow_list: list[Parameters] | None, *, verified: bool
    ) -> list[Credential]:
        """Applicable credentials, newest first (§6.2.2 step 7)."""
        if not allow_list:
            return [
                credential
                for credential in reversed(self._memory.discoverable)
                if credential.rp_id == rp_id
                and (verified or credential.cred_protect == CRED_PROTECT_UV_OPTIONAL)
            ]
        if self._profile.ctap_2_1 and len(allow_list) > self._profile.max_creds_in_list:
            raise CtapError(ERR.LIMIT_EXCEEDED)
        listed = [self._memory.find(entry.required("id", bytes)) for entry in allow_list]
        return [
            credential
            for credential in listed
            if credential is not None
            and credential.rp_id == rp_id
            and (verified or credential.cred_protect != CRED_PROTECT_UV_REQUIRED)
        ]

    def _read_hmac_secret(self, request: Parameters, *, present: bool) -> HmacSecretInput | None:
        extensions = request.map(4)
        if extensions is None or "hmac-secret" not in self._profile.extensions:
            return None
        entry = extensions.map("hmac-secret")
        if entry is None:
            return None
        if not present:
            raise CtapError(ERR.UNSUPPORTED_OPTION)
        protocol = self._client_pin.check_protocol(entry.optional(4, int) or 1)
        encrypted, mac = entry.required(2, bytes), entry.required(3, bytes)
        secret = self._client_pin.shared_secret(protocol, entry.required_map(1))
        if not secret.verify(encrypted, mac):
            raise CtapError(ERR.PIN_AUTH_INVALID)
        salts = secret.decrypt(encrypted)
        if len(salts) not in (32, 64):
            raise CtapError(ERR.INVALID_LENGTH)
        return HmacSecretInput(secret, salts)

    def _assert(self, ceremony: Ceremony, credential: Credential, faults: Faults) -> Answer:
        outputs: dict[str, object] = {}
        if ceremony.hmac_secret is not None:
            output = ceremony.hmac_secret.output(credential, verified=ceremony.verified)
            if output is not None:
                outputs["hmac-secret"] = output
        flags = ceremony.flags
        if faults.no_uv:
            flags &= ~FLAG.UV
        if outputs:
            flags |= FLAG.ED
        auth_data = AuthenticatorData.create(
            sha256(credential.rp_id.encode()).digest(),
            flags,
            self._memory.count_signature(self._profile.sign_count_step),
            extensions=outputs or None,
        )
        message = auth_data + ceremony.client_data_hash
        if faults.bad_signature:
            message += b"?"
        answer: Answer = {
            1: credential.descriptor,
            2: bytes(auth_data),
            3: credential.sign(message),
        }
        if credential.discoverable:
            answer[4] = credential.user(with_names=ceremony.names)
        return answer
