# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The doctor's words at a real pcscd: each thing that can be wrong, and its mend."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reader.card_reader import ReaderState
from reader.simulator import SoftwareCard
from reader.simulator.profile import BADGE, U2F_ONLY, Profile
from reader.simulator.vpcd import VpcdCard
from reader.transport import PcscReader
from tests.device.bench import wait_until
from tests.fakes.pcscd import VirtualReaders

pytestmark = [pytest.mark.device, pytest.mark.enable_socket]

ROOT = Path(__file__).parents[2]
# Root may talk to every socket; what a user meets takes a user, who may not read root's Python.
AS_NOBODY = """
import os, sys
import reader.__main__, reader.transport
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(reader.__main__.main())
"""


def doctor(
    capsys: pytest.CaptureFixture[str],
    *options: str,
    environment: dict[str, str] | None = None,
    program: tuple[str, ...] = ("-m", "reader"),
) -> tuple[int, str]:
    """What a person reads, and the exit code; printed, to be read here too."""
    ended = subprocess.run(
        [sys.executable, *program, "doctor", "--state", "/nonexistent", *options],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=environment,
    )
    assert ended.stderr == ""
    with capsys.disabled():
        print(f"\n{ended.stdout}")
    return ended.returncode, ended.stdout


def lines(said: str, mark: str) -> list[str]:
    return [line for line in said.splitlines() if line.strip().startswith(mark)]


def test_no_service(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "PCSCLITE_CSOCK_NAME": "/nonexistent"}
    code, said = doctor(capsys, environment=environment)
    assert code == 1
    assert "FAIL The smart card service (PC/SC) is not running" in said
    assert "→ install and start it: apt-get install pcscd" in said


@pytest.fixture
def shut_socket() -> Iterator[Path]:
    """A service's socket that its owner alone may use."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        os.chmod(folder, 0o755)
        path = Path(folder) / "pcscd.comm"
        server.bind(str(path))
        server.listen()
        path.chmod(0o600)
        yield path


def test_no_permission(capsys: pytest.CaptureFixture[str], shut_socket: Path) -> None:
    environment = {**os.environ, "PCSCLITE_CSOCK_NAME": str(shut_socket)}
    if os.geteuid() == 0:
        code, said = doctor(capsys, environment=environment, program=("-c", AS_NOBODY))
    else:
        shut_socket.chmod(0)
        code, said = doctor(capsys, environment=environment)
    assert code == 1
    assert "this user may not talk to it" in said
    assert f"chmod 666 {shut_socket}" in said
    assert "not running" not in said


def test_no_reader(capsys: pytest.CaptureFixture[str], virtual_readers: VirtualReaders) -> None:
    code, said = doctor(capsys, "--reader", "no such reader")
    assert code == 1
    assert "FAIL No card reader is connected." in said
    assert "→ plug it in" in said


def test_an_empty_reader_of_two(
    capsys: pytest.CaptureFixture[str], virtual_readers: VirtualReaders
) -> None:
    _, said = doctor(capsys)
    for name in virtual_readers.names:
        assert f"{name}:\n  ok   Reader: {name}." in said
    assert said.count("?    No card lies on the reader.") == 2
    assert said.count("→ lay one on it for more") == 2
    assert "Looking whether a card lies there takes" in said


@pytest.mark.parametrize(
    ("profile", "fails", "says"),
    [
        (BADGE, "This card has no FIDO2 application", "an identifier and no key"),
        (U2F_ONLY, "only knows U2F", "use a FIDO2 card"),
        (Profile(), None, "It has no PIN yet: ready to be assigned."),
        (Profile(pin="482915"), None, "It has a PIN of 4 characters or more; 8 tries left."),
        (Profile(pin="482915", max_pin_retries=0), "The PIN is blocked", "reset it from the panel"),
    ],
    ids=["badge", "u2f", "no-pin", "pin", "locked"],
)
def test_a_card(
    capsys: pytest.CaptureFixture[str],
    virtual_readers: VirtualReaders,
    profile: Profile,
    fails: str | None,
    says: str,
) -> None:
    card = SoftwareCard(profile)
    if not profile.max_pin_retries:
        card.memory.pin_retries = 0
    reader = PcscReader(virtual_readers.names[0])
    with VpcdCard(card, port=virtual_readers.ports[0]):
        wait_until(lambda: reader.state() is ReaderState.CARD)  # pcscd looks every 400 ms
        _, said = doctor(capsys, "--reader", reader.name)
    failed = [line for line in lines(said, "FAIL") if "not paired" not in line]
    assert says in said
    assert "A short command takes" in said
    if fails is None:
        assert failed == []
        assert "Extended APDUs pass." in said
        assert "Chained commands pass." in said
        assert "It can be told to demand another PIN." in said
        assert "room for 25 more keys" in said
    else:
        (only,) = failed
        assert fails in only
