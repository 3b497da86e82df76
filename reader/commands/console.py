# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What commands print, and the exit codes that they end with."""

from __future__ import annotations

import json
import sys

from reader.desk import printable

OK, FAULT, USAGE, NOT_PAIRED, SERVER, MISSING, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class Quit(Exception):
    """One line for the person, and the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def say(code: int, text: str) -> int:
    """Print one line on standard error and return the code."""
    print(f"keywright-reader: {printable(text, 400)}", file=sys.stderr)  # noqa: T201
    return code


def out(text: str = "") -> None:
    """Print one line for the person."""
    print(printable(text, 2_000), flush=True)  # noqa: T201


def out_json(value: object) -> None:
    """Print one JSON value for a program."""
    print(json.dumps(value), flush=True)  # noqa: T201
