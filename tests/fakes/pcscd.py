# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A real pcscd of our own, with one virtual reader of two slots.

It gets a private /run in a mount namespace, so that it neither disturbs nor needs the
machine's own pcscd, and ports of its own, so that several test sessions live side by side.
Its socket is reached from outside through /proc/PID/root; a link with a steady name leads
there, because libpcsclite reads PCSCLITE_CSOCK_NAME once per process.

vpcd listens on all interfaces; whoever minds runs the tests in a network namespace.

Whether a card lies there pcscd asks every 400 ms, a time compiled into it. In haste it asks every
25 ms: a library of a few lines, preloaded, shortens just that sleep and leaves all else as it is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
READER_NAME = "Desk NFC"
START_SECONDS = 10.0

PACKAGES = (
    "The device tests need pcscd, the vpcd virtual reader and pyscard: "
    "apt-get install -y pcscd vsmartcard-vpcd libpcsclite-dev gcc && uv sync --extra reader"
)

SHARED_SOCKET = Path("/run/pcscd/pcscd.comm")
PRIVATE_SOCKET = "/proc/{pid}/root" + str(SHARED_SOCKET)

# pcscd has its socket's folder compiled in. It must not outlive a test session that was killed.
PRIVATE_RUN = """
mount -t tmpfs tmpfs /run && mkdir /run/pcscd && exec setpriv --pdeathsig TERM "$0" "$@"
"""


HASTE = """
#include <errno.h>
#include <time.h>

int nanosleep(const struct timespec *asked, struct timespec *left)
{
    const struct timespec brief = {0, 25 * 1000 * 1000};
    if (asked->tv_sec == 0 && asked->tv_nsec == 400 * 1000 * 1000)
        asked = &brief;
    errno = clock_nanosleep(CLOCK_MONOTONIC, 0, asked, left);
    return errno ? -1 : 0;
}
"""


class PcscdUnavailable(RuntimeError):
    """The virtual readers cannot be had here; the text says what to install or allow."""


class VirtualReaders:
    """pcscd with two empty slots. Set `environment` before a process first uses pyscard.

    `names` are the readers as pyscard lists them, `ports` what VpcdCard connects to. With `haste`
    a card is seen to come and go within 25 ms.
    """

    def __init__(self, *, haste: bool = False) -> None:
        self._haste = haste
        self._folder = Path(tempfile.mkdtemp(prefix="pcscd-"))
        self._process: subprocess.Popen[bytes] | None = None
        first = _free_port_pair()
        self.ports = (first, first + 1)
        self.names = (f"{READER_NAME} 00 00", f"{READER_NAME} 00 01")
        self.socket = self._folder / "pcscd.comm"
        self.environment = {"PCSCLITE_CSOCK_NAME": str(self.socket)}
        self.log = self._folder / "pcscd.log"

    def __enter__(self) -> VirtualReaders:
        self.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop pcscd for good and leave no file behind."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start pcscd, also again after `stop`, with the same names, ports and socket.

        :raises PcscdUnavailable:
        """
        daemon = shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if daemon is None or not DRIVER.exists() or importlib.util.find_spec("smartcard") is None:
            raise PcscdUnavailable(PACKAGES)
        config = self._folder / "reader.conf.d"
        config.mkdir(exist_ok=True)
        (config / "vpcd").write_text(
            f'FRIENDLYNAME "{READER_NAME}"\nDEVICENAME /dev/null:{self.ports[0]:#06x}\n'
            f"LIBPATH {DRIVER}\nCHANNELID {self.ports[0]:#06x}\n"
        )
        command = [daemon, "-f", "-c", str(config)]
        if self._haste:
            command = ["env", f"LD_PRELOAD={self._hasty()}", *command]
        # Root needs no user namespace, others become root in one.
        flags = "-m" if os.geteuid() == 0 else "-rm"
        if self._launch(["unshare", flags, "sh", "-c", PRIVATE_RUN, *command], PRIVATE_SOCKET):
            return
        # A container may forbid namespaces; where no other pcscd runs, none is needed.
        if os.geteuid() == 0 and not SHARED_SOCKET.exists():
            SHARED_SOCKET.parent.mkdir(exist_ok=True)
            if self._launch(["setpriv", "--pdeathsig", "TERM", *command], str(SHARED_SOCKET)):
                return
        raise PcscdUnavailable(
            "pcscd started neither in a mount namespace of its own (in a container this takes "
            f"CAP_SYS_ADMIN) nor plainly: {self.log.read_text(errors='replace').strip()}"
        )

    def _hasty(self) -> Path:
        library = self._folder / "haste.so"
        if not library.exists():
            source = self._folder / "haste.c"
            source.write_text(HASTE)
            try:
                build = ["gcc", "-shared", "-fPIC", "-O", "-o", str(library), str(source)]
                subprocess.run(build, check=True, capture_output=True)
            except (FileNotFoundError, subprocess.CalledProcessError) as error:
                raise PcscdUnavailable(PACKAGES) from error
        return library

    def _launch(self, command: list[str], address: str) -> bool:
        with self.log.open("ab") as log:
            process = self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.socket.unlink(missing_ok=True)
        self.socket.symlink_to(address.format(pid=process.pid))
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self._ready():
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def stop(self) -> None:
        """End pcscd, as a stopped service would: clients see 0x8010001D."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End pcscd at once, also in the middle of an APDU."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ready(self) -> bool:
        # A connection to the slots would count as a card, so their ports are only asked for.
        if any(_is_free(port) for port in self.ports):
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.socket))
            return True
        return False


def _free_port_pair() -> int:
    # Below the range from which the kernel gives ports to outgoing connections.
    for _ in range(100):
        first = random.randrange(20_000, 32_000, 2)
        if _is_free(first) and _is_free(first + 1):
            return first
    raise PcscdUnavailable("No two neighbouring TCP ports are free.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
