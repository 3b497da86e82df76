# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A card's whole life: enrolment, sign-in, forced change, block and reset.

Options and verification come from py_webauthn, the client is python-fido2's Fido2Client. The
same loop runs in process and over pcscd.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import webauthn
from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2.credman import CredentialManagement
from fido2.webauthn import (
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialRequestOptions,
)
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from reader.simulator import SIMULATOR_AAGUID, root_pem
from tests.reader.simulator.ceremony import PIN, Platform, refused

ERR = CtapError.ERR
RP_ID, ORIGIN = "keys.example.com", "https://keys.example.com"
NEW_PIN = "81927364"


class TypedPin(UserInteraction):
    """Gives the PIN once: Fido2Client would burn tries on a second wrong answer."""

    def __init__(self, pin: str) -> None:
        self._pins = [pin]

    def request_pin(self, permissions: object, rp_id: str | None) -> str | None:
        return self._pins.pop() if self._pins else None


def client(device: CtapDevice, pin: str) -> Fido2Client:
    return Fido2Client(device, DefaultClientDataCollector(ORIGIN), TypedPin(pin))


def enrol(device: CtapDevice, pin: str, exclude: list[bytes] | None = None) -> VerifiedRegistration:
    options = webauthn.generate_registration_options(
        rp_id=RP_ID,
        rp_name="Example Hospital",
        user_name="ada@example.com",
        user_id=b"user-1",
        attestation=AttestationConveyancePreference.DIRECT,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in exclude or []],
    )
    made = client(device, pin).make_credential(
        PublicKeyCredentialCreationOptions.from_dict(json.loads(webauthn.options_to_json(options)))
    )
    return webauthn.verify_registration_response(
        credential=json.dumps(dict(made)),
        expected_challenge=options.challenge,
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        require_user_verification=True,
        pem_root_certs_bytes_by_fmt={AttestationFormat.PACKED: [root_pem()]},
    )


def sign_in(
    device: CtapDevice, pin: str, key: VerifiedRegistration, count: int, *, discover: bool
) -> int:
    """Returns the new sign count."""
    listed = [] if discover else [PublicKeyCredentialDescriptor(id=key.credential_id)]
    options = webauthn.generate_authentication_options(
        rp_id=RP_ID,
        allow_credentials=listed,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    selection = client(device, pin).get_assertion(
        PublicKeyCredentialRequestOptions.from_dict(json.loads(webauthn.options_to_json(options)))
    )
    answer = dict(selection.get_response(0))
    if discover:
        assert json.loads(json.dumps(answer))["response"]["userHandle"] == "dXNlci0x"
    return webauthn.verify_authentication_response(
        credential=json.dumps(answer),
        expected_challenge=options.challenge,
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        credential_public_key=key.credential_public_key,
        credential_current_sign_count=count,
        require_user_verification=True,
    ).new_sign_count


def run(
    device: CtapDevice, retap: Callable[[CtapDevice], CtapDevice], protocol: int | None = None
) -> None:
    """:param retap: takes the card away, lays it on again, and opens it."""
    platform = Platform(device, protocol)
    assert platform.ctap.info.aaguid == SIMULATOR_AAGUID
    platform.client_pin.set_pin(PIN)

    key = enrol(device, PIN)
    assert key.fmt == AttestationFormat.PACKED
    assert key.aaguid == str(SIMULATOR_AAGUID)
    assert key.user_verified
    count = sign_in(device, PIN, key, key.sign_count, discover=False)
    count = sign_in(device, PIN, key, count, discover=True)

    with pytest.raises(ClientError) as failure:
        enrol(device, PIN, exclude=[key.credential_id])
    assert failure.value.code == ClientError.ERR.DEVICE_INELIGIBLE
    assert failure.value.cause.code == ERR.CREDENTIAL_EXCLUDED

    if CredentialManagement.is_supported(platform.ctap.info):
        (site,) = platform.management().enumerate_rps()
        assert site[CredentialManagement.RESULT.RP]["id"] == RP_ID

    pin = PIN
    if platform.ctap.info.options.get("setMinPINLength"):
        platform.config().set_min_pin_length(6, force_change_pin=True)
        with pytest.raises(ClientError) as failure:
            sign_in(device, pin, key, count, discover=True)
        assert failure.value.cause.code == ERR.PIN_POLICY_VIOLATION
    platform.client_pin.change_pin(pin, NEW_PIN)
    pin = NEW_PIN
    count = sign_in(device, pin, key, count, discover=True)

    device = retap(device)
    count = sign_in(device, pin, key, count, discover=False)
    platform = Platform(device, protocol)
    for miss in range(1, 9):
        code = ERR.PIN_AUTH_BLOCKED if miss % 3 == 0 else ERR.PIN_INVALID
        with refused(ERR.PIN_BLOCKED if miss == 8 else code):
            platform.token(pin="0000")
        if miss % 3 == 0:
            device = retap(device)
            platform = Platform(device, protocol)
    with refused(ERR.PIN_BLOCKED):
        platform.token(pin=pin)

    device = retap(device)
    platform = Platform(device, protocol)
    platform.ctap.reset()
    # Some applets are deselected by their reset.
    device.close()
    device.connect()
    assert platform.ctap.get_info().options["clientPin"] is False
    platform.client_pin.set_pin("1234")
    device = retap(device)
    with pytest.raises(ClientError) as failure:
        sign_in(device, "1234", key, count, discover=True)
    assert failure.value.cause.code == ERR.NO_CREDENTIALS
    device.close()
