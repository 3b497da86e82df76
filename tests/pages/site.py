# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A running installation of this checkout, empty or full, and browsers that are signed in to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext

from enrollment import web
from provisioning.panel.access import SessionKind
from provisioning.storage.db import database
from tests.bench.loading import set_up
from tests.e2e.product import answers, free_port
from tests.pages import filling

UP_SECONDS = 40


class Site:
    """`with Site(folder, full=True) as site:` answers at `site.url`."""

    def __init__(self, folder: Path, *, full: bool, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self.full = full
        self.data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Site:
        self.services = set_up(self.data, self.port, organisation="Example Hospital")
        self.account, cookie = filling.owner()
        self.cookies = {SessionKind.PANEL: cookie}
        token = self.link = ""
        if self.full:
            token = filling.fill(self.services, self.account)
            self.link = filling.link_of(self.services)
            for kind in (SessionKind.USER, SessionKind.ACTIVATION):
                self.cookies[kind] = filling.session_of(kind)
        self._start()
        if token:
            filling.push(self.url, token)
        return self

    def __exit__(self, *_: object) -> None:
        database.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(40)

    def _start(self) -> None:
        command = [sys.executable, "-m", "provisioning.cli", "serve", "--data", str(self.data)]
        environment = {
            **os.environ,
            "KEYWRIGHT_WEB_PROCESSES": "1",
            "KEYWRIGHT_MAIL_PORT": "9",  # nobody reads mail here
            "KEYWRIGHT_PORT": str(self.port),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + UP_SECONDS
        while not answers(f"{self.url}/healthz"):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.05)

    def browser(
        self,
        browser: Browser,
        kind: SessionKind | None = SessionKind.PANEL,
        **options: Any,
    ) -> BrowserContext:
        """A browser of its own, signed in as asked (None: a stranger's)."""
        context = browser.new_context(base_url=self.url, reduced_motion="reduce", **options)
        context.set_default_timeout(20_000)
        if kind is not None:
            context.add_cookies(
                [
                    {
                        "name": web.COOKIE[kind],
                        "value": self.cookies[kind],
                        # By http Chromium would be given no `__Host-` cookie here.
                        "url": self.url.replace("http:", "https:"),
                        "secure": True,
                        "httpOnly": True,
                        "sameSite": "Strict",
                    }
                ]
            )
        return context
