# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import multiprocessing
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


def test_no_process_makes_the_ids_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "now_ms", lambda: 1_795_000_000_000)
    ids.new_id()
    forked = multiprocessing.get_context("fork")
    told = forked.Queue()
    processes = [
        forked.Process(target=lambda: told.put([ids.new_id() for _ in range(150)]))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    made = [each for _ in processes for each in told.get(timeout=20)]
    for process in processes:
        process.join()
    made += [ids.new_id() for _ in range(150)]
    assert len(set(made)) == 450
