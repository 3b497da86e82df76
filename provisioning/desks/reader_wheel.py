# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The reader driver as a download: a wheel of the `reader` package alone, made from what runs here.

So a desk always gets the version that fits its server, and needs no Flask and no access to a
package's own site. Read as files, never imported (the reader shares no code with the server).
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

NAME = "keywright-reader"
_NEEDS = ("cryptography", "fido2", "pyjwt", "pyscard")
_NO_TIME = (2026, 1, 1, 0, 0, 0)  # the same bytes each time, so that a checksum means something


def version() -> str:
    """Return this server's version, which is the driver's."""
    return metadata.version("keywright")


def file_name() -> str:
    """Return the wheel's file name (PEP 427)."""
    return f"keywright_reader-{version()}-py3-none-any.whl"


@lru_cache(maxsize=1)
def wheel() -> bytes:
    """Return the wheel. pip installs it with what it needs and puts `keywright-reader` in place."""
    info = f"keywright_reader-{version()}.dist-info"
    files = {f"reader/{path}": content for path, content in _sources()}
    files[f"{info}/METADATA"] = _metadata().encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: keywright\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{info}/entry_points.txt"] = (
        b"[console_scripts]\nkeywright-reader = reader.__main__:main\n"
    )
    record = "".join(f"{name},sha256={_hash(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _NO_TIME), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


@lru_cache(maxsize=1)
def checksum() -> str:
    """Return the wheel's SHA-256 in hex, for whoever wants to compare."""
    return hashlib.sha256(wheel()).hexdigest()


def _sources() -> list[tuple[str, bytes]]:
    found = util.find_spec("reader")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the reader package is not installed beside the server")
    root = Path(found.submodule_search_locations[0])
    return [
        (path.relative_to(root).as_posix(), path.read_bytes())
        for path in sorted(root.rglob("*.py"))
    ]


def _metadata() -> str:
    wanted = {
        re.split(r"[^\w.-]", line, maxsplit=1)[0].lower(): line.partition(";")[0].strip()
        for line in metadata.requires("keywright") or ()
    }
    needs = "".join(f"Requires-Dist: {wanted[name]}\n" for name in _NEEDS)
    return (
        f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version()}\n"
        "Summary: The program at the desk: activates security keys on a card reader\n"
        f"License: Apache-2.0\nRequires-Python: >=3.11\n{needs}"
    )


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
