# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of card is simulated (Profile) and what goes wrong with it (Faults)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fido2.webauthn import Aaguid

SIMULATOR_AAGUID = Aaguid.parse("6e5431ce-8b3b-4050-b137-31074beb1895")
"""The simulator's model. A server outside demo mode refuses it: anyone can sign as this model."""

MODEL_NAME = "Keywright software card"

ISO_14443_4_ATR = bytes.fromhex("3B80800101")
MIFARE_CLASSIC_ATR = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")

ES256, EDDSA = -7, -8

Attestation = Literal["packed", "self", "none"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One model of card. Defaults: a CTAP 2.1 card, fresh from the box.

    Lengths are Unicode code points for PINs and bytes elsewhere, times are seconds.
    """

    aaguid: Aaguid = SIMULATOR_AAGUID
    versions: tuple[str, ...] = ("FIDO_2_0", "FIDO_2_1")
    pin_protocols: tuple[int, ...] = (2, 1)
    algorithms: tuple[int, ...] = (ES256, EDDSA)
    extensions: tuple[str, ...] = ("credProtect", "hmac-secret", "minPinLength")
    attestation: Attestation = "packed"
    max_msg_size: int = 1200
    firmware_version: int = 1

    fido: bool = True
    """False: a plain badge, which has a UID and no FIDO application."""
    u2f_only: bool = False

    pin: str | None = field(default=None, repr=False)
    """A PIN that is set before the first tap. A reset removes it for good."""
    min_pin_length: int = 4
    max_pin_retries: int = 8
    client_pin: bool = True
    authnr_cfg: bool = True
    set_min_pin_length: bool = True
    cred_mgmt: bool = True
    always_uv: bool = False
    make_cred_uv_not_required: bool = False
    max_rp_ids_for_min_pin: int = 4

    resident_credentials: int = 25
    """How many discoverable credentials fit."""
    max_creds_in_list: int = 8
    default_cred_protect: int = 1
    sign_count_start: int = 0
    sign_count_step: int = 1

    uid: bytes | None = None
    """None: a fixed 7-byte UID of its own, drawn when the card is made."""
    random_uid: bool = False
    """True: a new 4-byte UID that starts with 08 at each tap (ISO 14443-3)."""
    atr: bytes | None = None

    keep_alives: int = 0
    """How many times the card answers 9100 before a CTAP answer, if the reader can poll."""
    reset_window: float = 10.0
    token_first_use: float = 19.8
    """A PIN token unused for so long is dead; 19.8 is the limit over NFC (CTAP 2.1 §6.5.2.1)."""
    token_lifetime: float = 600.0

    accept_same_pin: bool = False
    """Some JavaCards take the old PIN again at a forced change, which CTAP 2.1 forbids."""
    set_pin_twice_error: int = 0x33
    """setPIN on a card with a PIN: PIN_AUTH_INVALID (spec) or PUAT_REQUIRED 0x36 (JavaCards)."""
    forced_change_error: int = 0x37
    """Subcommand 9 while a PIN change is forced."""
    forced_change_legacy_error: int = 0x31
    """Subcommand 5 while a PIN change is forced: PIN_INVALID (spec) or 0x37 (JavaCards)."""
    reset_deselects: bool = False

    @property
    def ctap_2_1(self) -> bool:
        return "FIDO_2_1" in self.versions

    @property
    def answer_to_reset(self) -> bytes:
        if self.atr is not None:
            return self.atr
        return ISO_14443_4_ATR if self.fido else MIFARE_CLASSIC_ATR


CTAP_2_1 = Profile()
CTAP_2_0 = Profile(
    versions=("FIDO_2_0",),
    pin_protocols=(1,),
    extensions=("hmac-secret",),
    authnr_cfg=False,
    set_min_pin_length=False,
    cred_mgmt=False,
)
JAVACARD = Profile(
    accept_same_pin=True,
    set_pin_twice_error=0x36,
    forced_change_legacy_error=0x37,
    reset_deselects=True,
    sign_count_start=3,
    sign_count_step=5,
)
"""How a widespread open JavaCard applet differs from the letter of CTAP 2.1."""
U2F_ONLY = Profile(u2f_only=True)
BADGE = Profile(fido=False)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong. Set ``card.faults`` at any time; a new value starts the count again."""

    die_at: int | None = None
    """The card leaves the field at the n-th APDU (from 1) that the next three fields match."""
    die_ins: int | None = None
    """Count APDUs with this instruction byte only."""
    die_command: int | None = None
    """Count complete CTAP commands with this command byte only (0x01 makeCredential…)."""
    die_subcommand: int | None = None
    """With ``die_command``: this subcommand only (clientPIN, credentialManagement, config)."""
    die_executed: bool = False
    """False: the card dies before it executes the command; True: after, with the answer lost."""

    delay: float = 0.0
    """Seconds before each answer."""
    mute: bool = False
    """No ATR and no answer."""
    garbage: bool = False
    """CTAP answers end in stray bytes."""
    storage_full: bool = False
    wrong_aaguid: bool = False
    """authData names another model than the attestation certificate."""
    foreign_root: bool = False
    """The attestation certificate has the right names and another root's signature."""
    bad_signature: bool = False
    """Attestations and assertions are signed over other bytes."""
    no_uv: bool = False
    """The card verifies the PIN and leaves the UV flag out."""


NO_FAULTS = Faults()
