# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The yardstick: what the same server and framework give when there is nothing to do."""

from __future__ import annotations

from flask import Flask, Response, jsonify


def make_app() -> Flask:
    """Make an app of one route that answers a constant in JSON."""
    app = Flask(__name__)

    @app.get("/hello")
    def hello() -> Response:
        return jsonify(hello="world")

    return app
