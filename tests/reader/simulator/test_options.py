# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader.simulator.options import MODELS, BadOption, changed, described
from reader.simulator.profile import NO_FAULTS, Faults, Profile


def test_settings_and_faults_are_read_by_their_kind() -> None:
    words = [
        *("pin=482915", "random_uid", "resident_credentials=3", "reset_window=2.5"),
        *("versions=FIDO_2_0,FIDO_2_1", "pin_protocols=1", "uid=04aabbcc", "attestation=self"),
        *("set_pin_twice_error=0x36", "aaguid=00000000-0000-0000-0000-000000000001"),
    ]
    profile = changed(Profile(), words)
    assert (profile.pin, profile.random_uid, profile.resident_credentials) == ("482915", True, 3)
    assert (profile.reset_window, profile.pin_protocols) == (2.5, (1,))
    assert (profile.uid, profile.attestation) == (bytes.fromhex("04aabbcc"), "self")
    assert (profile.set_pin_twice_error, bytes(profile.aaguid)[-1]) == (0x36, 1)
    faults = changed(NO_FAULTS, ["die_at=2", "die_command=0x01", "die_executed", "mute=false"])
    assert faults == Faults(die_at=2, die_command=1, die_executed=True)
    assert changed(faults, ["die_at=none"]).die_at is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("strength=3", "there is no 'strength'; there are: die_at"),
        ("die_at", "needs a value"),
        ("die_at=soon", "a whole number"),
        ("mute=perhaps", "true or false"),
        ("delay=long", "a number of seconds"),
        ("", "there is no ''"),
    ],
)
def test_what_it_does_not_know_it_says(word: str, said: str) -> None:
    with pytest.raises(BadOption, match=said):
        changed(NO_FAULTS, [word])


def test_bytes_and_choices_are_checked_too() -> None:
    for word, said in (("uid=xyz", "bytes in hex"), ("attestation=forged", "one of packed")):
        with pytest.raises(BadOption, match=said):
            changed(Profile(), [word])


@pytest.mark.parametrize("model", MODELS)
def test_what_is_described_reads_back(model: str) -> None:
    profile = MODELS[model]
    assert changed(Profile(), described(profile)) == profile


def test_every_fault_is_an_option() -> None:
    names = {line.partition("=")[0] for line in described(NO_FAULTS)}
    assert names == {one.name for one in dataclasses.fields(Faults)}


@given(st.text())
def test_no_word_breaks_it(word: str) -> None:
    for text in (word, f"die_at={word}", f"delay={word}"):
        try:
            changed(NO_FAULTS, [text])
        except BadOption:
            continue
