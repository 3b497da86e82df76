# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader.link import BadLink, read_link

GOOD = "keywright://pair?server=https%3A%2F%2Fkeys.example.org&code=12345678"


def test_a_link_fills_in_server_and_code() -> None:
    for link in (GOOD, GOOD.replace("pair?", "pair/?"), GOOD.replace("//pair", "pair")):
        read = read_link(link)
        assert (read.server, read.code) == ("https://keys.example.org", "12345678")
        assert read.host == "keys.example.org"


@pytest.mark.parametrize(
    "link",
    [
        "",
        "https://keys.example.org",
        "keywright://reset?server=https://keys.example.org&code=12345678",
        "keywright://pair",
        "keywright://pair?server=https://keys.example.org",
        "keywright://pair?code=12345678",
        GOOD + "&code=87654321",
        GOOD + "&state=/etc",
        GOOD + "#x",
        GOOD.replace("12345678", "1234567"),
        GOOD.replace("12345678", "１２３４５６７８"),
        GOOD.replace("12345678", "1234567%0a"),
        GOOD.replace("https%3A", "http%3A"),
        GOOD.replace("https%3A%2F%2F", "https%3A%2F%2Fkeys.example.org%40"),
        GOOD.replace("keys", "k%D0%B5ys"),  # a Cyrillic e
        GOOD.replace("keys", "keys%1b[2J"),
        GOOD.replace("keys", "x" * 3_000),
        "keywright://[::1",
    ],
)
def test_any_other_link_is_refused(link: str) -> None:
    with pytest.raises(BadLink):
        read_link(link)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    for link in (text, f"keywright://pair?{text}", f"keywright://pair?server={text}&code=12345678"):
        try:
            read = read_link(link)
        except BadLink:
            continue
        assert read.host
        assert read.code.isdigit()
