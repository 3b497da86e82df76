# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader.pin_rules import PinRules


@pytest.mark.parametrize("pin", ["482915", "correct horse", "ééèèàà", "1212121", "password"])
def test_good_pins(pin: str) -> None:
    assert PinRules(6).allow(pin)


@pytest.mark.parametrize(
    "pin",
    ["", "12345", "111111", "123456", "654321", "246802"[:5], "aaaaaa", "abcdef", "x1" * 32],
)
def test_pins_that_are_none(pin: str) -> None:
    assert not PinRules(6).allow(pin)


def test_the_present_pin_is_no_new_one_however_it_is_typed() -> None:
    rules = PinRules(4, current="caf\u00e9s!")
    assert not rules.allow("cafe\u0301s!")
    assert rules.allow("coffees!")


def test_characters_count_and_not_bytes_or_accents() -> None:
    assert not PinRules(6).allow("e\u0301" * 3 + "xy")
    assert not PinRules(4).allow("é" * 32)


def test_each_rule_is_one_line_of_the_checklist() -> None:
    lines = {check.text: check.holds for check in PinRules(6, current="482915").checks("482915")}
    assert list(lines.values()) == [True, True, True, False]
    assert "482915" not in repr(PinRules(6, current="482915"))


@given(pin=st.text())
def test_any_text_is_judged(pin: str) -> None:
    rules = PinRules(6, current="482915")
    assert rules.allow(pin) == all(check.holds for check in rules.checks(pin))
