# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A receiver of events: a real HTTP server that answers what a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """What came in, and what goes out: `answers` in turn, the last one for ever."""

    port: int = 0
    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(202, b"")])
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def bodies(self) -> list[str]:
        return [body.decode() for _, body in self.got]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that hangs up is part of the tests.

        Saying so would parse source text in this thread, which CPython 3.11 cannot do in two
        threads at once: the test that parses the modules at that moment would fail.
        """


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listen on a free port of this machine."""
    mine, ended = Receiver(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            mine.got.append((dict(self.headers), body))
            ended.wait(mine.delay)
            status, answer = mine.answers.pop(0) if len(mine.answers) > 1 else mine.answers[0]
            self.send_response(status)
            for name, value in mine.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = _Quiet(("127.0.0.1", 0), Handler)
    mine.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield mine
    finally:
        ended.set()
        server.shutdown()
        server.server_close()  # waits for who is still answering: a test takes its threads with it
        thread.join()
