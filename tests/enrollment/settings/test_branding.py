# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import re

import pytest
from flask import Flask

from provisioning.models import Logo
from provisioning.panel.access import Role
from tests.enrollment.settings.test_settings import save
from tests.fakes.panel import Panel, text_of
from tests.provisioning.pages.test_pictures import GOOD_SVG, png


def upload(panel: Panel, content: bytes, name: str = "logo.png") -> str:
    answer = panel.post(
        "/settings/branding/logo",
        {"logo": (io.BytesIO(content), name)},
        content_type="multipart/form-data",
    )
    if answer.status_code == 303:
        answer = panel.get(answer.location)
    return text_of(answer)


def logo_on(page: str) -> str:
    found = re.search(r'class="logo" src="([^"]+)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize("content", [png(), GOOD_SVG])
def test_a_logo_shows_on_every_page_from_our_own_host(
    app: Flask, panel: Panel, content: bytes
) -> None:
    assert "The logo is changed." in upload(panel, content)
    address = logo_on(panel.get("/users").text)
    assert address.startswith("/branding/logo/")
    assert logo_on(app.test_client().get("/sign-in").text) == address
    shown = app.test_client().get(address)
    assert shown.data == content
    assert shown.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in shown.headers["Cache-Control"]


def test_another_logo_takes_its_place_and_ours_comes_back(panel: Panel) -> None:
    upload(panel, png())
    first = logo_on(panel.get("/users").text)
    upload(panel, GOOD_SVG)
    assert logo_on(panel.get("/users").text) != first
    assert panel.get(first).status_code == 404
    panel.post("/settings/branding/logo/remove")
    assert logo_on(panel.get("/users").text).endswith("/logo.svg")
    assert not Logo.select().exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Choose a file first."),
        (b"x" * (256 * 1024 + 1), "more than 256 KB"),
        (b"GIF89a", "Use a PNG or an SVG file."),
        (GOOD_SVG.replace(b"<path", b"<script/><path"), "does not draw: script"),
    ],
)
def test_a_bad_logo_is_refused_beside_the_field(panel: Panel, content: bytes, said: str) -> None:
    assert said in upload(panel, content)
    assert not Logo.select().exists()


def test_only_an_owner_changes_the_logo(app: Flask, panel: Panel) -> None:
    officer = Panel(app, Role.OFFICER, name="An officer")
    assert "Upload" not in officer.see("/settings/branding")
    assert officer.post("/settings/branding/logo").status_code == 403
    assert officer.post("/settings/branding/logo/remove").status_code == 403


def test_the_chosen_colour_is_a_stylesheet_of_our_own(app: Flask, panel: Panel) -> None:
    assert "/branding/accent" not in panel.get("/users").text
    save(panel, "/settings/branding", accent_colour="#0A5C36")
    found = re.search(r'href="(/branding/accent/[^"]+)"', panel.get("/users").text)
    assert found
    style = app.test_client().get(found[1])
    assert style.mimetype == "text/css"
    assert "--accent-fill: light-dark(#0a5c36, #0a5c36);" in style.text


@pytest.mark.parametrize("colour", ["ff0000", "x}body{", "%7D"])
def test_no_other_colour_can_be_asked_for(app: Flask, panel: Panel, colour: str) -> None:
    save(panel, "/settings/branding", accent_colour="#0a5c36")
    assert app.test_client().get(f"/branding/accent/{colour}.css").status_code == 404


def test_a_colour_that_cannot_be_read_comes_back_with_one_that_can(panel: Panel) -> None:
    page = save(panel, "/settings/branding", accent_colour="#ffee00")
    assert "It must be darker: white words on #ffee00" in page
    assert re.search(r"contrast of 1\.\d, and 4\.5 is needed; #\w{6} is the nearest", page)


def test_what_is_no_colour_is_told_in_a_sentence(panel: Panel) -> None:
    page = save(panel, "/settings/branding", accent_colour="blue")
    assert "It must be # and six digits from 0 to f, or empty." in page
    panel.post("/account/language", {"language": "de"})
    page = save(panel, "/settings/branding", accent_colour="blue")
    assert "Es müssen # und sechs Ziffern von 0 bis f sein, oder leer." in page


def test_the_name_is_on_pages_and_what_stands_in_it_stays_words(app: Flask, panel: Panel) -> None:
    save(panel, "/settings/branding", organisation="Wards & Sons <b>")
    page = app.test_client().get("/sign-in").text
    assert "Wards &amp; Sons &lt;b&gt;" in page


def test_whom_people_can_ask_is_shown_as_it_will_read(panel: Panel) -> None:
    assert "Ask your IT service desk." in text_of(panel.get("/settings/branding"))
