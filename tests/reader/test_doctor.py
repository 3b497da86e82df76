# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the doctor finds, and that each fault has its mend; tests/device asks a real pcscd."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from reader import __main__ as program
from reader.card_reader import ReaderState
from reader.commands import console, pcsc
from reader.doctor import Finding, computer, examine
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import BADGE, CTAP_2_0, JAVACARD, U2F_ONLY, Faults, Profile
from reader.software_reader import SoftwareReader
from tests.reader.fake_server import FakeServer

pytestmark = pytest.mark.enable_socket


def findings(reader: SoftwareReader | None, folder: Path) -> dict[str, Finding]:
    return {one.name: one for one in examine(reader, folder)}


def with_card(card: SoftwareCard) -> SoftwareReader:
    reader = SoftwareReader()
    reader.insert(card)
    return reader


def test_it_looks_from_the_bottom_up(tmp_path: Path, server: FakeServer) -> None:
    server.identity().save(tmp_path)
    assert findings(None, tmp_path)["library"].ok is False
    assert findings(SoftwareReader(), tmp_path)["card"].ok is None
    told = findings(with_card(SoftwareCard(Profile(pin="482915"))), tmp_path)
    well = [
        *("library", "service", "permission", "reader", "polling", "latency", "extended"),
        *("chaining", "card", "fido2", "model", "pin", "options", "forced_change", "room"),
        *("pairing",),
    ]
    assert [name for name in well if told[name].ok is not True] == []
    assert list(told)[:2] == ["library", "service"]
    assert told["server"].ok is False  # this one has no /healthz
    assert "8 tries left" in told["pin"].text
    assert "room for 25" in told["room"].text
    assert "clientPin" in told["options"].text


@pytest.mark.parametrize(
    ("card", "ill", "mend"),
    [
        (SoftwareCard(BADGE), "fido2", "use a FIDO2 card"),
        (SoftwareCard(U2F_ONLY), "fido2", "use a FIDO2 card"),
        (SoftwareCard(faults=Faults(garbage=True)), "fido2", "lay it on again"),
        (SoftwareCard(faults=Faults(mute=True)), "card", "lay it flat"),
        (SoftwareCard(Profile(resident_credentials=0)), "room", "reset it"),
    ],
    ids=["badge", "u2f", "garbage", "mute", "full"],
)
def test_each_ill_has_its_mend(tmp_path: Path, card: SoftwareCard, ill: str, mend: str) -> None:
    bad = [one for one in examine(with_card(card), tmp_path) if one.ok is False]
    assert [one.name for one in bad] == [ill, "pairing"]
    assert mend in bad[0].mend
    assert all(one.mend for one in bad)


def test_a_locked_and_an_unchanged_pin_are_found(tmp_path: Path) -> None:
    card = SoftwareCard(Profile(pin="482915"))
    card.memory.force_pin_change = True
    found = findings(with_card(card), tmp_path)["pin"]
    assert (found.ok, found.mend) == (False, "keywright-reader change-pin")
    card.memory.force_pin_change, card.memory.pin_retries = False, 0
    found = findings(with_card(card), tmp_path)["pin"]
    assert found.ok is False
    assert "wipes" in found.mend


def test_a_card_that_cannot_force_a_change_is_no_fault(tmp_path: Path) -> None:
    found = findings(with_card(SoftwareCard(CTAP_2_0)), tmp_path)["forced_change"]
    assert found.ok is None
    assert "policy" in found.mend


@pytest.mark.parametrize(
    "profile",
    [Profile(pin="482915"), Profile(), CTAP_2_0, JAVACARD, U2F_ONLY, BADGE],
    ids=["pin", "fresh", "2.0", "java", "u2f", "badge"],
)
def test_it_writes_nothing_to_a_card(tmp_path: Path, profile: Profile) -> None:
    card = SoftwareCard(profile)
    before = copy.deepcopy(card.memory)
    list(examine(with_card(card), tmp_path))
    assert card.memory == before
    assert not card.powered


def test_a_slow_reader_is_told(tmp_path: Path) -> None:
    found = findings(with_card(SoftwareCard(faults=Faults(delay=0.06))), tmp_path)
    assert found["latency"].ok is None
    assert "hub" in found["latency"].mend


# The computer below the readers


class NoReader(SoftwareReader):
    def state(self) -> ReaderState:
        return ReaderState.NO_READER


class NoService(SoftwareReader):
    def state(self) -> ReaderState:
        return ReaderState.NO_SERVICE


def below(root: Path, reader: SoftwareReader) -> dict[str, Finding]:
    return {one.name: one for one in computer.examine(reader, root)}


def test_drivers_that_are_missing_or_in_the_way_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert below(tmp_path, SoftwareReader())["driver"].ok is None
    assert "libccid" in below(tmp_path, NoReader())["driver"].mend
    (tmp_path / "usr/lib/pcsc/drivers/ifd-ccid.bundle").mkdir(parents=True)
    assert below(tmp_path, SoftwareReader())["driver"].ok is True
    usb = tmp_path / "sys/bus/usb/devices/1-2:1.0"
    usb.mkdir(parents=True)
    (usb / "bInterfaceClass").write_text("03\n")
    assert below(tmp_path, NoReader())["driver"].ok is True
    (usb / "bInterfaceClass").write_text("0b\n")
    found = below(tmp_path, NoReader())
    assert "on USB" in found["driver"].text
    assert found["reader"].ok is False
    (tmp_path / "sys/module/pn533_usb").mkdir(parents=True)
    assert "modprobe -r" in next(
        one.mend for one in computer.examine(NoReader(), tmp_path) if one.name == "driver"
    )


def test_a_service_that_is_away_is_not_one_that_is_shut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "none"))
    assert "systemctl enable --now pcscd.socket" in below(tmp_path, NoService())["service"].mend
    path = tmp_path / "pcscd.comm"
    path.touch()
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(path))
    monkeypatch.setattr("os.access", lambda *_: False)
    found = below(tmp_path, NoService())
    assert list(found) == ["library", "permission"]
    assert f"chmod 666 {path}" in found["permission"].mend


# The command


def test_it_speaks_json_and_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc, "reader_named", lambda name: with_card(SoftwareCard()))
    assert program.main(["doctor", "--json", "--state", str(tmp_path)]) == console.FAULT
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert {"name", "ok", "text", "mend", "reader"} == set(told["findings"][0])
    assert program.main(["doctor", "--state", str(tmp_path)]) == console.FAULT
    said = capsys.readouterr().out
    assert "Software reader:\n  ok   Reader" in said
    assert "→ ask for a pairing code" in said


def test_a_desk_that_is_well_ends_with_zero(
    server: FakeServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.identity().save(tmp_path)
    monkeypatch.setattr(pcsc, "reader_named", lambda name: with_card(SoftwareCard()))
    monkeypatch.setattr(
        "reader.doctor.pairing._server", lambda identity: iter([Finding("server", True, "Well.")])
    )
    assert program.main(["doctor", "--state", str(tmp_path)]) == console.OK
    assert "FAIL" not in capsys.readouterr().out
