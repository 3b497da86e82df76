# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A running installation: `keywright serve` with its web and worker processes, set up by the CLI.

It is in production mode: attestation is required, and the cards' maker is pinned as an operator
would pin it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.e2e.installed import Installed
from tests.e2e.models import CARD_MODEL, CARD_NAME, card_maker, chromium_maker
from tests.fakes.smtp import Sink

ORGANISATION = "Example Hospital"
UP_SECONDS = 30
STOP_SECONDS = 40


class Product:
    """`with Product(…) as product:` is set up and answers at `product.url`."""

    def __init__(
        self, installed: Installed, data: Path, mail: Sink, settings: dict[str, str]
    ) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.data = data
        self._installed = installed
        self._log = data.with_suffix(".log")
        roots = data.with_suffix(".roots")
        _pin_makers(roots)
        given = {
            "PORT": str(self.port),
            "MAIL_SERVER": mail.host,
            "MAIL_PORT": str(mail.port),
            "MAIL_TLS": "none",
            "MAIL_SENDER": "keys@hospital.example",
            "ATTESTATION_ROOTS": str(roots),
            **settings,
        }
        self._environment = {
            **installed.environment,
            **{f"KEYWRIGHT_{name}": value for name, value in given.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Product:
        self.command(
            "init", "--data", self.data, "--base-url", self.url, "--organisation", ORGANISATION
        )
        self.command("migrate", "--data", self.data)
        self.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self.stop()
        log = self._log.read_text()
        if failed:
            print(log)
        else:
            assert "Traceback" not in log, log

    def start(self) -> None:
        """Start `keywright serve` and wait until it answers."""
        command = [self._installed.program("keywright"), "serve", "--data", str(self.data)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd="/",
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # by which `kill` finds all of it
            )
        until = time.monotonic() + UP_SECONDS
        while not answers(f"{self.url}/healthz"):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as a service manager would; it must end by itself and cleanly."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert code == 0, self._log.read_text()

    def kill(self) -> None:
        """End all its processes at once with SIGKILL, as when the machine loses its power."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()  # before the others, or it would start one of them again
        while alive := _of_session(process.pid):
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait()

    def workers(self) -> list[int]:
        """The process ids of this installation's workers."""
        words = f"worker\0--data\0{self.data}\0", "worker\0"
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_text()
                environment = (folder / "environ").read_text()
                if command.endswith(words) and f"KEYWRIGHT_DATA={self.data}\0" in environment:
                    found.append(int(folder.name))
        return found

    def command(self, *words: str | Path) -> str:
        """Run a `keywright` command and return what it says; it must succeed."""
        done = subprocess.run(
            [self._installed.program("keywright"), *map(str, words)],
            cwd="/",
            env=self._environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"keywright {words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def never_logged(self, *secrets: str) -> None:
        """No process of the product has written any of these into its log."""
        log = self._log.read_text()
        for secret in secrets:
            assert not re.search(rf"\b{re.escape(secret)}\b", log)

    def owner_link(self) -> str:
        """The one-time link that makes an owner."""
        return self.command("owner-link", "--data", self.data)

    def token(self, directory: str) -> str:
        """A bearer token for a directory."""
        return self.command("token", "create", "--data", self.data, "--connection", directory)

    def pairing_code(self) -> str:
        """Eight digits that pair one station."""
        return self.command("station", "code", "--data", self.data)

    def verify_audit(self) -> str:
        """What `keywright audit verify` says; it fails when the chain is broken."""
        return self.command("audit", "verify", "--data", self.data)


def _pin_makers(roots: Path) -> None:
    roots.mkdir()
    (roots / "card-maker.pem").write_bytes(card_maker())
    (roots / "models.json").write_text(
        json.dumps({CARD_MODEL: {"name": CARD_NAME, "roots": ["card-maker.pem"]}})
    )
    model, pem = chromium_maker()
    (roots / f"{model}.pem").write_bytes(pem)


def _of_session(leader: int) -> list[int]:
    """The living processes of a session (proc_pid_stat(5): state, parent, group, session)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                found.append(int(folder.name))
    return found


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a server answers 200 there."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
