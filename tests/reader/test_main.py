# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import builtins
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reader import __main__ as program
from reader.commands import card as card_command
from reader.commands import console, pcsc
from reader.identity import Identity
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import BADGE, Profile
from reader.software_reader import SoftwareReader
from tests.reader.fake_server import FakeServer

pytestmark = pytest.mark.enable_socket


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    level = logging.getLogger("reader").level
    yield
    logging.getLogger("reader").setLevel(level)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> SoftwareReader:
    """Instead of the PC/SC readers of this computer."""
    reader = SoftwareReader()
    monkeypatch.setattr(pcsc, "reader_named", lambda name: reader)
    monkeypatch.setattr(card_command, "TAP_SECONDS", 0.2)
    return reader


def typed(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    asked: list[str] = []
    left = list(answers)

    def getpass(prompt: str) -> str:
        asked.append(prompt)
        return left.pop(0)

    monkeypatch.setattr(card_command, "getpass", getpass)
    return asked


# Pairing


def test_pairing_shows_host_and_organisation(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    arguments = ["pair", "--server", server.url, "--code", "1234-5678", "--state", str(state)]
    assert program.main([*arguments, "--name", "Desk NFC"]) == 0
    said = capsys.readouterr().out
    assert server.url.removeprefix("http://") in said
    assert "Example Works" in said
    assert Identity.load(state).name == "Desk NFC"
    assert stat.S_IMODE((state / "identity.json").stat().st_mode) == 0o600
    assert program.main(arguments) == console.SERVER
    assert capsys.readouterr().err == "keywright-reader: This code is wrong or used up\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["pair", "--server", "http://example.com", "--code", "12345678"], 2, "use https"),
        (["pair", "--server", "http://localhost:9", "--code", "12345678"], 4, "nothing listens"),
        (["pair", "--server", "http://localhost:9", "--code", "1"], 4, "eight digits"),
        (["run"], 3, "not paired yet"),
    ],
)
def test_errors_are_one_line_and_a_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    assert program.main([*arguments, "--state", str(tmp_path)]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_without_pyscard_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("smartcard"):
            raise ImportError(name)
        return real(name, *rest, **more)

    for name in [one for one in sys.modules if one.startswith("reader.transport")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", missing)
    assert program.main(["info"]) == console.MISSING
    error = capsys.readouterr().err
    assert "pip install" in error
    assert error.count("\n") == 1


def test_the_program_without_a_reader_library_imports_none() -> None:
    """The station and the simulator run where pyscard cannot be installed."""
    code = (
        "import sys; sys.modules['smartcard'] = None; "
        "import reader.__main__, reader.station, reader.software_reader; "
        "assert 'fido2.pcsc' not in sys.modules; "
        "bad = [name for name in sys.modules if name.split('.')[0] in "
        "('flask', 'click', 'peewee', 'webauthn', 'provisioning', 'enrollment', 'scim')]; "
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# The card on the reader


def test_a_pin_is_changed_without_a_server(
    reader: SoftwareReader, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = SoftwareCard(Profile(pin="482915"))
    card.memory.force_pin_change = True
    reader.insert(card)
    typed(monkeypatch, "482915", "my new pin", "my new pin")
    assert program.main(["change-pin"]) == 0
    assert not card.memory.force_pin_change
    said = capsys.readouterr().out
    assert "8 tries left" in said
    assert "my new pin" not in said


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (["000000", "my new pin", "my new pin"], "The PIN is wrong."),
        (["482915", "482915"], "not the present PIN"),
        (["482915", "12"], "at least 4 characters"),
        (["482915", "my new pin", "my other pin"], "the two differ"),
    ],
)
def test_a_change_that_fails_says_why(
    reader: SoftwareReader,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: list[str],
    said: str,
) -> None:
    card = SoftwareCard(Profile(pin="482915"))
    reader.insert(card)
    typed(monkeypatch, *answers)
    assert program.main(["change-pin"]) == console.FAULT
    assert said in capsys.readouterr().err
    assert card.memory.pin_retries >= 7


def test_no_card_and_no_pin_are_said(
    reader: SoftwareReader, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["change-pin"]) == console.FAULT
    assert "No card was tapped" in capsys.readouterr().err
    reader.insert(SoftwareCard())
    assert program.main(["change-pin"]) == console.FAULT
    assert "no PIN yet" in capsys.readouterr().err


def test_control_c_leaves_no_traceback(
    reader: SoftwareReader, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    reader.insert(SoftwareCard(Profile(pin="482915")))
    monkeypatch.setattr(card_command, "getpass", interrupted)
    assert program.main(["change-pin"]) == console.INTERRUPTED
    assert capsys.readouterr().err == "keywright-reader: interrupted\n"
    assert reader.card is not None
    assert not reader.card.powered


def test_info_tells_what_lies_there(
    reader: SoftwareReader, capsys: pytest.CaptureFixture[str]
) -> None:
    card = SoftwareCard(Profile(pin="482915"))
    reader.insert(card)
    assert program.main(["info", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["uid"], told["client_pin"], told["pin_retries"]) == (card.uid.hex(), True, 8)
    reader.insert(SoftwareCard(BADGE))
    assert program.main(["info"]) == console.FAULT
    assert "not_fido" in capsys.readouterr().out


# Running


def test_a_station_without_a_window_says_so(
    reader: SoftwareReader,
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.identity().save(tmp_path)
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
    assert program.main(["run", "--state", str(tmp_path)]) == console.USAGE
    assert "--headless" in capsys.readouterr().err
    sys.stdin.close()


STATION = """
import sys
from reader import __main__ as program
from reader.commands import pcsc
from reader.simulator.card import SoftwareCard
from reader.software_reader import SoftwareReader
reader = SoftwareReader()
pcsc.reader_named = lambda name: reader
reader.insert(SoftwareCard())
sys.exit(program.main(sys.argv[1:]))
"""


def test_another_program_can_be_the_desk(server: FakeServer, tmp_path: Path) -> None:
    """A station process, driven by JSON lines, with an own PIN; SIGTERM ends it well."""
    from tests.reader.fake_server import FakeJob

    server.identity().save(tmp_path)
    command = [sys.executable, "-c", STATION, "run", "--desk-json", "--state", str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        job = server.send(FakeJob("enrol", own_pin=True, tap_seconds=30))
        for line in process.stdout:
            said = json.loads(line)
            if said.get("prompt") == "new_pin":
                process.stdin.write(json.dumps({"pin": "602418 is mine"}) + "\n")
                process.stdin.flush()
            if said.get("state") == "done":
                break
        assert job.step == "done"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert (tmp_path / "tickets.json").exists()
    assert "602418" not in "".join(path.read_text() for path in tmp_path.iterdir())
