# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What may be done with a key: the urgent in sight, the rest in a menu that needs no script."""

from __future__ import annotations

import html
import re

from provisioning import keys
from provisioning.audit import CLI
from provisioning.clock import now_ms
from provisioning.storage.db import transaction
from tests.fakes.panel import Panel
from tests.fakes.people import active_key, pending_key, person


def words(page: str) -> str:
    """A page's words as they are read."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


MENU = re.compile(r'<span class="menu-more".*?</div>\s*</span>', re.DOTALL)


def test_what_an_emergency_needs_is_in_sight_and_the_rest_in_the_menu(panel: Panel) -> None:
    key = active_key(person())
    page = panel.get(f"/users/{key.user.resource_id}").text
    menu = MENU.search(page)
    assert menu is not None
    for verb in ("suspend", "lost", "revoke"):
        url = f'action="/keys/{key.resource_id}/{verb}"'
        assert url in page
        assert url not in menu[0]
    assert "Replace" in words(MENU.sub("", page))
    for label in ("Change PIN", "Force PIN change", "Reset card", "Return card", "Rename"):
        assert label in words(menu[0])
    assert "More for “Card of Ada”" in words(menu[0])
    # a popover: Escape and a click elsewhere close it, without a script of ours
    opens = re.search(r'popovertarget="([^"]+-more)"', menu[0])
    assert opens is not None
    assert re.search(rf'id="{opens[1]}" popover>', menu[0])


def test_a_reset_that_is_due_is_in_sight(panel: Panel) -> None:
    key = pending_key(person())
    with transaction():
        keys.need_reset(key, CLI, "the tap was cancelled")
    page = panel.get(f"/users/{key.user.resource_id}").text
    assert "Reset card" in words(MENU.sub("", page))


def test_a_key_that_was_used_is_not_said_to_be_unused(panel: Panel) -> None:
    key = active_key(person())
    page = f"/users/{key.user.resource_id}"
    assert "Not used yet." in panel.see(page)
    with transaction():
        key.last_used_at = now_ms()
        key.save()
    assert "Not used yet." not in panel.see(page)
