# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""An operator restarts the product while a desk waits for work."""

from __future__ import annotations

import time

import pytest

from tests.e2e.desk import Desk
from tests.e2e.product import Product

pytestmark = pytest.mark.e2e


def test_a_waiting_desk_delays_no_restart_and_is_back_by_itself(
    product: Product, desk: Desk
) -> None:
    time.sleep(1)  # it waits by now, for up to 25 seconds
    started = time.monotonic()
    product.stop()
    assert time.monotonic() - started < 15
    desk.sees("offline")
    product.start()
    desk.sees("ready")
