# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A browser in a few lines: the Flask client over https, so that it keeps `__Host-` cookies."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

SAME_BROWSER: dict[str, Any] = {"base_url": "https://localhost:5005"}


class Browser:
    """One person's browser."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, **SAME_BROWSER, **more)

    def head(self, path: str) -> TestResponse:
        return self.client.head(path, **SAME_BROWSER)

    def post(self, path: str, form: dict[str, str] | None = None, **more: Any) -> TestResponse:
        return self.client.post(path, data=form, **SAME_BROWSER, **more)

    def send(self, path: str, body: object) -> TestResponse:
        """Post JSON, as the page's scripts do."""
        return self.client.post(path, json=body, **SAME_BROWSER)
