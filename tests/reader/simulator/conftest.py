# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture
def fast_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a busy card again at once instead of after 100 ms."""
    monkeypatch.setattr("reader.simulator.device.POLL_SECONDS", 0.0)
