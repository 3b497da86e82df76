# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A FIDO2 card: what it is, its PIN, its credentials.

Built on python-fido2's Ctap2, ClientPin and Config rather than on its Fido2Client, which falls
back to U2F without a word and asks for a PIN again by itself after a wrong one, so that one
mistake costs two tries. Each method here sends a PIN at most once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fido2.ctap import CtapDevice
from fido2.ctap2.base import Ctap2, Info
from fido2.ctap2.config import Config
from fido2.ctap2.pin import ClientPin
from fido2.hid import CAPABILITY

from reader.ceremony import Creation, Json, Request, descriptors
from reader.faults import ERR, CardFault, Fault, translated
from reader.pin_rules import MAX_BYTES, normal

_PERMISSION = ClientPin.PERMISSION

# While a change is forced, cards answer the right PIN with one of these (CTAP 2.1 §6.5.5.7).
_CHANGE_PENDING: Mapping[int, Fault] = {ERR.PIN_POLICY_VIOLATION: Fault.CHANGE_PENDING}
# setPIN on a card that has a PIN: by the letter, and as some JavaCards say it.
_PIN_PRESENT: Mapping[int, Fault] = {
    ERR.PIN_AUTH_INVALID: Fault.PIN_PRESENT,
    ERR.PUAT_REQUIRED: Fault.PIN_PRESENT,
    ERR.NOT_ALLOWED: Fault.PIN_PRESENT,
}
_RESET: Mapping[int, Fault] = {
    ERR.NOT_ALLOWED: Fault.RESET_TOO_LATE,
    ERR.USER_ACTION_TIMEOUT: Fault.RESET_TOO_LATE,
}


@dataclass(frozen=True)
class CardFacts:
    """What the station tells the server about a card (protocol event `card`)."""

    versions: tuple[str, ...]
    aaguid: str
    client_pin: bool
    force_pin_change: bool
    can_force_change: bool
    pin_retries: int | None
    min_pin_length: int
    known: tuple[bytes, ...]
    """Ids of the discoverable credentials for the RP that the card shows without a PIN."""


