# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""granian, forking its processes from one that has imported the app.

So they import nothing anew as they start, and share the memory of what was imported.
Called as granian is; the app's address comes last.
"""

from __future__ import annotations

import gc
import importlib
import sys

from granian.cli import entrypoint


def main() -> None:
    """Import the app's module and serve it."""
    importlib.import_module(sys.argv[-1].partition(":")[0])
    gc.collect()
    gc.freeze()  # or the first collection in each process would write to, and so copy, every page
    entrypoint()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
