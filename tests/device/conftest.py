# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A real pcscd with two virtual readers for the whole session.

What is missing fails these tests; nothing here skips.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from reader.simulator import SoftwareCard
from reader.simulator.vpcd import VpcdCard
from tests.fakes.pcscd import PcscdUnavailable, VirtualReaders


@pytest.fixture(scope="session")
def virtual_readers() -> Iterator[VirtualReaders]:
    """Two empty slots, and this process (and its children) bound to them."""
    readers = VirtualReaders()
    os.environ.update(readers.environment)
    try:
        readers.start()
    except PcscdUnavailable as missing:
        readers.close()
        pytest.fail(str(missing), pytrace=False)
    yield readers
    # pyscard's connections talk to pcscd once more when they are collected.
    gc.collect()
    readers.close()


@pytest.fixture
def vpcd_card(virtual_readers: VirtualReaders) -> Iterator[VpcdCard]:
    """A fresh software card on the first reader."""
    with VpcdCard(SoftwareCard(), port=virtual_readers.ports[0]) as card:
        yield card
