# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is looked at before any page: where a write comes from, and what no keyboard types."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

HTTPS = "https://localhost:5005"


def token(client: FlaskClient) -> str:
    page = client.get("/activate", base_url=HTTPS).text
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    assert found is not None
    return found[1]


def start(client: FlaskClient, **headers: str) -> int:
    """Press Start with a link that is none; 410 says that the form was taken."""
    given = {"csrf_token": token(client), "token": "x"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/activate/start", data=given, base_url=HTTPS, headers=named).status_code


@pytest.mark.req("T13")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
        {"Origin": HTTPS},
        {"Sec_Fetch_Site": "none"},
    ],
    ids=str,
)
def test_a_form_of_ours_is_taken_over_https_without_a_referrer(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    # Our own referrer policy lets the browser tell none.
    assert start(client, **headers) == 410


@pytest.mark.req("T13")
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": "https://other.localhost:5005"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "null"},
    ],
    ids=str,
)
def test_another_sites_page_posts_nothing_even_with_a_token(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    assert start(client, **headers) == 400


def test_no_token_no_write(client: FlaskClient) -> None:
    answer = client.post("/activate/start", data={"token": "x"}, base_url=HTTPS)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "cookie"),
    [
        ("/activate/driver/1?x=a%00b", ""),
        ("/users/a%00b", ""),
        ("/me/sign-in", '__Host-kw_station="a\\000b"'),
    ],
)
def test_a_nul_is_refused_wherever_it_stands(app: Flask, path: str, cookie: str) -> None:
    client = app.test_client(use_cookies=False)
    assert client.get(path, headers={"Cookie": cookie}).status_code == 400


def test_a_number_that_no_row_can_have_is_no_address(app: Flask) -> None:
    client = app.test_client()
    assert client.get(f"/activate/driver/{2**63}").status_code == 404
