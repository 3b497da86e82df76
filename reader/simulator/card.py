# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The card: power, UID, ATR, and the APDU front of the FIDO application (CTAP 2.1 §11.3)."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable

from fido2.ctap import CtapError

from reader.simulator.apdu import CHAINING, SW, Command, MalformedApdu, answer
from reader.simulator.authenticator import Authenticator
from reader.simulator.credentials import Credential, Memory
from reader.simulator.parameters import Parameters
from reader.simulator.profile import NO_FAULTS, Faults, Profile

FIDO_AID = bytes.fromhex("A0000006472F0001")

INS_U2F_VERSION, INS_SELECT, INS_GET_RESPONSE = 0x03, 0xA4, 0xC0
INS_CTAP_MSG, INS_CTAP_GET_RESPONSE, INS_CTAP_CONTROL = 0x10, 0x11, 0x12
CLIENT_PIN, RESET = 0x06, 0x07
CLA_READER, INS_GET_DATA = 0xFF, 0xCA

STATUS_PROCESSING = b"\x01"
KEEPALIVE_CANCEL = b"\x2d"


class CardRemoved(ConnectionError):
    """No card answers: it left the field, is not powered, or is mute."""


class SoftwareCard:
    """A contactless FIDO2 card. ``faults`` may be set at any time, from any thread.

    :param memory: an earlier card's memory (see ``store``); None makes a new card.
    :param clock: seconds, monotonic.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        faults: Faults = NO_FAULTS,
        *,
        memory: Memory | None = None,
        uid: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.profile = profile or Profile()
        if memory is None:
            memory = Memory.factory(self.profile)
            if self.profile.pin is not None:
                memory.store_pin(self.profile.pin.encode(), self.profile.max_pin_retries)
        # NXP's manufacturer code, as on most cards: seven bytes that start with 04.
        self.uid: bytes = uid or self.profile.uid or b"\x04" + secrets.token_bytes(6)
        self.authenticator = Authenticator(self.profile, memory, clock)
        self._lock = threading.RLock()
        self._field_lost = threading.Event()
        self._powered = False
        self._matched = 0
        self._faults = faults
        self._clear_buffers()

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._matched = 0

    @property
    def memory(self) -> Memory:
        """What the card keeps without power; look, count, tamper."""
        return self.authenticator.memory

    @property
    def atr(self) -> bytes:
        """The answer to reset; b"" from a mute card."""
        return b"" if self._faults.mute else self.profile.answer_to_reset

    @property
    def powered(self) -> bool:
        return self._powered

    def power_on(self) -> None:
        """The card enters the field: volatile state is gone, ten seconds for a reset begin."""
        with self._lock:
            if self.profile.random_uid:
                self.uid = b"\x08" + secrets.token_bytes(3)
            self._field_lost.clear()
            self._powered = True
            self._clear_buffers()
            self.authenticator.power_on()

    def power_off(self) -> None:
        """The card leaves the field; an APDU in progress gets no answer."""
        self._field_lost.set()
        with self._lock:
            # An APDU in progress may have seen the loss first, and the card be back already.
            if self._field_lost.is_set():
                self._lose_power()

    def reset_volatile(self) -> None:
        """Forget the selection, chains, PIN tokens and the misses in a row."""
        with self._lock:
            self._clear_buffers()
            self.authenticator.forget()

    def transmit(self, apdu: bytes) -> bytes:
        """Answer one command APDU with a response APDU, whatever its bytes.

        :raises CardRemoved: no card is there to answer.
        """
        with self._lock:
            if not self._powered or self._faults.mute:
                raise CardRemoved("No card answers.")
            if self._faults.delay and self._field_lost.wait(self._faults.delay):
                self._lose_power()
                raise CardRemoved("The card left the field during the command.")
            try:
                command = Command.parse(apdu)
            except MalformedApdu:
                self._clear_chain()
                return answer(SW.WRONG_LENGTH)
            return self._answer(command)

    def export_private_key(self, credential_id: bytes) -> bytes:
        """A credential's key, PKCS #8 in DER.

        :raises KeyError: no such credential.
        """
        return self._credential(credential_id).private_key

    def export_credential(self, credential_id: bytes) -> dict[str, str | int | bool]:
        """The argument of CDP's WebAuthn.addCredential: the same credential in Chromium.

        :raises KeyError: no such credential.
        """
        credential = self._credential(credential_id)
        return {
            "credentialId": base64.b64encode(credential.credential_id).decode(),
            "isResidentCredential": credential.discoverable,
            "rpId": credential.rp_id,
            "privateKey": base64.b64encode(credential.private_key).decode(),
            "userHandle": base64.b64encode(credential.user_id).decode(),
            "signCount": self.memory.sign_count,
        }

    def _credential(self, credential_id: bytes) -> Credential:
        credential = self.memory.find(credential_id)
        if credential is None:
            raise KeyError("The card has no such credential.")
        return credential

    def _lose_power(self) -> None:
        self._powered = False
        self.reset_volatile()

    def _answer(self, command: Command) -> bytes:
        dies = self._is_fatal(command)
        if dies and not self._faults.die_executed:
            self._die()
        response = self._route(command)
        if dies:
            if self._pending is not None:
                self.authenticator.handle(self._pending, self._faults)
            self._die()
        return response

    def _die(self) -> None:
        self.power_off()
        raise CardRemoved("The card left the field during the command.")

    def _is_fatal(self, command: Command) -> bool:
        """Whether this APDU is the one at which the faults let the card die."""
        faults = self._faults
        if faults.die_at is None:
            return False
        if faults.die_ins is not None and command.ins != faults.die_ins:
            return False
        if faults.die_command is not None and not self._carries(command, faults):
            return False
        self._matched += 1
        return self._matched == faults.die_at

    def _carries(self, command: Command, faults: Faults) -> bool:
        if command.ins != INS_CTAP_MSG or command.more_follows:
            return False
        request = self._chain + command.data
        if request[:1] != bytes([faults.die_command or 0]):
            return False
        return faults.die_subcommand is None or _subcommand(request) == faults.die_subcommand

    def _clear_buffers(self) -> None:
        self._selected = False
        self._clear_chain()
        self._rest = b""
        self._pending: bytes | None = None
        self._keep_alives = 0

    def _clear_chain(self) -> None:
        self._chain = b""
        self._chain_head: tuple[int, int, int, int] | None = None

    def _route(self, command: Command) -> bytes:
        if command.cla == CLA_READER:
            return self._reader_command(command)
        if command.cla == 0 and command.ins == INS_GET_RESPONSE:
            return self._send_rest(command)
        self._rest = b""
        if command.cla & ~(CHAINING | 0x80):
            return answer(SW.CLA_NOT_SUPPORTED)
        head = (command.cla & ~CHAINING, command.ins, command.p1, command.p2)
        if self._chain_head not in (None, head):
            self._clear_chain()
        if command.more_follows:
            return self._keep_chain(head, command)
        command = command.after(self._chain)
        self._clear_chain()
        if command.cla == 0 and command.ins == INS_SELECT:
            return self._select(command)
        if not self._selected:
            return answer(SW.INS_NOT_SUPPORTED)
        if command.cla == 0 and command.ins == INS_U2F_VERSION and self.profile.u2f_only:
            return answer(SW.OK, b"U2F_V2")
        if command.cla == 0x80 and not self.profile.u2f_only:
            return self._ctap(command)
        return answer(SW.INS_NOT_SUPPORTED)

    def _reader_command(self, command: Command) -> bytes:
        """PC/SC part 3: the reader answers GET DATA itself; on a virtual reader the card does."""
        if (command.ins, command.p1, command.p2) == (INS_GET_DATA, 0, 0):
            return answer(SW.OK, self.uid)
        return answer(SW.FUNCTION_NOT_SUPPORTED)

    def _keep_chain(self, head: tuple[int, int, int, int], command: Command) -> bytes:
        # One byte more than the limit is kept, so that CTAP itself says REQUEST_TOO_LARGE.
        self._chain = (self._chain + command.data)[: self.profile.max_msg_size + 1]
        self._chain_head = head
        return answer(SW.OK)

    def _select(self, command: Command) -> bytes:
        if command.p1 != 0x04:
            return answer(SW.INCORRECT_P1_P2)
        self._clear_buffers()
        if not self.profile.fido or command.data != FIDO_AID:
            return answer(SW.FILE_NOT_FOUND)
        self._selected = True
        return answer(SW.OK, b"U2F_V2" if self.profile.u2f_only else b"FIDO_2_0")

    def _ctap(self, command: Command) -> bytes:
        if command.ins == INS_CTAP_MSG:
            self._pending = command.data
            polls = command.p1 & 0x80
            self._keep_alives = self.profile.keep_alives if polls else 0
            return self._work(command)
        if command.ins == INS_CTAP_GET_RESPONSE:
            if self._pending is None:
                return answer(SW.CONDITIONS_NOT_SATISFIED)
            if command.p1 == 0x11:
                self._pending = None
                return answer(SW.OK, KEEPALIVE_CANCEL)
            return self._work(command)
        if (command.ins, command.p1) == (INS_CTAP_CONTROL, 0x01):
            self._clear_buffers()
            return answer(SW.OK)
        return answer(SW.INS_NOT_SUPPORTED)

    def _work(self, command: Command) -> bytes:
        """Execute the pending command, or say that it takes longer (§11.3.7.2)."""
        if self._keep_alives:
            self._keep_alives -= 1
            return answer(SW.UPDATE, STATUS_PROCESSING)
        request, self._pending = self._pending or b"", None
        response = self.authenticator.handle(request, self._faults)
        if self.profile.reset_deselects and request[:1] == bytes([RESET]) and response == b"\0":
            self._selected = False
        self._rest = response
        return self._send_rest(command)

    def _send_rest(self, command: Command) -> bytes:
        if not self._rest:
            return answer(SW.CONDITIONS_NOT_SATISFIED)
        part, self._rest = self._rest[: command.le], self._rest[command.le :]
        if not self._rest:
            return answer(SW.OK, part)
        return answer(0x6100 | min(len(self._rest), 0x100) & 0xFF, part)


def _subcommand(request: bytes) -> int | None:
    """clientPIN has its subcommand under key 2, the later commands under key 1."""
    key = 2 if request[0] == CLIENT_PIN else 1
    try:
        return Parameters.decode(request[1:]).optional(key, int)
    except CtapError:
        return None
