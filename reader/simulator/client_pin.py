# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""authenticatorClientPIN (CTAP 2.1 §6.5): the PIN, its tries, and PIN/UV auth tokens."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from hmac import compare_digest

from fido2.ctap import CtapError

from reader.simulator.credentials import Memory, hash_pin
from reader.simulator.parameters import ERR, Answer, Parameters
from reader.simulator.pin_protocol import KeyAgreement, SharedSecret, verify
from reader.simulator.profile import Profile

PADDED_PIN = 64
MISSES_PER_POWER_UP = 3


class Permission(IntFlag):
    """What a token may be used for (CTAP 2.1 §6.5.5.7)."""

    MAKE_CREDENTIAL = 0x01
    GET_ASSERTION = 0x02
    CREDENTIAL_MANAGEMENT = 0x04
    BIO_ENROLLMENT = 0x08
    LARGE_BLOB_WRITE = 0x10
    AUTHENTICATOR_CONFIG = 0x20


CEREMONY = Permission.MAKE_CREDENTIAL | Permission.GET_ASSERTION


@dataclass
class Token:
    value: bytes
    protocol: int
    permissions: Permission
    rp_id: str | None
    given_at: float
    used: bool = False


class ClientPin:
    """Volatile PIN state (key agreements, the live token, misses in a row) over the memory."""

    def __init__(self, profile: Profile, memory: Memory, clock: Callable[[], float]) -> None:
        self._profile = profile
        self._memory = memory
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Power-up: new key agreements, no token, three tries in a row again."""
        self._misses = 0
        self._token: Token | None = None
        self._agreements: dict[int, KeyAgreement] = {}

    @property
    def is_set(self) -> bool:
        return self._memory.pin_hash is not None

    def handle(self, request: Parameters) -> Answer:
        subcommand = request.required(2, int)
        if subcommand == 0x01:
            return self._retries()
        handlers: dict[int, Callable[[KeyAgreement, Parameters], Answer]] = {
            0x02: self._get_key_agreement,
            0x03: self._set_pin,
            0x04: self._change_pin,
            0x05: self._get_token_legacy,
        }
        if self._profile.ctap_2_1:
            handlers[0x09] = self._get_token
        if subcommand not in handlers:
            raise CtapError(ERR.INVALID_SUBCOMMAND)
        return handlers[subcommand](self._agreement(request.required(1, int)), request)

    def check_protocol(self, protocol: int | None) -> int:
        """:raises CtapError: MISSING_PARAMETER, or INVALID_PARAMETER for an unknown one."""
        if protocol is None:
            raise CtapError(ERR.MISSING_PARAMETER)
        if protocol not in self._profile.pin_protocols:
            raise CtapError(ERR.INVALID_PARAMETER)
        return protocol

    def shared_secret(self, protocol: int, peer: Parameters) -> SharedSecret:
        return self._agreement(protocol).decapsulate(peer)

    def authorize(
        self,
        message: bytes,
        mac: bytes,
        protocol: int | None,
        permission: Permission,
        rp_id: str | None = None,
    ) -> None:
        """Check a pinUvAuthParam against the live token.

        :param rp_id: the RP of the request; None for requests that belong to no RP, which a
            token bound to an RP must not make.
        :raises CtapError: PIN_AUTH_INVALID.
        """
        protocol = self.check_protocol(protocol)
        token = self._token
        if token is None or token.protocol != protocol or self._expired(token):
            raise CtapError(ERR.PIN_AUTH_INVALID)
        if not verify(protocol, token.value, message, mac) or permission not in token.permissions:
            raise CtapError(ERR.PIN_AUTH_INVALID)
        if token.rp_id is not None and token.rp_id != rp_id:
            raise CtapError(ERR.PIN_AUTH_INVALID)
        token.used = True
        if self._profile.ctap_2_1 and permission in CEREMONY and token.rp_id is None:
            token.rp_id = rp_id

    def spend_token(self) -> None:
        """A CTAP 2.1 token serves one ceremony: presence takes all permissions but large blob's.

        (§6.1.2 step 14: clearPinUvAuthTokenPermissionsExceptLbw.)
        """
        if self._token is not None and self._profile.ctap_2_1:
            self._token.permissions &= Permission.LARGE_BLOB_WRITE

    def drop_token(self) -> None:
        self._token = None

    def _expired(self, token: Token) -> bool:
        age = self._clock() - token.given_at
        limit = self._profile.token_lifetime if token.used else self._profile.token_first_use
        # JavaCards and CTAP 2.0 cards have no clock: their tokens live as long as the field.
        return self._profile.ctap_2_1 and age > limit

    def _agreement(self, protocol: int) -> KeyAgreement:
        protocol = self.check_protocol(protocol)
        if protocol not in self._agreements:
            self._agreements[protocol] = KeyAgreement(protocol)
        return self._agreements[protocol]

    def _retries(self) -> Answer:
        return {3: self._memory.pin_retries, 4: self._misses >= MISSES_PER_POWER_UP}

    def _get_key_agreement(self, agreement: KeyAgreement, request: Parameters) -> Answer:
        return {1: agreement.public_key}

    def _set_pin(self, agreement: KeyAgreement, request: Parameters) -> Answer:
        peer = request.required_map(3)
        mac, new_pin = request.required(4, bytes), request.required(5, bytes)
        if self.is_set:
            raise CtapError(self._profile.set_pin_twice_error)
        secret = agreement.decapsulate(peer)
        if not secret.verify(new_pin, mac):
            raise CtapError(ERR.PIN_AUTH_INVALID)
        self._memory.store_pin(self._read_new_pin(secret, new_pin), self._profile.max_pin_retries)
        return {}

    def _change_pin(self, agreement: KeyAgreement, request: Parameters) -> Answer:
        peer = request.required_map(3)
        mac, new_pin = request.required(4, bytes), request.required(5, bytes)
        pin_hash = request.required(6, bytes)
        self._check_tries_left()
        secret = agreement.decapsulate(peer)
        if not secret.verify(new_pin + pin_hash, mac):
            raise CtapError(ERR.PIN_AUTH_INVALID)
        current = self._check_pin(secret, pin_hash)
        pin = self._read_new_pin(secret, new_pin)
        must_differ = self._memory.force_pin_change and not self._profile.accept_same_pin
        if must_differ and compare_digest(hash_pin(pin), current):
            raise CtapError(ERR.PIN_POLICY_VIOLATION)
        self._memory.store_pin(pin, self._profile.max_pin_retries)
        self.drop_token()
        return {}

    def _get_token_legacy(self, agreement: KeyAgreement, request: Parameters) -> Answer:
        if 9 in request or 10 in request:
            raise CtapError(ERR.INVALID_PARAMETER)
        # A CTAP 2.0 token has no permissions: nothing that a 2.0 card does asks for another.
        return self._give_token(
            agreement, request, CEREMONY, None, self._profile.forced_change_legacy_error
        )

    def _get_token(self, agreement: KeyAgreement, request: Parameters) -> Answer:
        wanted = request.required(9, int)
        rp_id = request.optional(10, str)
        if wanted <= 0:
            raise CtapError(ERR.INVALID_PARAMETER)
        # On plain integers: inverting an IntFlag leaves out the bits that it does not name.
        if wanted & ~int(self._known_permissions()):
            raise CtapError(ERR.UNAUTHORIZED_PERMISSION)
        permissions = Permission(wanted)
        if permissions & CEREMONY and rp_id is None:
            raise CtapError(ERR.MISSING_PARAMETER)
        return self._give_token(
            agreement, request, permissions, rp_id, self._profile.forced_change_error
        )

    def _known_permissions(self) -> Permission:
        known = CEREMONY
        if self._profile.cred_mgmt:
            known |= Permission.CREDENTIAL_MANAGEMENT
        if self._profile.authnr_cfg:
            known |= Permission.AUTHENTICATOR_CONFIG
        return known

    def _give_token(
        self,
        agreement: KeyAgreement,
        request: Parameters,
        permissions: Permission,
        rp_id: str | None,
        forced_change_error: int,
    ) -> Answer:
        peer, pin_hash = request.required_map(3), request.required(6, bytes)
        self._check_tries_left()
        secret = agreement.decapsulate(peer)
        self._check_pin(secret, pin_hash)
        if self._memory.force_pin_change:
            raise CtapError(forced_change_error)
        self._token = Token(
            secrets.token_bytes(32), agreement.protocol, permissions, rp_id, self._clock()
        )
        return {2: secret.encrypt(self._token.value)}

    def _check_tries_left(self) -> None:
        if not self.is_set:
            raise CtapError(ERR.PIN_NOT_SET)
        if self._memory.pin_retries == 0:
            raise CtapError(ERR.PIN_BLOCKED)
        if self._misses >= MISSES_PER_POWER_UP:
            raise CtapError(ERR.PIN_AUTH_BLOCKED)

    def _check_pin(self, secret: SharedSecret, encrypted_hash: bytes) -> bytes:
        """Compare the PIN's hash and return it; a miss costs a try and the key agreement."""
        # The try is taken first, so that pulling the card during the check gains nothing.
        self._memory.pin_retries -= 1
        current = self._memory.pin_hash or b""
        try:
            guess = secret.decrypt(encrypted_hash)
        except CtapError:
            guess = b""
        if compare_digest(guess, current):
            self._memory.pin_retries = self._profile.max_pin_retries
            self._misses = 0
            return current
        self._agreements.pop(secret.protocol, None)
        self._misses += 1
        if self._memory.pin_retries == 0:
            raise CtapError(ERR.PIN_BLOCKED)
        if self._misses >= MISSES_PER_POWER_UP:
            raise CtapError(ERR.PIN_AUTH_BLOCKED)
        raise CtapError(ERR.PIN_INVALID)

    def _read_new_pin(self, secret: SharedSecret, encrypted: bytes) -> bytes:
        padded = secret.decrypt(encrypted)
        if len(padded) != PADDED_PIN:
            raise CtapError(ERR.INVALID_PARAMETER)
        pin = padded.rstrip(b"\0")
        try:
            length = len(pin.decode())
        except UnicodeDecodeError:
            raise CtapError(ERR.PIN_POLICY_VIOLATION) from None
        if length < self._memory.min_pin_length or len(pin) == PADDED_PIN:
            raise CtapError(ERR.PIN_POLICY_VIOLATION)
        return pin
