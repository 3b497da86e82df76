# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""authenticatorConfig (CTAP 2.1 §6.11): always-UV, minimum PIN length, forced PIN change."""

from __future__ import annotations

from fido2.ctap import CtapError

from reader.simulator.client_pin import ClientPin, Permission
from reader.simulator.credentials import Memory
from reader.simulator.parameters import ERR, Answer, Parameters
from reader.simulator.profile import Profile

TOGGLE_ALWAYS_UV, SET_MIN_PIN_LENGTH = 0x02, 0x03
MAX_PIN_LENGTH = 63


class Config:
    def __init__(self, profile: Profile, memory: Memory, client_pin: ClientPin) -> None:
        self._profile = profile
        self._memory = memory
        self._client_pin = client_pin

    def handle(self, request: Parameters) -> Answer:
        subcommand = request.required(1, int)
        supported = {TOGGLE_ALWAYS_UV}
        if self._profile.set_min_pin_length:
            supported.add(SET_MIN_PIN_LENGTH)
        if subcommand not in supported:
            raise CtapError(ERR.INVALID_PARAMETER)
        if self._client_pin.is_set or self._memory.always_uv:
            mac = request.optional(4, bytes)
            if mac is None:
                raise CtapError(ERR.PUAT_REQUIRED)
            message = b"\xff" * 32 + bytes([0x0D, subcommand]) + request.encoded(2)
            self._client_pin.authorize(
                message, mac, request.optional(3, int), Permission.AUTHENTICATOR_CONFIG
            )
        if subcommand == TOGGLE_ALWAYS_UV:
            self._memory.always_uv = not self._memory.always_uv
        else:
            self._set_min_pin_length(request.map(2) or Parameters({}))
        return {}

    def _set_min_pin_length(self, parameters: Parameters) -> None:
        memory = self._memory
        length = parameters.optional(1, int)
        rp_ids = parameters.optional(2, list)
        force = bool(parameters.optional(3, bool))
        if length is None:
            length = memory.min_pin_length
        if not memory.min_pin_length <= length <= MAX_PIN_LENGTH:
            raise CtapError(ERR.PIN_POLICY_VIOLATION)
        if force and not self._client_pin.is_set:
            raise CtapError(ERR.PIN_NOT_SET)
        if rp_ids is not None:
            names = [rp_id for rp_id in rp_ids if isinstance(rp_id, str)]
            if len(names) != len(rp_ids):
                raise CtapError(ERR.CBOR_UNEXPECTED_TYPE)
            if len(names) > self._profile.max_rp_ids_for_min_pin:
                raise CtapError(ERR.KEY_STORE_FULL)
            memory.min_pin_rp_ids = names
        memory.min_pin_length = length
        # A PIN that became too short must be changed too (§6.11.4).
        if force or (self._client_pin.is_set and memory.pin_length < length):
            memory.force_pin_change = True
            self._client_pin.drop_token()
