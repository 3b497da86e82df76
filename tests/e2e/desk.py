# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A desk: the real station process on a real pcscd, and the hands that lay a card on its reader."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reader.simulator import SoftwareCard
from reader.simulator.vpcd import VpcdCard
from tests.e2e.installed import Installed
from tests.fakes.pcscd import VirtualReaders

WAIT_SECONDS = 20

Shown = dict[str, Any]


class Desk:
    """`with Desk(…) as desk:` is paired and ready. What it shows comes as JSON lines.

    With `link` it is opened by a page's link instead, and agrees to be paired under `name`.
    """

    def __init__(
        self,
        installed: Installed,
        readers: VirtualReaders,
        folder: Path,
        *,
        link: str = "",
        name: str = "",
    ) -> None:
        self._opened = ["open", link, "--name", name] if link else ["run"]
        self._program = installed.program("keywright-reader")
        self._environment = {**installed.environment, **readers.environment}
        self._port = readers.ports[0]
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[Shown] = queue.Queue()
        self.shown: list[Shown] = []

    def pair(self, server: str, code: str, name: str) -> None:
        """Pair this desk with a server, as a person does once."""
        pair = ["pair", "--server", server, "--code", code, "--name", name]
        done = subprocess.run(
            [self._program, *pair, "--state", str(self._folder)],
            env=self._environment,
            cwd="/",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert name in done.stdout

    def __enter__(self) -> Desk:
        self.start()
        if "open" in self._opened:
            self.agrees()
        self.sees("ready")
        return self

    def start(self) -> None:
        """Start the program; `kill` may have ended it before."""
        with self._folder.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *self._opened, "--desk-json", "--state", str(self._folder)],
                env=self._environment,
                cwd="/",
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._listener = threading.Thread(target=self._listen, args=(self._process,))
        self._listener.start()

    def kill(self) -> None:
        """End the program with SIGKILL, and forget what it has shown and nobody has read."""
        process = self._process
        assert process is not None
        with process:
            process.kill()
        self._listener.join()
        self._lines = queue.Queue()

    def __exit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        with process:  # closes its pipes
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(15) == 0
            finally:
                process.kill()
                self._listener.join()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @contextmanager
    def tap(self, card: SoftwareCard) -> Iterator[Shown]:
        """Lay a card on the reader for the block, as soon as the desk asks; gives what it shows."""
        asked = self.sees("tap")
        with VpcdCard(card, port=self._port):
            yield asked

    def sees(self, state: str) -> Shown:
        """What the desk shows when it comes to this state; another fault on the way fails."""
        return self._next(lambda line: line.get("state") == state, state)

    def next(self, seconds: float) -> Shown | None:
        """The next thing that the desk shows or asks, or None if nothing comes in time."""
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return None

    def types(self, prompt: str, pin: str) -> Shown:
        """Type a PIN as soon as the desk asks: `pin` for the present one, `new_pin` for a new.

        Returns the question.
        """
        asked = self._next(lambda line: line.get("prompt") == prompt, prompt)
        self._send({"id": asked["id"], "pin": pin})
        return asked

    def agrees(self) -> None:
        """Say yes to the desk's question."""
        asked = self._next(lambda line: line.get("prompt") == "confirm", "a question")
        self._send({"id": asked["id"], "confirm": True})

    def _next(self, wanted: Any, what: str) -> Shown:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the desk never came to {what}: {self.shown}") from None
            if wanted(line):
                return line
            assert line.get("state") != "fault", f"{line['text']} (waiting for {what})"

    def _send(self, answer: dict[str, object]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(answer) + "\n")
        self._process.stdin.flush()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            self.shown.append(told)
            self._lines.put(told)


def listening_sockets(pid: int) -> list[str]:
    """The local addresses where a process listens for connections (Linux's /proc)."""
    mine = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            mine.add(str(link.readlink()))
        except FileNotFoundError:
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in mine:
                found.append(words[1])
    return found
