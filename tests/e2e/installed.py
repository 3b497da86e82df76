# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The product as a customer gets it: a wheel, installed into an environment of its own.

What the wheel depends on is lent from the environment of the tests; the checkout is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """Where the wheel's programs are."""

    folder: Path

    def program(self, name: str) -> str:
        """A program of the environment: `keywright`, `keywright-reader`, `python`."""
        return str(self.folder / "bin" / name)

    @property
    def environment(self) -> dict[str, str]:
        """For child processes: nothing of the tests' own environment leads to the checkout."""
        ours = ("KEYWRIGHT_", "PYTHON", "VIRTUAL_ENV", "COV_")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def install(folder: Path) -> Installed:
    """Build the wheel and install it below `folder`. Takes about ten seconds."""
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (wheel,) = folder.glob("keywright-*.whl")
    made = Installed(folder / "venv")
    venv.create(made.folder, with_pip=True)
    _run(made.program("python"), "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    # A path in a .pth lends the packages that lie there, but obeys no .pth among them: the
    # tests' editable install of the checkout stays out.
    own, lent = (
        Path(sysconfig.get_path("purelib", vars={"base": str(base)}))
        for base in (made.folder, sys.prefix)
    )
    (own / "lent.pth").write_text(f"{lent}\n")
    where = _run(made.program("python"), "-c", "import provisioning.app as a; print(a.TEMPLATES)")
    assert Path(where.strip()).is_relative_to(own), f"the templates come from {where}"
    return made


def _run(*command: str | Path) -> str:
    done = subprocess.run(
        command,
        cwd=CHECKOUT if "hatchling" in command else "/",
        env=Installed(CHECKOUT).environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout
