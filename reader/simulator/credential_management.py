# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""authenticatorCredentialManagement (CTAP 2.1 §6.8)."""

from __future__ import annotations

from collections.abc import Callable

from fido2.ctap import CtapError

from reader.simulator.client_pin import ClientPin, Permission
from reader.simulator.credentials import Credential, Memory
from reader.simulator.parameters import ERR, Answer, Parameters
from reader.simulator.profile import Profile

ENUMERATE_RPS_NEXT, ENUMERATE_CREDENTIALS_NEXT = 0x03, 0x05


class CredentialManagement:
    def __init__(self, profile: Profile, memory: Memory, client_pin: ClientPin) -> None:
        self._profile = profile
        self._memory = memory
        self._client_pin = client_pin
        self.forget()

    def forget(self) -> None:
        """Any other command ends both enumerations."""
        self._rp_ids: list[str] = []
        self._credentials: list[Credential] = []

    def handle(self, request: Parameters) -> Answer:
        subcommand = request.required(1, int)
        if subcommand == ENUMERATE_RPS_NEXT:
            return self._next_rp()
        if subcommand == ENUMERATE_CREDENTIALS_NEXT:
            return self._next_credential()
        self.forget()
        handlers: dict[int, Callable[[Parameters, Parameters], Answer]] = {
            0x01: self._metadata,
            0x02: self._enumerate_rps,
            0x04: self._enumerate_credentials,
            0x06: self._delete,
            0x07: self._update_user,
        }
        if subcommand not in handlers:
            raise CtapError(ERR.INVALID_SUBCOMMAND)
        return handlers[subcommand](request, request.map(2) or Parameters({}))

    def _authorize(self, request: Parameters, rp_id: str | None) -> None:
        mac = request.optional(4, bytes)
        if mac is None:
            raise CtapError(ERR.PUAT_REQUIRED)
        message = bytes([request.required(1, int)]) + request.encoded(2)
        self._client_pin.authorize(
            message, mac, request.optional(3, int), Permission.CREDENTIAL_MANAGEMENT, rp_id
        )

    def _metadata(self, request: Parameters, parameters: Parameters) -> Answer:
        self._authorize(request, None)
        return {1: len(self._memory.discoverable), 2: self._memory.room(self._profile)}

    def _enumerate_rps(self, request: Parameters, parameters: Parameters) -> Answer:
        self._authorize(request, None)
        # A dict keeps the order in which the card met them.
        self._rp_ids = list(dict.fromkeys(c.rp_id for c in self._memory.discoverable))
        if not self._rp_ids:
            raise CtapError(ERR.NO_CREDENTIALS)
        total = len(self._rp_ids)
        return {**self._next_rp(), 5: total}

    def _next_rp(self) -> Answer:
        self._credentials = []
        if not self._rp_ids:
            raise CtapError(ERR.NOT_ALLOWED)
        rp_id = self._rp_ids.pop(0)
        any_credential = next(c for c in self._memory.discoverable if c.rp_id == rp_id)
        return {3: {"id": rp_id}, 4: any_credential.rp_id_hash}

    def _enumerate_credentials(self, request: Parameters, parameters: Parameters) -> Answer:
        rp_id_hash = parameters.required(1, bytes)
        found = [c for c in self._memory.discoverable if c.rp_id_hash == rp_id_hash]
        self._authorize(request, found[0].rp_id if found else None)
        if not found:
            raise CtapError(ERR.NO_CREDENTIALS)
        self._credentials = found
        total = len(found)
        return {**self._next_credential(), 9: total}

    def _next_credential(self) -> Answer:
        self._rp_ids = []
        if not self._credentials:
            raise CtapError(ERR.NOT_ALLOWED)
        credential = self._credentials.pop(0)
        answer: Answer = {
            6: credential.user(with_names=True),
            7: credential.descriptor,
            8: dict(credential.public_key),
        }
        if "credProtect" in self._profile.extensions:
            answer[0x0A] = credential.cred_protect
        return answer

    def _delete(self, request: Parameters, parameters: Parameters) -> Answer:
        self._memory.credentials.remove(self._named(request, parameters))
        return {}

    def _update_user(self, request: Parameters, parameters: Parameters) -> Answer:
        user = parameters.required_map(3)
        credential = self._named(request, parameters)
        if user.required("id", bytes) != credential.user_id:
            raise CtapError(ERR.INVALID_PARAMETER)
        credential.user_name = user.optional("name", str)
        credential.user_display_name = user.optional("displayName", str)
        return {}

    def _named(self, request: Parameters, parameters: Parameters) -> Credential:
        credential_id = parameters.required_map(2).required("id", bytes)
        credential = self._memory.find(credential_id)
        if credential is not None and not credential.discoverable:
            credential = None
        self._authorize(request, None if credential is None else credential.rp_id)
        if credential is None:
            raise CtapError(ERR.NO_CREDENTIALS)
        return credential
