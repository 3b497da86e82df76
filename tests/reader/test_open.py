# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a keywright:// link does at the desk: nothing before the person there has agreed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlencode

import pytest

from reader import __main__ as program
from reader.commands import console
from reader.identity import Identity
from reader.running import running
from tests.reader.fake_server import FakeServer

pytestmark = pytest.mark.enable_socket

STATION = """
import sys
from reader import __main__ as program
from reader.commands import pcsc
from reader.software_reader import SoftwareReader
reader = SoftwareReader()
pcsc.reader_named = lambda name: reader
sys.exit(program.main(sys.argv[1:]))
"""


def link_to(server: FakeServer) -> str:
    return f"keywright://pair?{urlencode({'server': server.url, 'code': '12345678'})}"


class Opened:
    """The program, opened by a link, with another program as its desk."""

    def __init__(self, link: str, state: Path) -> None:
        command = [sys.executable, "-c", STATION, "open", link, "--name", "Desk NFC"]
        self.process = subprocess.Popen(
            [*command, "--desk-json", "--state", str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._limit = threading.Timer(30, self.process.kill)
        self._limit.start()

    def until(self, word: str, value: str) -> dict[str, object]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told: dict[str, object] = json.loads(line)
            if told.get(word) == value:
                return told
        raise AssertionError(f"{word} {value} never came")

    def answer(self, **answer: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(answer) + "\n")
        self.process.stdin.flush()

    def ends(self) -> tuple[int, str]:
        _, error = self.process.communicate(timeout=15)
        self._limit.cancel()
        return self.process.returncode, error


def test_a_link_shows_the_host_and_pairs_after_a_yes(server: FakeServer, tmp_path: Path) -> None:
    opened = Opened(link_to(server), tmp_path)
    asked = opened.until("prompt", "confirm")
    assert server.url.removeprefix("http://") in str(asked["text"])
    assert not (tmp_path / "identity.json").exists()
    opened.answer(confirm=True)
    opened.until("state", "ready")
    assert Identity.load(tmp_path).name == "Desk NFC"
    opened.process.terminate()
    assert opened.ends() == (0, "")


def test_without_a_yes_nothing_is_paired(server: FakeServer, tmp_path: Path) -> None:
    opened = Opened(link_to(server), tmp_path)
    opened.until("prompt", "confirm")
    opened.answer(confirm=False)
    code, error = opened.ends()
    assert code == console.FAULT
    assert "nobody at the desk agreed" in error
    assert not (tmp_path / "identity.json").exists()
    assert server.station_keys == {}


def test_a_kiosk_is_not_paired_by_a_link(server: FakeServer, tmp_path: Path) -> None:
    arguments = ["open", link_to(server), "--headless", "--state", str(tmp_path)]
    assert program.main(arguments) == console.FAULT
    assert server.station_keys == {}


def test_who_has_a_pairing_reads_that_it_ends(server: FakeServer, tmp_path: Path) -> None:
    server.identity().save(tmp_path)
    opened = Opened(link_to(server), tmp_path)
    assert "Example Works" in str(opened.until("prompt", "confirm")["text"])
    opened.answer(cancel=True)
    assert opened.ends()[0] == console.FAULT
    assert Identity.load(tmp_path)


def test_a_running_station_is_not_paired_away(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path):
        arguments = ["open", link_to(server), "--headless", "--state", str(tmp_path)]
        assert program.main(arguments) == console.FAULT
        assert "runs already" in capsys.readouterr().err
        server.identity().save(tmp_path)
        assert program.main(["run", "--headless", "--state", str(tmp_path)]) == console.FAULT
        assert "runs already" in capsys.readouterr().err


@pytest.mark.parametrize("link", ["keywright://pair", "https://keys.example.org"])
def test_a_strange_link_is_wrong_usage(
    link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["open", link, "--state", str(tmp_path)]) == console.USAGE
    assert capsys.readouterr().err.count("\n") == 1
