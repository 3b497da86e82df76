# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading
import time

import pytest
from fido2.ctap import CtapError

from provisioning.desks.faults import FAULTS
from reader.faults import CardFault, Fault, translated
from reader.pcsc_codes import result_fault, status_word_fault
from reader.watchdog import within


@pytest.mark.parametrize("fault", Fault)
def test_the_server_knows_every_word_of_the_station(fault: Fault) -> None:
    assert fault.value in FAULTS


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_its_own_sentence(fault: Fault) -> None:
    assert fault.sentence.endswith(".")
    assert [other for other in Fault if other.sentence == fault.sentence] == [fault]


@pytest.mark.parametrize("fault", Fault)
def test_every_sentence_says_what_to_do_next(fault: Fault) -> None:
    """What is the matter, and a step: two sentences, or one with both."""
    what, _, step = fault.sentence.replace(":", ".", 1).partition(".")
    assert what
    assert len(step.split()) >= 3, fault.sentence
    assert FAULTS[fault.value].steps, "the panel offers nothing"


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (0x8010001D, Fault.NO_SERVICE),
        (0x80100013, Fault.NO_SERVICE),
        (0x8010002E, Fault.NO_READER),
        (0x8010000A, Fault.NO_CARD),
        (0x80100069, Fault.CARD_REMOVED),
        (0x80100016, Fault.CARD_REMOVED),
        (0x00000000, Fault.CARD_REMOVED),
        (-1, Fault.CARD_REMOVED),
        (0x8010000F, Fault.CARD_MUTE),
        (0x8010000B, Fault.CARD_BUSY),
        (0x80100027, Fault.NOT_ALLOWED),
        (0x80100001, Fault.CARD_ERROR),
    ],
)
def test_pcsc_results_signed_and_unsigned(code: int, word: Fault) -> None:
    assert result_fault(code).word is word
    assert result_fault(code - (1 << 32)).word is word
    assert result_fault(code).detail == f"PC/SC 0x{code & 0xFFFFFFFF:08X}"


@pytest.mark.parametrize(
    ("word", "fault"),
    [(0x6985, Fault.NOT_ALLOWED), (0x6D00, Fault.CARD_REMOVED), (0x6F00, Fault.CARD_ERROR)],
)
def test_status_words(word: int, fault: Fault) -> None:
    assert status_word_fault(word).word is fault
    assert f"{word:04X}" in status_word_fault(word).detail


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (CtapError(0x19), Fault.ALREADY_ENROLLED),
        (CtapError(0x28), Fault.STORAGE_FULL),
        (CtapError(0x2E), Fault.NO_CREDENTIAL),
        (CtapError(0x30), Fault.NOT_ALLOWED),
        (CtapError(0x31), Fault.PIN_INVALID),
        (CtapError(0x32), Fault.PIN_BLOCKED),
        (CtapError(0x34), Fault.PIN_AUTH_BLOCKED),
        (CtapError(0x37), Fault.PIN_POLICY),
        (CtapError(0x12), Fault.CARD_ERROR),
        (CtapError(0xF7), Fault.CARD_ERROR),
        (ValueError("the PIN was 482915"), Fault.GARBAGE),
        (TypeError("x"), Fault.GARBAGE),
        (KeyError("x"), Fault.GARBAGE),
    ],
    ids=repr,
)
def test_what_the_library_raises(error: Exception, word: Fault) -> None:
    with pytest.raises(CardFault) as fault, translated():
        raise error
    assert fault.value.word is word
    assert "482915" not in str(fault.value)


def test_a_command_may_mean_something_else_by_a_status() -> None:
    with pytest.raises(CardFault) as fault, translated({0x30: Fault.RESET_TOO_LATE}):
        raise CtapError(0x30)
    assert fault.value.word is Fault.RESET_TOO_LATE


def test_other_errors_are_let_through() -> None:
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError


# The watchdog


def test_a_call_in_time_gives_its_result() -> None:
    assert within(5, lambda: 7) == 7
    assert within(5, lambda: None) is None


def test_an_error_of_the_call_is_the_callers() -> None:
    def fails() -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        within(5, fails)


def test_a_late_call_is_left_behind_and_cleans_up_itself() -> None:
    released, cleaned = threading.Event(), threading.Event()
    began = time.monotonic()
    with pytest.raises(CardFault) as fault:
        within(0.05, lambda: released.wait(10), cleaned.set)
    assert fault.value.word is Fault.TIMEOUT
    assert time.monotonic() - began < 2
    assert not cleaned.is_set()
    released.set()
    assert cleaned.wait(5)


def test_a_call_in_time_cleans_up_nothing() -> None:
    cleaned = threading.Event()
    within(5, lambda: 1, cleaned.set)
    assert not cleaned.is_set()
