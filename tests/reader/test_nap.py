# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from reader.nap import Nap


@pytest.mark.parametrize(
    ("wall", "steady", "slept"),
    [
        (0.25, 0.25, False),
        (4.0, 0.3, False),
        (3600.0, 0.3, True),  # asleep for an hour, as Linux and macOS count it
        (-3600.0, 0.3, True),  # the clock was set: new connections do no harm
        (3600.0, 3600.0, True),  # as Windows counts it, or after a long job
    ],
)
def test_a_sleep_shows_in_the_clocks(wall: float, steady: float, slept: bool) -> None:
    now = {"wall": 1e9, "steady": 50.0}
    nap = Nap(lambda: now["wall"], lambda: now["steady"])
    assert not nap.over()
    now["wall"] += wall
    now["steady"] += steady
    assert nap.over() is slept
    assert not nap.over(), "one sleep is told once"
