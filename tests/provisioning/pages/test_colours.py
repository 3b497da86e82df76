# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provisioning.pages import colours

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def test_black_on_white_is_the_greatest_contrast() -> None:
    assert colours.contrast("#000000", colours.WHITE) == pytest.approx(21)
    assert colours.contrast("#123456", "#123456") == 1


@given(COLOURS)
def test_a_colour_made_darker_can_be_read_under_white(colour: str) -> None:
    assert colours.contrast(colours.WHITE, colours.darkened(colour)) >= colours.READABLE


def test_a_readable_colour_stays_as_it_is() -> None:
    assert colours.darkened("#3d50d0") == "#3d50d0"


@given(COLOURS)
def test_every_shade_of_an_accent_can_be_read_in_light_and_dark(accent: str) -> None:
    assume(colours.contrast(colours.WHITE, accent) >= colours.READABLE)
    found = re.findall(r"--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\);", colours.style(accent))
    tokens = {name: (light, dark) for name, light, dark in found}
    assert set(tokens) == {
        "accent",
        "accent-fill",
        "accent-fill-hover",
        "accent-soft",
        "accent-line",
    }
    for side, grounds in ((0, ("#ffffff", "#f5f6f9", "#f0f2f6")), (1, ("#0e1117", "#1d222c"))):
        for ground in (*grounds, tokens["accent-soft"][side]):
            assert colours.contrast(tokens["accent"][side], ground) >= colours.READABLE
        for fill in ("accent-fill", "accent-fill-hover"):
            assert colours.contrast(colours.WHITE, tokens[fill][side]) >= colours.READABLE
