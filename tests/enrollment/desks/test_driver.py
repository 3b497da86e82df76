# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The reader driver's downloads: wheel, install scripts, checksums, and the page with them."""

from __future__ import annotations

import hashlib
import html
import re
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from provisioning.desks import reader_wheel
from provisioning.services import EXTENSION, Services
from tests.fakes.desk import Desk
from tests.fakes.panel import Panel

SCRIPTS = ("install.sh", "install-macos.sh", "install.ps1")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_carries_its_server_and_the_wheels_checksum(
    client: FlaskClient, services: Services, name: str
) -> None:
    text = client.get(f"/reader-driver/{name}").text
    assert re.search(r"SERVER ?=", text, re.IGNORECASE)
    for word in (services.settings.base_url, reader_wheel.file_name(), reader_wheel.checksum()):
        assert word in text
    assert "{{" not in text
    if name != "install.sh":
        assert "NOT TRIED" in text


@pytest.mark.parametrize("name", SCRIPTS[:2])
def test_a_shell_script_parses_as_posix_shell(
    client: FlaskClient, name: str, tmp_path: Path
) -> None:
    script = tmp_path / name
    script.write_bytes(client.get(f"/reader-driver/{name}").data)
    dash = shutil.which("dash") or "sh"
    subprocess.run([dash, "-n", script], check=True)
    said = subprocess.run([dash, script, "--help"], capture_output=True, text=True, check=True)
    assert "--uninstall" in said.stdout
    wrong = subprocess.run([dash, script, "--sudo"], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_a_hostile_base_url_stays_a_word(app: Flask, services: Services) -> None:
    """Whatever stands in the settings, a script takes it as text."""
    evil = "http://localhost:1/$(touch /tmp/x)'`id`"
    changed = services.settings.model_copy(update={"base_url": evil})
    app.extensions[EXTENSION] = Services(changed, services.vault)
    from enrollment.desks import driver

    with app.test_request_context("/"):
        line = next(one for one in driver.script("install.sh").splitlines() if "SERVER=" in one)
        said = subprocess.run(
            ["sh", "-c", f'{line}; printf %s "$SERVER"'], capture_output=True, text=True
        )
        assert said.stdout == evil
        line = next(one for one in driver.script("install.ps1").splitlines() if "$Server =" in one)
    assert line == "$Server = '" + evil.replace("'", "''") + "'"


def test_the_checksums_are_those_of_the_downloads(client: FlaskClient) -> None:
    sums = client.get("/reader-driver/SHA256SUMS").text.splitlines()
    assert len(sums) == 4
    for line in sums:
        checksum, name = line.split("  ")
        answer = client.get(f"/reader-driver/{name}")
        assert hashlib.sha256(answer.data).hexdigest() == checksum
        told = answer.headers["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":")
        assert b64decode(told).hex() == checksum
        assert name in answer.headers["Content-Disposition"]


def test_what_is_no_download_is_not_found(client: FlaskClient) -> None:
    for name in ("install", "keywright_reader-0.0.0-py3-none-any.whl", "..%2fdriver.py"):
        assert client.get(f"/reader-driver/{name}").status_code == 404


def test_the_page_puts_the_visitors_own_system_first(client: FlaskClient) -> None:
    for agent, first in (("(Windows NT 10.0)", "Windows"), ("(Macintosh; Mac OS X)", "macOS")):
        page = client.get("/reader-driver", headers={"User-Agent": f"Mozilla/5.0 {agent}"}).text
        assert re.search(rf'name="system" open>\s*<summary>.*?{first}</summary>', page, re.DOTALL)
    page = client.get("/reader-driver").text
    assert "Linux (Debian, Ubuntu)</summary>" in page
    assert reader_wheel.checksum() in page
    assert page.count("it was not tried there") == 2
    assert page.count("ninstall</code>") == 3


def test_with_a_code_one_line_installs_and_pairs_and_a_link_opens_what_is_installed(
    panel: Panel, services: Services
) -> None:
    assert "keywright://" not in panel.see("/stations/pair")
    page = html.unescape(panel.post("/stations/pair").text.replace("<wbr>", ""))
    found = re.search(r'class="big-code"[^>]*>(\d{4}) (\d{4})<', page)
    assert found
    code = found[1] + found[2]
    base = services.settings.base_url
    script = f"{base}/reader-driver/install.sh"
    assert f"curl -fsSo install.sh {script} && sh install.sh --code {code}" in page
    link = re.search(r'href="(keywright:[^"]*)"', page)
    assert link
    assert parse_qs(urlsplit(link[1]).query) == {"server": [base], "code": [code]}


def test_the_wizards_fold_out_pairs_without_leaving_the_page(
    panel: Panel, app: Flask, services: Services
) -> None:
    where = "/stations/pair/here?next=/wizard/7/security_key"
    assert "Show a code" in panel.get(where).text
    page = html.unescape(panel.post(where).text)
    assert "<html" not in page
    code = re.search(r"--code (\d{8})", page)
    poll = re.search(r'hx-get="(/stations/pair/\d+\?next=[^"]+)"', page)
    assert code
    assert poll
    assert panel.get(poll[1]).status_code == 204
    assert Desk(app.test_client(), services.settings.base_url).pair(code[1]).status_code == 201
    answer = panel.get(poll[1])
    assert 'href="/wizard/7/security_key"' in answer.text
    assert "kw_station=" in answer.headers["Set-Cookie"], "it is not the one offered first"


def test_the_fold_out_leads_nowhere_else(panel: Panel) -> None:
    page = panel.post("/stations/pair/here?next=https://example.com/").text
    assert 'action="/stations/pair"' in page
    assert not re.search(r'href="https://example\.com', page)


@pytest.mark.parametrize(
    ("function", "written"),
    [
        ("for_path", '/home/a b/$x"50%%'),
        ("for_unit", '/home/a b/$$x\\"50%%'),
        ("for_entry", '/home/a b/\\\\$x\\\\"50%%'),
    ],
)
def test_a_strange_home_folder_stays_one_path(
    client: FlaskClient, function: str, written: str
) -> None:
    """As systemd.syntax(7), systemd.service(5) and the Desktop Entry Specification quote it."""
    text = client.get("/reader-driver/install.sh").text
    line = next(one for one in text.splitlines() if one.startswith(f"{function}()"))
    said = subprocess.run(
        ["sh", "-c", f'{line}\n{function} "$1"', "sh", '/home/a b/$x"50%'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == written
