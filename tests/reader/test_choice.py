# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Which reader the desk uses, chosen in its window."""

from __future__ import annotations

from pathlib import Path

import pytest

from reader.card_reader import ReaderState
from reader.choice import ANY, FILE, ReaderChoice
from reader.software_reader import SoftwareReader
from reader.station import Station
from tests.reader.conftest import FakeDesk
from tests.reader.fake_server import FakeServer

FRONT, BACK = "ACS ACR122U 00 00", "HID Omnikey 5022 01 00"


class Several(SoftwareReader):
    """Readers of these names, of which `only` gives one."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def states(self) -> dict[str, ReaderState]:
        return dict.fromkeys(self.names, ReaderState.NO_CARD)

    def only(self, name: str) -> SoftwareReader:
        return SoftwareReader(name)


def test_nothing_chosen_is_any_reader(tmp_path: Path) -> None:
    every = Several(BACK, FRONT)
    choice = ReaderChoice(tmp_path)
    assert choice.among(every) is every
    assert choice.offered == (FRONT, BACK)
    assert (choice.name, choice.is_missing) == (ANY, False)


def test_a_choice_is_remembered_until_another_one(tmp_path: Path) -> None:
    ReaderChoice(tmp_path).choose(BACK)
    again = ReaderChoice(tmp_path)
    used = again.among(Several(FRONT, BACK))
    assert used.name == BACK
    assert again.among(Several(FRONT, BACK)) is used, "it keeps what it has seen"
    again.choose(ANY)
    every = Several(FRONT, BACK)
    assert ReaderChoice(tmp_path).among(every) is every
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_reader_in_another_socket_is_still_the_chosen_one(tmp_path: Path) -> None:
    choice = ReaderChoice(tmp_path)
    choice.choose(BACK)
    moved = "HID Omnikey 5022 02 00"
    assert choice.among(Several(FRONT, moved)).name == moved
    assert not choice.is_missing
    # Of two alike nobody knows which one was meant.
    choice.among(Several(moved, "HID Omnikey 5022 03 00"))
    assert choice.is_missing


def test_a_chosen_reader_that_is_gone_is_missing_and_no_other_is_used(tmp_path: Path) -> None:
    choice = ReaderChoice(tmp_path)
    choice.choose(BACK)
    assert choice.among(Several(FRONT)).name == BACK
    assert choice.is_missing


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": 7}', "\udcff"])
def test_a_damaged_choice_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="utf-8", errors="surrogateescape")
    assert ReaderChoice(tmp_path).name == ANY


@pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"])
def test_the_desk_is_told_that_its_reader_is_missing(tmp_path: Path) -> None:
    choice = ReaderChoice(tmp_path)
    choice.choose(BACK)
    desk = FakeDesk()
    with FakeServer() as server:
        station = Station(server.identity(), desk, Several(FRONT), choice)
        station._look()
    assert desk.states[-1].text == (
        f"The reader {BACK} is not connected: plug it in, or choose another."
    )
