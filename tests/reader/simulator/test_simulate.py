# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright-reader simulate`, the tool; tests/device lays its card on a real pcscd."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from reader import __main__ as program
from reader.commands import console
from reader.simulator.card import SoftwareCard
from reader.simulator.options import MODELS
from reader.simulator.profile import Faults
from reader.simulator.self_check import self_check
from reader.simulator.store import save

pytestmark = pytest.mark.enable_socket


@pytest.mark.parametrize("model", ["ctap-2.1", "ctap-2.0", "javacard"])
def test_a_card_of_each_model_lives_its_life_in_process(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["simulate", "--in-process", "--model", model]) == console.OK
    said = capsys.readouterr().out
    assert said.count("ok  ") == 10
    assert ("this card cannot" in said) is (model == "ctap-2.0")


@pytest.mark.parametrize(
    ("options", "step", "said"),
    [
        (["--model", "badge"], "select", "no FIDO2 application"),
        (["--model", "u2f-only"], "select", "only knows U2F"),
        (["--fault", "storage_full"], "makeCredential", "no room"),
        (["--fault", "bad_signature"], "makeCredential", "InvalidSignature"),
        (["--fault", "die_at=1", "--fault", "die_command=0x07"], "reset", "taken away too early"),
        (["--fault", "garbage"], "select", "makes no sense"),
        (["--fault", "mute"], "tap", "does not answer"),
        (["--set", "pin=482915"], "setPIN", "has a PIN already"),
    ],
)
def test_what_goes_wrong_shows_at_its_step(
    options: list[str], step: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["simulate", "--in-process", *options]) == console.FAULT
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"FAIL {step}")
    assert said in last


def test_a_slow_card_shows_in_the_times() -> None:
    card = SoftwareCard(faults=Faults(delay=0.02))
    assert all(done.ms > 20 for done in self_check(card))


def test_help_names_every_model_setting_and_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["simulate", "--help"])
    said = capsys.readouterr().out
    for word in (*MODELS, "resident_credentials=25", "die_executed=false", "storage_full=false"):
        assert word in said


def test_the_root_of_its_attestations_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["simulate", "--print-root"]) == console.OK
    assert x509.load_pem_x509_certificate(capsys.readouterr().out.encode())


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, ""),
        (["--vpcd", "nowhere"], 2, "HOST:PORT"),
        (["--vpcd", "127.0.0.1:0"], 2, "HOST:PORT"),
        (["--vpcd", "127.0.0.1:9"], 5, "start pcscd with vpcd"),
        (["--in-process", "--fault", "sleepy"], 2, "there is no 'sleepy'"),
        (["--in-process", "--set", "pin"], 2, "needs a value"),
    ],
)
def test_wrong_usage_is_one_line(
    options: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        ended = program.main(["simulate", *options])
    except SystemExit as exited:  # argparse's own
        ended = exited.code  # type: ignore[assignment]
    assert ended == code
    assert said in capsys.readouterr().err


def test_a_kept_card_has_its_settings_already(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "card.json"
    save(SoftwareCard(), path)
    arguments = ["simulate", "--in-process", "--card", str(path)]
    assert program.main([*arguments, "--set", "pin=1234"]) == console.USAGE
    assert "for a new card" in capsys.readouterr().err
    path.write_text("{}")
    assert program.main(arguments) == console.USAGE
    assert "not a software card" in capsys.readouterr().err
