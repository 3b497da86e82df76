# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""No page asks the database more often the more there is to show.

Which pages there are is found by following links, so that one which is new is counted, too.
"""

from __future__ import annotations

import pytest
from flask import Flask

from provisioning.services import Services
from tests.bench import crowd
from tests.fakes.panel import Panel
from tests.fakes.queries import counted
from tests.pages.crawl import crawl

MOST = 40  # statements of one page
SMALL, LARGE = (10, 5), (120, 60)  # people, groups

pytestmark = pytest.mark.sqlite  # the crowd is put in as SQLite takes it


def statements(app: Flask, panel: Panel) -> dict[str, int]:
    """How many statements each kind of page needs, at most of two examples."""
    most: dict[str, int] = {}
    for endpoint, path in crawl(app, panel.client, examples=2):
        with counted() as seen:
            assert panel.get(path).status_code == 200
        most[endpoint] = max(len(seen), most.get(endpoint, 0))
    return most


@pytest.fixture(scope="module")
def few() -> dict[str, int]:
    """What the small installation needs; filled by the first test."""
    return {}


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["few", "many"])
def test_every_page_asks_a_bounded_number_of_times(
    app: Flask, panel: Panel, services: Services, few: dict[str, int], size: tuple[int, int]
) -> None:
    crowd.move_in(*size)
    found = statements(app, panel)
    assert {"users.users", "users.user", "groups.group", "keys.keys"} <= set(found)
    assert {name: count for name, count in found.items() if count > MOST} == {}
    if size == SMALL:
        few.update(found)
        return
    # A page that shows 50 lines instead of 10 may look at what the lines hang on once or twice.
    grown = {name: (few[name], count) for name, count in found.items() if name in few}
    assert {name: two for name, two in grown.items() if two[1] > two[0] + 4} == {}
