# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""One card's life in this process, step by step: does this simulator work here?

The station's own code drives it, without pcscd, pyscard or a server.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from fido2.attestation.base import InvalidAttestation
from fido2.attestation.packed import PackedAttestation
from fido2.cose import CoseKey
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from reader.card import Card
from reader.card_reader import CardSession
from reader.ceremony import Creation, Json, Request
from reader.faults import CardFault, Fault
from reader.identity import b64url, unb64url
from reader.simulator.card import SoftwareCard
from reader.software_reader import SoftwareReader

_RP_ID, _ORIGIN = "localhost", "http://localhost"
_PIN, _OWN_PIN = "482915", "739154"


@dataclass(frozen=True)
class Done:
    """One step; `fault` is empty when it went well, `note` says what there is to say then."""

    name: str
    ms: float
    fault: str = ""
    note: str = ""


class _CannotDo(Exception):
    """This card does not do that, and need not."""


class _Life:
    def __init__(self, card: SoftwareCard) -> None:
        self.reader = SoftwareReader()
        self.reader.insert(card)
        self.session: CardSession = self.reader.wait_for_card(1.0, lambda: False)
        self.card: Card
        self.made: AuthenticatorData

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("select the application, getInfo", self.meet),
            ("setPIN", lambda: self.card.set_pin(_PIN)),
            ("makeCredential, attestation", self.make),
            ("the same again is excluded", self.exclude),
            ("getAssertion, signature", lambda: self.sign(_PIN)),
            ("a wrong PIN costs one try", self.mistype),
            ("demand another PIN", self.force),
            ("changePIN", self.change),
            ("getAssertion with the new PIN", lambda: self.sign(_OWN_PIN)),
            ("reset", self.reset),
        ]

    def meet(self) -> None:
        self.card = Card(self.session.device)

    def make(self) -> None:
        response = self.card.make_credential(self._creation(), _PIN)
        made = AttestationObject(unb64url(response["response"]["attestationObject"]))
        self.made = made.auth_data
        if made.fmt == "packed":
            client_data = unb64url(response["response"]["clientDataJSON"])
            PackedAttestation().verify(made.att_stmt, made.auth_data, _sha256(client_data))

    def exclude(self) -> None:
        _expect(
            Fault.ALREADY_ENROLLED,
            lambda: self.card.make_credential(self._creation(exclude=True), _PIN),
        )

    def sign(self, pin: str) -> None:
        options: Json = {"challenge": b64url(secrets.token_bytes(32)), "rpId": _RP_ID}
        response = self.card.get_assertion(Request(options, _ORIGIN), pin)["response"]
        data, told = (unb64url(response[one]) for one in ("authenticatorData", "clientDataJSON"))
        key = CoseKey.parse(dict(self._credential().public_key))
        key.verify(data + _sha256(told), unb64url(response["signature"]))

    def mistype(self) -> None:
        before = self.card.pin_retries()
        _expect(Fault.PIN_INVALID, lambda: self.card.change_pin("0" * 8, _OWN_PIN))
        if self.card.pin_retries() != before - 1:
            raise ValueError("it cost another number of tries")

    def force(self) -> None:
        if not self.card.can_force_change:
            raise _CannotDo("this card cannot, which is no fault")
        self.card.force_change(_PIN, 4)

    def change(self) -> None:
        self.card.change_pin(_PIN, _OWN_PIN)

    def reset(self) -> None:
        self.session.power_cycle()
        self.card = Card(self.session.device)
        self.card.reset()
        self.session.power_cycle()
        if Card(self.session.device).has_pin:
            raise ValueError("the card kept its PIN")

    def _credential(self) -> AttestedCredentialData:
        if self.made.credential_data is None:
            raise ValueError("the card made no credential")
        return self.made.credential_data

    def _creation(self, *, exclude: bool = False) -> Creation:
        excluded = [self._credential().credential_id] if exclude else []
        options: Json = {
            "rp": {"id": _RP_ID, "name": "Self-check"},
            "user": {"id": b64url(secrets.token_bytes(16)), "name": "ada", "displayName": "Ada"},
            "challenge": b64url(secrets.token_bytes(32)),
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "excludeCredentials": [{"type": "public-key", "id": b64url(one)} for one in excluded],
            "attestation": "direct",
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": True,
                "userVerification": "required",
            },
        }
        return Creation(options, _ORIGIN)


def self_check(card: SoftwareCard) -> Iterator[Done]:
    """Each step as it is done; it ends at the first that fails."""
    try:
        life = _Life(card)
    except CardFault as fault:
        yield Done("tap", 0.0, fault.sentence)
        return
    try:
        for name, step in life.steps():
            began = time.perf_counter()
            said = note = ""
            try:
                step()
            except _CannotDo as error:
                note = str(error)
            except CardFault as fault:
                said = fault.sentence
            except (ValueError, InvalidAttestation, InvalidSignature) as error:
                said = str(error) or type(error).__name__
            yield Done(name, (time.perf_counter() - began) * 1000, said, note)
            if said:
                return
    finally:
        life.session.close()


def _expect(word: Fault, work: Callable[[], object]) -> None:
    try:
        work()
    except CardFault as fault:
        if fault.word is word:
            return
        raise
    raise ValueError(f"the card should have said {word}")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
