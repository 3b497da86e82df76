# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A PC/SC service with a virtual reader for the tour, where the machine has one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from reader.simulator.vpcd import VPCD_PORT

from .desk import Slot

_STARTS_WITHIN = 5.0


@contextmanager
def virtual_reader() -> Iterator[Slot | None]:
    """Yield a reader behind pcscd and vpcd, or None where there is no such thing.

    A pcscd that nobody runs is started for as long as it is needed.
    """
    if find_spec("smartcard") is None:  # pyscard comes with the extra `reader`
        yield None
        return
    service = _start_pcscd()
    try:
        yield _found()
    finally:
        if service is not None:
            service.terminate()
            service.wait()


def _found() -> Slot | None:
    from .virtual_reader import SLOT, VirtualReader  # needs pyscard

    reader = VirtualReader()
    end = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < end:
        if _answers() and reader.sees(SLOT):
            return reader
        time.sleep(0.2)
    return None


def _start_pcscd() -> subprocess.Popen[bytes] | None:
    program = shutil.which("pcscd", path="/usr/sbin:/usr/bin")
    if program is None or _answers():
        return None
    try:
        service = subprocess.Popen(  # noqa: S603 - the system's own service
            [program, "--foreground"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    end = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < end and service.poll() is None and not _answers():
        time.sleep(0.1)
    return service


def _answers() -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", VPCD_PORT)) == 0
