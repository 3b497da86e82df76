# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The menu beside every page."""

from __future__ import annotations

import re

from tests.fakes.panel import Panel

MENU = re.compile(r'<nav class="side".*?</nav>', re.DOTALL)


def menu_of(panel: Panel, url: str) -> str:
    found = MENU.search(panel.get(url).text)
    assert found is not None
    return found[0]


def test_ones_own_keys_are_in_the_menu_since_a_phone_shows_no_name_above(panel: Panel) -> None:
    assert '<a href="/account">' in menu_of(panel, "/overview")
    panel.step_up()
    assert '<a href="/account" aria-current="page">' in menu_of(panel, "/account")