class Card:
    """The FIDO2 application of one card.

    Every method raises CardFault; which words, each says beyond CARD_REMOVED, CARD_MUTE, TIMEOUT,
    GARBAGE and CARD_ERROR, which any may raise.
    """

    def __init__(self, device: CtapDevice) -> None:
        """Raises CardFault U2F_ONLY for a card without CTAP2."""
        if not device.capabilities & CAPABILITY.CBOR:
            raise CardFault(Fault.U2F_ONLY)
        with translated():
            self._ctap = Ctap2(device)
            _check_shape(self._ctap.info)
        self._info = self._ctap.info

    @property
    def info(self) -> Info:
        """As the card told it last."""
        return self._info

    @property
    def has_pin(self) -> bool:
        return self._info.options.get("clientPin") is True

    @property
    def can_force_change(self) -> bool:
        """Whether this card can be told to demand another PIN (CTAP 2.1 §6.11.4).

        The permission it takes comes only with the tokens of CTAP 2.1 (pinUvAuthToken).
        """
        options = self._info.options
        needed = ("authnrCfg", "setMinPINLength", "pinUvAuthToken")
        return all(options.get(name) is True for name in needed)

    def refresh(self) -> None:
        with translated():
            self._info = self._ctap.get_info()
            _check_shape(self._info)

    def facts(self, rp_id: str) -> CardFacts:
        return CardFacts(
            versions=tuple(self._info.versions),
            aaguid=str(self._info.aaguid),
            client_pin=self.has_pin,
            force_pin_change=self._info.force_pin_change,
            can_force_change=self.can_force_change,
            pin_retries=self.pin_retries() if self.has_pin else None,
            min_pin_length=self._info.min_pin_length,
            known=self.known_credentials(rp_id),
        )

    # The PIN

    def pin_retries(self) -> int:
        """Wrong PINs that the card will still bear; 0 when only a reset helps."""
        with translated():
            retries, _ = self._client_pin().get_pin_retries()
            return int(retries)

    def set_pin(self, pin: str) -> None:
        """Give a fresh card its PIN. Raises CardFault PIN_PRESENT, PIN_TOO_SHORT, PIN_POLICY."""
        if self.has_pin:
            raise CardFault(Fault.PIN_PRESENT)
        self._check_length(pin)
        with translated(_PIN_PRESENT):
            self._client_pin().set_pin(normal(pin))
        self.refresh()

    def change_pin(self, current: str, new: str) -> None:
        """Raises CardFault PIN_INVALID (a try is gone), PIN_TOO_SHORT, PIN_POLICY.

        PIN_POLICY also when both are the same, without asking the card.
        """
        if normal(current) == normal(new):
            raise CardFault(Fault.PIN_POLICY, "the new PIN is the present one")
        self._check_length(new)
        with translated():
            self._client_pin().change_pin(normal(current), normal(new))
        self.refresh()

    def force_change(self, pin: str, min_length: int) -> bool:
        """Demand another PIN before the next use; whether the card says that it will.

        Comes last: from here the card gives no token. The minimum length can only be raised.
        """
        if not self.can_force_change:
            return False
        client_pin, token = self._token(pin, _PERMISSION.AUTHENTICATOR_CFG)
        longer = min_length if min_length > self._info.min_pin_length else None
        with translated():
            config = Config(self._ctap, client_pin.protocol, token)
            config.set_min_pin_length(min_pin_length=longer, force_change_pin=True)
        self.refresh()
        return self._info.force_pin_change

    # Credentials

    def known_credentials(self, rp_id: str) -> tuple[bytes, ...]:
        """Ids of the RP's discoverable credentials, as far as the card shows them unasked.

        A silent getAssertion (up=false): no PIN, no token. A card that does not do that shows
        none, which is no fault.
        """
        try:
            with translated():
                found = self._ctap.get_assertions(rp_id, _NO_HASH, options={"up": False})
                return tuple(bytes(answer.credential["id"]) for answer in found)
        except CardFault as fault:
            if fault.word in _ANSWERS_OF_A_PRESENT_CARD:
                return ()
            raise

    def held(self, rp_id: str, ids: Sequence[bytes]) -> tuple[bytes, ...]:
        """Which of these credentials are on the card; no PIN needed.

        Sent in portions, because a card takes `maxCredentialCountInList` at a time (CTAP 2.1
        §6.4); python-fido2 sends what it is given.
        """
        held: list[bytes] = []
        for portion in _portions(ids, self._info.max_creds_in_list or 1):
            # One answer per list is all a card gives, so a hit is followed up one by one.
            if self._holds_any(rp_id, portion):
                held += [one for one in portion if self._holds_any(rp_id, [one])]
        return tuple(held)

    def make_credential(self, creation: Creation, pin: str) -> Json:
        """A RegistrationResponseJSON.

        Raises CardFault PIN_INVALID (a try is gone), CHANGE_PENDING, ALREADY_ENROLLED,
        STORAGE_FULL, UNSUPPORTED.
        """
        exclude = creation.exclude
        if len(exclude) > (self._info.max_creds_in_list or 1):
            if self.held(creation.rp_id, exclude):
                raise CardFault(Fault.ALREADY_ENROLLED)
            exclude = []
        discoverable = creation.discoverable(self._info)
        client_pin, token = self._token(
            pin, _PERMISSION.MAKE_CREDENTIAL | _PERMISSION.GET_ASSERTION, creation.rp_id
        )
        with translated():
            answer = self._ctap.make_credential(
                creation.client_data.hash,
                creation.rp,
                creation.user,
                creation.algorithms,
                exclude_list=descriptors(exclude) or None,
                extensions=creation.extensions(self._info) or None,
                options={"rk": True} if discoverable else None,
                pin_uv_param=client_pin.protocol.authenticate(token, creation.client_data.hash),
                pin_uv_protocol=client_pin.protocol.VERSION,
            )
            return creation.response(answer, self._info)

    def get_assertion(self, request: Request, pin: str) -> Json:
        """An AuthenticationResponseJSON.

        Raises CardFault PIN_INVALID (a try is gone), CHANGE_PENDING, NO_CREDENTIAL.
        """
        allow = request.allow
        if len(allow) > 1:
            # One that the card holds is enough. Credentials that show themselves only after a
            # PIN (credProtect 3) are left to the card, if the list is short enough for it.
            held = self.held(request.rp_id, allow)
            if not held and len(allow) > (self._info.max_creds_in_list or 1):
                raise CardFault(Fault.NO_CREDENTIAL)
            allow = list(held[:1]) or allow
        client_pin, token = self._token(pin, _PERMISSION.GET_ASSERTION, request.rp_id)
        with translated():
            answer = self._ctap.get_assertion(
                request.rp_id,
                request.client_data.hash,
                allow_list=descriptors(allow) or None,
                pin_uv_param=client_pin.protocol.authenticate(token, request.client_data.hash),
                pin_uv_protocol=client_pin.protocol.VERSION,
            )
            return request.response(answer)

    @property
    def wants_pin_always(self) -> bool:
        """Whether this card signs nothing without its PIN (CTAP 2.1 §6.4, alwaysUv)."""
        return self._info.options.get("alwaysUv") is True

    def show_itself(self, request: Request) -> Json:
        """An AuthenticationResponseJSON for the tap alone, without a PIN.

        Raises CardFault NO_CREDENTIAL, also where the card keeps its keys to itself until a PIN
        comes (credProtect).
        """
        with translated():
            answer = self._ctap.get_assertion(
                request.rp_id,
                request.client_data.hash,
                allow_list=descriptors(request.allow) or None,
            )
            return request.response(answer)

    def reset(self) -> None:
        """Wipe the PIN and the credentials of every site (CTAP 2.1 §6.6).

        Some cards are deselected afterwards: power-cycle before going on. Raises CardFault
        RESET_TOO_LATE more than ten seconds after power-up.
        """
        with translated(_RESET):
            self._ctap.reset()

    # Steps of the above

    def _client_pin(self) -> ClientPin:
        if "clientPin" not in self._info.options:
            raise CardFault(Fault.UNSUPPORTED, "the card knows no PIN")
        try:
            return ClientPin(self._ctap)
        except ValueError:
            raise CardFault(Fault.UNSUPPORTED, "unknown PIN protocol") from None

    def _check_length(self, pin: str) -> None:
        if len(normal(pin)) < max(self._info.min_pin_length, 4):
            raise CardFault(Fault.PIN_TOO_SHORT, f"at least {self._info.min_pin_length}")
        if len(normal(pin).encode()) > MAX_BYTES:
            raise CardFault(Fault.PIN_POLICY, f"at most {MAX_BYTES} bytes")

    def _token(
        self, pin: str, permissions: ClientPin.PERMISSION, rp_id: str | None = None
    ) -> tuple[ClientPin, bytes]:
        """A PIN token: subcommand 0x09 where the card has it, else 0x05 (no permissions)."""
        if not self.has_pin:
            raise CardFault(Fault.UNSUPPORTED, "the card has no PIN")
        if self._info.force_pin_change:
            # Asked now, some cards answer PIN_INVALID to the right PIN.
            raise CardFault(Fault.CHANGE_PENDING)
        client_pin = self._client_pin()
        with translated(_CHANGE_PENDING):
            return client_pin, client_pin.get_pin_token(normal(pin), permissions, rp_id)

    def _holds_any(self, rp_id: str, ids: Sequence[bytes]) -> bool:
        try:
            with translated():
                self._ctap.get_assertion(rp_id, _NO_HASH, descriptors(ids), options={"up": False})
        except CardFault as fault:
            if fault.word is Fault.NO_CREDENTIAL:
                return False
            raise
        return True


_NO_HASH = hashlib.sha256(b"").digest()
_ANSWERS_OF_A_PRESENT_CARD = {
    Fault.NO_CREDENTIAL,
    Fault.NOT_ALLOWED,
    Fault.UNSUPPORTED,
    Fault.CARD_ERROR,
    Fault.PIN_POLICY,
    Fault.PIN_INVALID,
}


def _check_shape(info: Info) -> None:
    """getInfo with the wrong types in it must fail here, not where a member is first used."""
    texts = all(isinstance(version, str) for version in info.versions)
    options = isinstance(info.options, Mapping)
    numbers = all(
        isinstance(number, int)
        for number in (info.min_pin_length, info.max_msg_size, info.max_creds_in_list)
    )
    if not (texts and options and numbers):
        raise CardFault(Fault.GARBAGE, "getInfo")


def _portions(ids: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
