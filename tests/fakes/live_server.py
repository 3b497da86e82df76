# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The app on a real port in this process, which leaves no thread behind when it stops."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from flask import Flask
from werkzeug.serving import make_server

from provisioning.processes import watch

_PLACES = 8


class LiveServer:
    """Serves an app while the block lasts; may be stopped and started again."""

    def __init__(self, app: Flask, port: int) -> None:
        self._app, self._port = app, port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _place: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._watch = self._app.extensions[watch.EXTENSION] = watch.Watch(_PLACES)
        self._server = make_server("localhost", self._port, self._app, threaded=True)
        self._server.daemon_threads = False  # so that closing waits for them
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Answer what is asked, send waiting stations away, and free the port."""
        self._watch.let_go()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for thread in threading.enumerate():
            if thread.name == "watch":
                thread.join(5)
