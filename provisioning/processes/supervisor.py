# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The processes of `keywright serve`: web and worker, started together, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ..settings import PREFIX, Settings

# Before a web process is told to end it is told to let its waiting stations go, or it would be at
# it for as long as they wait. This signal, which Apache uses so too, does nothing to a process
# that does not know it: the server's own parent does not.
LET_GO = signal.SIGWINCH

_DRAIN = 30.0  # seconds that running requests and one mail may take after SIGTERM
_MARGIN = 5.0
_REMIND_EVERY = 2.0
_RESTART_AFTER = 2.0


@dataclass
class Child:
    """A process to keep: `vital` ones end everything when they end, others start again."""

    name: str
    command: list[str]
    vital: bool
    env: dict[str, str] = field(default_factory=dict)
    log: Path | None = None  # where its lines go; None: to this terminal
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in this terminal's session, but out of reach of its Ctrl-C: we pass that on."""
        with ExitStack() as stack:
            lines = stack.enter_context(self.log.open("ab")) if self.log else None
            self.process = subprocess.Popen(  # noqa: S603 - our own commands
                self.command,
                env={**os.environ, **self.env},
                process_group=0,
                stdout=lines,
                stderr=lines,
            )


def web(settings: Settings) -> Child:
    """Return the web server: granian, measured 1.4 times gunicorn's gthread, and it drains."""
    command = [
        sys.executable,
        "-m",
        "provisioning.processes.web",
        "--interface",
        "wsgi",
        "--factory",
        "--no-ws",
        "--http",
        "1",
        "--host",
        settings.host,
        "--port",
        str(settings.port),
        "--workers",
        str(settings.web_processes),
        "--blocking-threads",
        str(settings.web_threads),
        "--workers-kill-timeout",
        str(int(_DRAIN)),
        "--respawn-failed-workers",
        "--log-level",
        "error",
    ]
    if settings.tls_certificate and settings.tls_key:
        command += [
            "--ssl-certificate",
            str(settings.tls_certificate),
            "--ssl-keyfile",
            str(settings.tls_key),
        ]
    return Child("web", [*command, "provisioning.app:web_app"], True, _env(settings))


def worker(settings: Settings) -> Child:
    """Return the worker: it sends mail and does what is due."""
    return Child(
        "worker", [sys.executable, "-m", "provisioning.cli", "worker"], False, _env(settings)
    )


def run(children: list[Child], stop: threading.Event | None = None) -> int:
    """Start the children and keep them until SIGTERM, SIGINT, `stop`, or a vital one's end.

    Returns the exit code: 0 after a stop, else the vital child's.
    """
    stop = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)
    for child in children:
        child.start()
    code = _watch(children, stop)
    _end(children)
    return code


def _watch(children: list[Child], stop: threading.Event) -> int:
    ended: dict[str, float] = {}
    while not stop.wait(0.2):
        for child in children:
            if child.process is None or child.process.poll() is None:
                continue
            if child.vital:
                return child.process.returncode or 1
            since = ended.setdefault(child.name, time.monotonic())
            if time.monotonic() - since >= _RESTART_AFTER:
                del ended[child.name]
                child.start()
    return 0


def _end(children: list[Child]) -> None:
    running = [c.process for c in children if c.process is not None and c.process.poll() is None]
    for process in running:
        _tell_group(process, LET_GO)
        process.terminate()
    # granian kills its own at _DRAIN; it gets a moment more than they do.
    deadline = time.monotonic() + _DRAIN + _MARGIN
    for process in running:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                process.wait(_REMIND_EVERY)
            except subprocess.TimeoutExpired:
                # A worker that granian has just forked still has its parent's handler and lets
                # the first signal go by. All that the child has started is in its group.
                _tell_group(process, signal.SIGTERM)
        _tell_group(process, signal.SIGKILL)  # nothing outlives us, whoever its parent was
        process.wait()


def _tell_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _env(settings: Settings) -> dict[str, str]:
    return {PREFIX + "DATA": str(settings.data)}
