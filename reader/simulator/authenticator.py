# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The CTAP2 authenticator inside the card: one command in, status byte and CBOR out."""

from __future__ import annotations

from collections.abc import Callable

from fido2 import cbor
from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2

from reader.simulator.client_pin import ClientPin
from reader.simulator.config import Config
from reader.simulator.credential_management import CredentialManagement
from reader.simulator.credentials import Memory
from reader.simulator.get_assertion import GetAssertion
from reader.simulator.make_credential import CREDENTIAL_ID_LENGTH, MakeCredential
from reader.simulator.parameters import ERR, Answer, Parameters
from reader.simulator.profile import NO_FAULTS, Faults, Profile

CMD = Ctap2.CMD


class Authenticator:
    """CTAP 2.0 and 2.1 commands over one card's memory.

    :param clock: seconds, monotonic; for the reset window and the tokens' life.
    """

    def __init__(self, profile: Profile, memory: Memory, clock: Callable[[], float]) -> None:
        self._profile = profile
        self._clock = clock
        self._powered_at = clock()
        self._attach(memory)

    def _attach(self, memory: Memory) -> None:
        profile, clock = self._profile, self._clock
        self.memory = memory
        self._client_pin = ClientPin(profile, memory, clock)
        self._make_credential = MakeCredential(profile, memory, self._client_pin)
        self._get_assertion = GetAssertion(profile, memory, self._client_pin, clock)
        self._credential_management = CredentialManagement(profile, memory, self._client_pin)
        self._config = Config(profile, memory, self._client_pin)

    def power_on(self) -> None:
        self._powered_at = self._clock()
        self.forget()

    def forget(self) -> None:
        """Lose what lives in RAM only."""
        self._client_pin.forget()
        self._get_assertion.forget()
        self._credential_management.forget()

    def handle(self, request: bytes, faults: Faults = NO_FAULTS) -> bytes:
        """Execute one command; never raises, whatever the bytes."""
        try:
            answer = self._execute(request, faults)
        except CtapError as error:
            return bytes([error.code])
        encoded = cbor.encode(answer) if answer else b""
        if encoded and faults.garbage:
            encoded += b"\xff"
        return bytes([ERR.SUCCESS]) + encoded

    def _execute(self, request: bytes, faults: Faults) -> Answer:
        if not request:
            raise CtapError(ERR.INVALID_LENGTH)
        if len(request) > self._profile.max_msg_size:
            raise CtapError(ERR.REQUEST_TOO_LARGE)
        command = request[0]
        if command != CMD.GET_NEXT_ASSERTION:
            self._get_assertion.forget()
        if command != CMD.CREDENTIAL_MGMT:
            self._credential_management.forget()
        if not self._knows(command):
            raise CtapError(ERR.INVALID_COMMAND)
        parameters = Parameters.decode(request[1:])
        if command == CMD.MAKE_CREDENTIAL:
            return self._make_credential.handle(parameters, faults)
        if command == CMD.GET_ASSERTION:
            return self._get_assertion.handle(parameters, faults)
        if command == CMD.GET_NEXT_ASSERTION:
            return self._get_assertion.next(faults)
        handlers: dict[int, Callable[[Parameters], Answer]] = {
            CMD.GET_INFO: self._get_info,
            CMD.CLIENT_PIN: self._client_pin.handle,
            CMD.RESET: self._reset,
            CMD.CREDENTIAL_MGMT: self._credential_management.handle,
            CMD.SELECTION: self._select,
            CMD.CONFIG: self._config.handle,
        }
        return handlers[command](parameters)

    def _knows(self, command: int) -> bool:
        profile = self._profile
        optional = {
            CMD.CLIENT_PIN: profile.client_pin,
            CMD.CREDENTIAL_MGMT: profile.cred_mgmt,
            CMD.CONFIG: profile.authnr_cfg,
            CMD.SELECTION: profile.ctap_2_1,
            CMD.MAKE_CREDENTIAL: True,
            CMD.GET_ASSERTION: True,
            CMD.GET_NEXT_ASSERTION: True,
            CMD.GET_INFO: True,
            CMD.RESET: True,
        }
        return any(known and command == name for name, known in optional.items())

    def _get_info(self, request: Parameters) -> Answer:
        """§6.4. A CTAP 2.0 card stops after the sixth member."""
        profile, memory = self._profile, self.memory
        answer: Answer = {
            1: list(profile.versions),
            3: bytes(profile.aaguid),
            4: self._options(),
            5: profile.max_msg_size,
        }
        if profile.extensions:
            answer[2] = list(profile.extensions)
        if profile.client_pin:
            answer[6] = list(profile.pin_protocols)
        if not profile.ctap_2_1:
            return answer
        answer |= {
            0x07: profile.max_creds_in_list,
            0x08: CREDENTIAL_ID_LENGTH,
            0x09: ["nfc"],
            0x0A: [{"alg": alg, "type": "public-key"} for alg in profile.algorithms],
            0x0D: memory.min_pin_length,
            0x0E: profile.firmware_version,
            0x14: memory.room(profile),
        }
        if profile.client_pin:
            answer[0x0C] = memory.force_pin_change
        if profile.set_min_pin_length:
            answer[0x10] = profile.max_rp_ids_for_min_pin
        return answer

    def _options(self) -> dict[str, bool]:
        profile = self._profile
        options = {"rk": True, "up": True, "plat": False}
        if profile.client_pin:
            options["clientPin"] = self._client_pin.is_set
        if not profile.ctap_2_1:
            return options
        options["pinUvAuthToken"] = profile.client_pin
        options["makeCredUvNotRqd"] = (
            profile.make_cred_uv_not_required and not self.memory.always_uv
        )
        if profile.cred_mgmt:
            options["credMgmt"] = True
        if profile.authnr_cfg:
            options["authnrCfg"] = True
            options["alwaysUv"] = self.memory.always_uv
        if profile.authnr_cfg and profile.set_min_pin_length:
            options["setMinPINLength"] = True
        return options

    def _reset(self, request: Parameters) -> Answer:
        """§6.6: only within ten seconds of power-up; wipes every site's credentials."""
        if self._clock() - self._powered_at > self._profile.reset_window:
            raise CtapError(ERR.NOT_ALLOWED)
        self._attach(Memory.factory(self._profile))
        return {}

    def _select(self, request: Parameters) -> Answer:
        """§6.9: the tap has already chosen this card."""
        return {}
