# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import uuid

import pytest

from provisioning import ids


def test_an_id_is_a_uuid_of_version_7() -> None:
    found = uuid.UUID(ids.new_id())
    assert found.version == 7
    assert found.variant == uuid.RFC_4122
    assert str(found) == str(found).lower()


def test_a_later_id_sorts_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for moment in (0, 1, 1_795_000_000_000, 1_795_000_000_001, 2**48 - 1):
        monkeypatch.setattr(ids, "now_ms", lambda moment=moment: moment)
        made.append(ids.new_id())
    assert made == sorted(made)


def test_ids_of_one_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "now_ms", lambda: 1_795_000_000_000)
    made = {ids.new_id() for _ in range(2_000)}
    assert len(made) == 2_000
    assert len({each[:13] for each in made}) == 1
