# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The platform's side of the CTAP ceremonies, on python-fido2's own classes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2.base import AssertionResponse, AttestationResponse, Ctap2
from fido2.ctap2.config import Config
from fido2.ctap2.credman import CredentialManagement
from fido2.ctap2.pin import ClientPin, PinProtocolV1, PinProtocolV2

from reader.simulator import Profile, SoftwareCard, SoftwareDevice

PIN = "274916"
RP_ID = "keys.example.com"
MAKE, GET = ClientPin.PERMISSION.MAKE_CREDENTIAL, ClientPin.PERMISSION.GET_ASSERTION
MANAGE = ClientPin.PERMISSION.CREDENTIAL_MGMT
CONFIGURE = ClientPin.PERMISSION.AUTHENTICATOR_CFG
ERR = CtapError.ERR


class Platform:
    def __init__(self, device: CtapDevice, protocol: int | None = None) -> None:
        self.device = device
        self.ctap = Ctap2(device)
        version = protocol or self.ctap.info.pin_uv_protocols[0]
        self.protocol = PinProtocolV1() if version == 1 else PinProtocolV2()
        self.client_pin = ClientPin(self.ctap, self.protocol)

    def token(self, permissions: int = MAKE, rp_id: str | None = RP_ID, pin: str = PIN) -> bytes:
        return self.client_pin.get_pin_token(pin, permissions, rp_id)

    def mac(self, token: bytes, message: bytes) -> dict[str, Any]:
        return {
            "pin_uv_param": self.protocol.authenticate(token, message),
            "pin_uv_protocol": self.protocol.VERSION,
        }

    def register(
        self,
        *,
        token: bytes | None = None,
        pin: str | None = PIN,
        rp_id: str = RP_ID,
        user_id: bytes = b"u-1",
        resident: bool = True,
        algorithms: Sequence[int] = (-7,),
        exclude: Sequence[bytes] = (),
        extensions: Mapping[str, Any] | None = None,
        client_data_hash: bytes | None = None,
    ) -> AttestationResponse:
        client_data_hash = client_data_hash or secrets.token_bytes(32)
        if token is None and pin is not None:
            token = self.token(MAKE, rp_id, pin)
        return self.ctap.make_credential(
            client_data_hash,
            {"id": rp_id, "name": "Example"},
            {"id": user_id, "name": f"{user_id.decode()}@example.com", "displayName": "Ada"},
            [{"type": "public-key", "alg": algorithm} for algorithm in algorithms],
            exclude_list=[{"type": "public-key", "id": one} for one in exclude] or None,
            extensions=extensions,
            options={"rk": True} if resident else None,
            **(self.mac(token, client_data_hash) if token else {}),
        )

    def sign_in(
        self,
        made: AttestationResponse | None = None,
        *,
        token: bytes | None = None,
        pin: str | None = PIN,
        rp_id: str = RP_ID,
        allow: Sequence[bytes] = (),
        extensions: Mapping[str, Any] | None = None,
        present: bool = True,
    ) -> list[AssertionResponse]:
        """All assertions; checked against `made`'s key if it is given."""
        client_data_hash = secrets.token_bytes(32)
        if token is None and pin is not None:
            token = self.token(GET, rp_id, pin)
        answers = self.ctap.get_assertions(
            rp_id,
            client_data_hash,
            [{"type": "public-key", "id": one} for one in allow] or None,
            extensions,
            None if present else {"up": False},
            **(self.mac(token, client_data_hash) if token else {}),
        )
        if made is not None:
            answers[0].verify(client_data_hash, made.auth_data.credential_data.public_key)
        return answers

    def config(self, pin: str = PIN) -> Config:
        return Config(self.ctap, self.protocol, self.token(CONFIGURE, None, pin))

    def management(self, pin: str = PIN, rp_id: str | None = None) -> CredentialManagement:
        return CredentialManagement(self.ctap, self.protocol, self.token(MANAGE, rp_id, pin))


def tap(card: SoftwareCard | None = None, protocol: int | None = None) -> Platform:
    """Lay a card (by default a new one with a PIN) on an in-process reader."""
    return Platform(SoftwareDevice(card or SoftwareCard(Profile(pin=PIN))), protocol)


def credential_id(made: AttestationResponse) -> bytes:
    return made.auth_data.credential_data.credential_id


class refused:
    """Expect one CTAP status byte."""

    def __init__(self, code: int) -> None:
        self._code = code
        self._raises = pytest.raises(CtapError)

    def __enter__(self) -> None:
        self._error = self._raises.__enter__()

    def __exit__(self, *failure: Any) -> bool:
        swallowed = self._raises.__exit__(*failure)
        assert self._error.value.code == self._code
        return swallowed
