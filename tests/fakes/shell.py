# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright` as somebody at a shell uses it, in this process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from provisioning.cli import main


def run(*words: object, typed: str = "") -> Result:
    """Run a command; what it meets must end it in an orderly way."""
    result = CliRunner().invoke(main, [str(word) for word in words], input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def made(folder: Path, base_url: str = "http://localhost:5005") -> Path:
    """Return a data folder that `init` has made."""
    result = run("init", "--data", folder, "--base-url", base_url)
    assert result.exit_code == 0, result.output
    return folder
