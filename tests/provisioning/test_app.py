# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The app behind a reverse proxy: whose requests the rate limits count."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from provisioning.app import create_app
from provisioning.services import Services


def behind(services: Services, proxies: int) -> Flask:
    settings = services.settings.model_copy(update={"proxies": proxies})
    app = create_app(replace(services, settings=settings))
    app.config["WTF_CSRF_ENABLED"] = False
    return app


def tries(app: Flask, forwarded: str, count: int) -> int:
    """So many tries of a client, as the proxy hands them on; the last one's status."""
    client, status = app.test_client(), 0
    for _ in range(count):
        headers = {"X-Forwarded-For": forwarded}
        status = client.post("/activate/ask", data={"token": "x"}, headers=headers).status_code
    return status


@pytest.mark.req("R30")
@pytest.mark.parametrize(("proxies", "other"), [(1, 200), (0, 429)])
def test_one_client_behind_a_proxy_does_not_use_up_everybodys_tries(
    services: Services, proxies: int, other: int
) -> None:
    app = behind(services, proxies)
    assert tries(app, "198.51.100.7", 11) == 429
    assert tries(app, "198.51.100.8", 1) == other


@pytest.mark.req("R30")
def test_nobody_tells_another_address_than_the_proxy_saw(services: Services) -> None:
    app = behind(services, 1)
    assert tries(app, "198.51.100.7", 11) == 429
    assert tries(app, "203.0.113.9, 198.51.100.7", 1) == 429
