# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from io import BytesIO
from pathlib import Path

from provisioning.desks import reader_wheel


def test_the_wheel_holds_the_reader_alone_and_is_the_same_each_time() -> None:
    names = zipfile.ZipFile(BytesIO(reader_wheel.wheel())).namelist()
    assert "reader/__main__.py" in names
    assert "reader/simulator/card.py" in names
    assert all(name.startswith(("reader/", "keywright_reader-")) for name in names)
    reader_wheel.wheel.cache_clear()
    assert reader_wheel.checksum() == reader_wheel.checksum()


def test_the_wheel_asks_for_what_the_reader_needs_and_no_flask() -> None:
    archive = zipfile.ZipFile(BytesIO(reader_wheel.wheel()))
    about = archive.read(f"keywright_reader-{reader_wheel.version()}.dist-info/METADATA").decode()
    needs = [line for line in about.splitlines() if line.startswith("Requires-Dist: ")]
    assert {re.split(r"[^a-z0-9]", line.split()[1])[0] for line in needs} == {
        "cryptography",
        "fido2",
        "pyjwt",
        "pyscard",
    }


def test_pip_installs_the_wheel_and_its_program_starts(tmp_path: Path) -> None:
    path = tmp_path / reader_wheel.file_name()
    path.write_bytes(reader_wheel.wheel())
    venv.create(tmp_path / "desk", with_pip=True, system_site_packages=True)
    python = tmp_path / "desk" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", path], check=True
    )
    shown = subprocess.run(
        [tmp_path / "desk" / "bin" / "keywright-reader", "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path[1:])},
    )
    assert "pair" in shown.stdout
