# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What runs beside each other: the product as installed, the yardstick, and a peer."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provisioning.processes import supervisor
from provisioning.settings import PREFIX, Settings
from tests.bench.client import listening

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "bench"
PEERS = Path(__file__).with_name("peers.txt")
_PATIENCE = 60.0


class CannotStart(Exception):
    """A server did not come up; the text is the end of what it said."""


@dataclass
class Running:
    """A server that listens: its port, its first process, and how long it took to listen."""

    port: int
    pid: int
    seconds: float


@contextmanager
def product(data: Path, port: int, *, moved: bool = False) -> Iterator[Running]:
    """Run `keywright serve` on a data folder that is set up: two web processes and the worker.

    If it is `moved`, at another port than the one that was set up.
    """
    command = [sys.executable, "-m", "provisioning.cli", "serve", "--data", str(data)]
    env = {f"{PREFIX}BASE_URL": f"http://localhost:{port}"} if moved else {}
    with _running(command, port, env, data / f"serve-{port}.log") as running:
        yield running


@contextmanager
def hello(settings: Settings) -> Iterator[Running]:
    """Run the yardstick under the web server that the product has, with the same settings."""
    port = free_port()
    beside = settings.model_copy(update={"port": port})
    command = [*supervisor.web(beside).command[:-1], "tests.bench.hello:make_app"]
    with _running(command, port, {}, CACHE / "hello.log") as running:
        yield running


@contextmanager
def peer(token: str) -> Iterator[Running]:
    """Run scim2-server by its own command, as its users do. Raises CannotStart.

    One process, whose memory is the store; a connection and a thread for each request.
    """
    port = free_port()
    command = [str(_peers_python().with_name("scim2-server"))]
    command += ["--port", str(port), "--bearer-token", token]
    with _running(command, port, {}, CACHE / "peer.log") as running:
        yield running


def free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _peers_python() -> Path:
    """Return the interpreter that has the peers, pinned; its environment is made once and kept."""
    pins = PEERS.read_text(encoding="utf-8")
    folder = CACHE / f"peers-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not python.exists():
        uv = os.environ.get("UV") or shutil.which("uv")
        if uv is None:
            raise CannotStart("no uv: run `make bench`")
        for arguments in (
            ["venv", "--quiet", "--python", sys.executable, str(folder)],
            ["pip", "install", "--quiet", "--python", str(python), "--requirement", str(PEERS)],
        ):
            done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                shutil.rmtree(folder, ignore_errors=True)
                raise CannotStart(done.stderr.strip()[-500:])
    return python


@contextmanager
def _running(command: list[str], port: int, env: Mapping[str, str], log: Path) -> Iterator[Running]:
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with log.open("wb") as lines:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            stdout=lines,
            stderr=lines,
            process_group=0,
        )
    try:
        while not listening(port):
            if process.poll() is not None or time.perf_counter() - begun > _PATIENCE:
                raise CannotStart(log.read_text(errors="replace").strip()[-500:])
            time.sleep(0.005)
        yield Running(port, process.pid, time.perf_counter() - begun)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
