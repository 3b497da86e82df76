# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""WebAuthn's JSON shapes on one side, what CTAP takes and gives on the other.

clientDataJSON is written here, from the origin that was pinned at pairing: whoever sends the
options has no say in it (R23).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fido2.ctap2.base import AssertionResponse, AttestationResponse, Info
from fido2.webauthn import (
    AttestationObject,
    AuthenticationResponse,
    AuthenticatorAssertionResponse,
    AuthenticatorAttachment,
    AuthenticatorAttestationResponse,
    CollectedClientData,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialRequestOptions,
    RegistrationResponse,
)

from reader.faults import CardFault, Fault, translated

Json = dict[str, Any]

_TRANSPORTS = {"usb", "nfc", "ble", "hybrid", "internal", "smart-card"}
_CRED_PROTECT = {
    "userVerificationOptional": 1,
    "userVerificationOptionalWithCredentialIDList": 2,
    "userVerificationRequired": 3,
}


class Creation:
    """One registration: creation options in JSON, read for a card.

    Raises CardFault REFUSED_TICKET for options that make no sense.
    """

    def __init__(self, options: Json, origin: str) -> None:
        with translated(unparsable=Fault.REFUSED_TICKET):
            wanted = PublicKeyCredentialCreationOptions.from_dict(_checked(options))
            self.client_data = CollectedClientData.create(
                CollectedClientData.TYPE.CREATE, wanted.challenge, origin
            )
            self.rp = _entity(options["rp"])
            self.rp_id = str(self.rp["id"])
            self.user = _entity(options["user"]) | {"id": wanted.user.id}
            self.algorithms: list[Mapping[str, Any]] = [
                {"type": "public-key", "alg": one.alg} for one in wanted.pub_key_cred_params
            ]
            self.exclude = [one.id for one in wanted.exclude_credentials or ()]
            selection = wanted.authenticator_selection
            self._resident_key = str(selection.resident_key) if selection else "discouraged"
            self._extensions: Mapping[str, Any] = options.get("extensions") or {}

    def discoverable(self, info: Info) -> bool:
        """Raises CardFault UNSUPPORTED when it must be and the card cannot."""
        if info.options.get("rk") is True:
            return self._resident_key in ("required", "preferred")
        if self._resident_key == "required":
            raise CardFault(Fault.UNSUPPORTED, "no discoverable credentials")
        return False

    def extensions(self, info: Info) -> Json:
        """As the card takes them; what it does not know stays out."""
        extensions: Json = {}
        policy = _CRED_PROTECT.get(str(self._extensions.get("credentialProtectionPolicy")))
        if policy and "credProtect" in info.extensions:
            extensions["credProtect"] = policy
        if self._extensions.get("minPinLength") is True and "minPinLength" in info.extensions:
            extensions["minPinLength"] = True
        return extensions

    def response(self, answer: AttestationResponse, info: Info) -> Json:
        """A RegistrationResponseJSON."""
        credential = answer.auth_data.credential_data
        if credential is None:
            raise CardFault(Fault.GARBAGE, "no credential in the answer")
        plain = _plain(
            RegistrationResponse(
                raw_id=credential.credential_id,
                response=AuthenticatorAttestationResponse(
                    client_data=self.client_data,
                    attestation_object=AttestationObject.create(
                        answer.fmt, answer.auth_data, answer.att_stmt
                    ),
                ),
                authenticator_attachment=AuthenticatorAttachment.CROSS_PLATFORM,
            )
        )
        plain["response"]["transports"] = sorted({"nfc", *info.transports} & _TRANSPORTS)
        plain["clientExtensionResults"] = {"credProps": {"rk": self.discoverable(info)}}
        return plain


class Request:
    """One sign-in: request options in JSON, read for a card.

    Raises CardFault REFUSED_TICKET for options that make no sense.
    """

    def __init__(self, options: Json, origin: str) -> None:
        with translated(unparsable=Fault.REFUSED_TICKET):
            wanted = PublicKeyCredentialRequestOptions.from_dict(_checked(options))
            self.client_data = CollectedClientData.create(
                CollectedClientData.TYPE.GET, wanted.challenge, origin
            )
            self.rp_id = wanted.rp_id or ""
            self.allow = [one.id for one in wanted.allow_credentials or ()]

    def response(self, answer: AssertionResponse) -> Json:
        """An AuthenticationResponseJSON."""
        return _plain(
            AuthenticationResponse(
                raw_id=answer.credential["id"],
                response=AuthenticatorAssertionResponse(
                    client_data=self.client_data,
                    authenticator_data=answer.auth_data,
                    signature=answer.signature,
                    user_handle=answer.user["id"] if answer.user else None,
                ),
                authenticator_attachment=AuthenticatorAttachment.CROSS_PLATFORM,
            )
        )


def descriptors(ids: Sequence[bytes]) -> list[Mapping[str, Any]]:
    return [{"type": "public-key", "id": one} for one in ids]


def _checked(options: Json) -> Json:
    # The library makes seven zero bytes of a challenge that is the number seven.
    if not isinstance(options["challenge"], str):
        raise TypeError("challenge")
    return options


def _entity(entity: Mapping[str, Any]) -> Json:
    """An RP or a user as CTAP takes it: known members, none of them null."""
    members = ("id", "name", "displayName")
    return {name: entity[name] for name in members if isinstance(entity.get(name), str)}


def _plain(response: RegistrationResponse | AuthenticationResponse) -> Json:
    """The JSON of a response, down to the last level."""
    plain = dict(response)
    plain["response"] = dict(response.response)
    return plain
