# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Rules that every template, style and script keeps, so that the strict CSP never has to bend."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask, render_template, render_template_string
from flask_babel import Babel
from wtforms import Form, StringField
from wtforms.validators import DataRequired

from provisioning.pages import error_words, figures, times

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
STATIC = ROOT / "provisioning" / "static"
PAGES = sorted(p for p in TEMPLATES.rglob("*.html") if "mail" not in p.relative_to(TEMPLATES).parts)
Render = Callable[..., str]
STYLE = (STATIC / "keywright.css").read_text()


def source(page: Path) -> str:
    """The template without its Jinja comments."""
    return re.sub(r"\{#.*?#\}", "", page.read_text(), flags=re.S)


def name(page: Path) -> str:
    return page.relative_to(TEMPLATES).as_posix()


@pytest.fixture(scope="module")
def app() -> Flask:
    app = Flask(__name__, template_folder=str(TEMPLATES), static_folder=str(STATIC))
    app.config["SECRET_KEY"] = "only here"
    Babel(app)
    times.register(app)
    figures.register(app)
    app.jinja_env.filters["told"] = error_words.told
    app.jinja_env.globals.update(
        csrf_token=lambda: "form-token",
        csp_nonce=lambda: "page-nonce",
        get_locale=lambda: "en",
        logo_url=lambda: "/static/logo.svg",
        accent_url=lambda: "",
    )
    return app


@pytest.fixture
def render(app: Flask) -> Iterator[Render]:
    with app.test_request_context("/"):
        yield lambda page, **values: render_template(page, **values)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_template_compiles(app: Flask, page: Path) -> None:
    assert app.jinja_env.get_template(name(page))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_template_needs_nothing_that_the_csp_forbids(page: Path) -> None:
    text = source(page)
    assert not re.search(r"<style|\sstyle=|javascript:|hx-on|[\"'(]data:|\shx-vals=.js:", text)
    assert not re.search(r"<[^>]*\son[a-z]+=", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
    for script in re.findall(r"<script[^>]*>", text):
        assert 'nonce="{{ csp_nonce() }}"' in script
        assert " src=" in script


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_visible_word_can_be_translated(page: Path) -> None:
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", source(page), flags=re.S)
    bare = re.sub(r"<[^>]*>", "\n", text)
    words = [
        w for line in bare.splitlines() if (w := line.strip()) and re.search(r"[A-Za-z]{2}", w)
    ]
    allowed = {"Keywright", "keywright owner-link"}
    assert [w for w in words if w not in allowed] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_posting_form_carries_a_token_against_forgery(page: Path) -> None:
    for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", source(page), flags=re.S):
        assert "csrf" in form


def sprite_of(folder: Path) -> str:
    """`icons.svg` as it must be: one <symbol> per file of the folder, in the order of names."""
    symbols = []
    for file in sorted(folder.glob("*.svg")):
        inside = re.search(r"<svg[^>]*>(.*)</svg>", file.read_text(), re.S)
        assert inside is not None
        drawing = "".join(line.strip() for line in inside[1].splitlines())
        symbols.append(
            f'<symbol id="{file.stem}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
            f'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{drawing}</symbol>'
        )
    lines = ['<svg xmlns="http://www.w3.org/2000/svg">', *symbols, "</svg>"]
    return "\n".join(lines) + "\n"


def test_the_sprite_holds_exactly_the_vendored_icons() -> None:
    assert (STATIC / "icons.svg").read_text() == sprite_of(STATIC / "icons")


def test_every_icon_a_template_or_view_names_exists() -> None:
    there = set(re.findall(r'<symbol id="([a-z0-9-]+)"', (STATIC / "icons.svg").read_text()))
    texts = [source(page) for page in PAGES]
    texts += [view.read_text() for view in (ROOT / "enrollment").rglob("*.py")]
    ways = (
        r'\b(?:icon|empty)\("([a-z0-9-]+)"',
        r'\bbutton\(_\("[^"]*"\), "([a-z0-9-]+)"',
        r'\bbadge\(_\("[^"]*"\), "[a-z]*", "([a-z0-9-]+)"',
        r'(?:"icon": |\bicon=|icon_name=)"([a-z0-9-]+)"',
    )
    named = {icon for text in texts for way in ways for icon in re.findall(way, text)}
    assert {"circle-check", "user-plus", "clock"} <= named
    assert named - there == set()


def test_vendored_files_are_unchanged() -> None:
    rows = re.findall(
        r"\| `(vendor/[^`]+)` .* `([0-9a-f]{64})` \|", (STATIC / "VENDORED.md").read_text()
    )
    assert rows
    for file, digest in rows:
        assert hashlib.sha256((STATIC / file).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda p: p.name)
def test_an_own_script_stays_small_and_evaluates_nothing(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 80
    assert not re.search(r"\beval\(|new Function|innerHTML|document\.write|\.style\b|import ", text)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground", "least"),
    [
        *[(ink, ground, 4.5) for ink in ("text", "muted", "accent") for ground in
          ("ground", "surface", "sunken", "accent-soft")],
        *[(tone, f"{tone}-soft", 4.5) for tone in ("ok", "warn", "bad", "info")],
        *[("text", f"{tone}-soft", 4.5) for tone in ("ok", "warn", "bad", "info")],
        *[(tone, "surface", 4.5) for tone in ("ok", "warn", "bad", "info")],
        *[("on-accent", fill, 4.5) for fill in
          ("accent-fill", "accent-fill-hover", "bad-fill", "bad-fill-hover")],
        ("line-strong", "surface", 3.0),  # borders of inputs, WCAG 2.2 §1.4.11
        ("accent", "surface", 3.0),  # the focus ring
    ],
)  # fmt: skip
def test_colours_keep_their_contrast(theme: str, ink: str, ground: str, least: float) -> None:
    tokens = {
        token: (light, dark)
        for token, light, dark in re.findall(
            r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", STYLE
        )
    }
    tokens["on-accent"] = ("#ffffff", "#ffffff")
    side = 0 if theme == "light" else 1
    assert contrast(tokens[ink][side], tokens[ground][side]) >= least


LIVE = {
    "phase": "waiting", "state": "Waiting for the card", "headline": "Tap the card on Desk NFC",
    "detail": "", "poll_url": "/poll?seen=1", "seconds": 47, "total": 60, "card": None, "steps": [],
    "next": [], "actions": [], "cancel_url": "/cancel", "code": None, "form_fields": None,
}  # fmt: skip


def test_a_waiting_tap_panel_polls_counts_down_and_can_be_cancelled(render: Render) -> None:
    page = render("_tap.html", live=LIVE)
    assert 'hx-get="/poll?seen=1"' in page
    assert 'data-countdown="47"' in page
    assert 'action="/cancel"' in page
    assert "hx-swap-oob" not in page


def test_a_finished_tap_panel_stops_polling_and_opens_next(render: Render) -> None:
    done = LIVE | {"phase": "done", "poll_url": None, "seconds": None, "headline": "Assigned"}
    page = render("panel/wizard/assign.html", live=done, polled=True, next_blocked="")
    assert "hx-get" not in page
    assert '<p id="tap-said" hx-swap-oob="innerHTML">Assigned' in page
    assert re.search(r'id="wizard-next" hx-swap-oob="outerHTML"', page)
    assert "disabled" not in page


def test_an_error_stands_beside_its_field_and_is_announced_with_it(render: Render) -> None:
    class Information(Form):
        user_name = StringField("userName", [DataRequired("Enter a userName.")])

    form = Information(data={"user_name": ""})
    assert not form.validate()
    macro = '{% from "macros.html" import field %}{{ field(form.user_name, hint="Unique.") }}'
    html = render_template_string(macro, form=form)
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="user_name-hint user_name-error"' in html
    assert '<p class="field-error" id="user_name-error">' in html


def test_what_is_said_while_typing_takes_the_place_of_the_error(render: Render) -> None:
    class Information(Form):
        user_name = StringField("userName", [DataRequired("Enter a userName.")])

    form = Information(data={"user_name": ""})
    assert not form.validate()
    macro = '{% from "macros.html" import field %}{{ field(form.user_name, live_url="/check") }}'
    html = render_template_string(macro, form=form)
    assert 'hx-target="#user_name-live"' in html
    live = re.search(r'<div class="live-note" id="user_name-live".*?</div>', html, re.S)
    assert live is not None
    assert html.count("Enter a userName.") == live[0].count("Enter a userName.") == 1


def test_what_people_typed_is_escaped(render: Render) -> None:
    hostile = '"><script>alert(1)</script>'
    page = render(
        "panel/users.html", organisation=hostile, menu=[], total=1, tabs=[], list_url="/users",
        search_text=hostile,
        rows=[{"id": "1", "url": "/users/1", "name": hostile, "user_name": hostile,
               "email": hostile, "status": "new", "key_count": 0, "source": hostile,
               "last_activity_at": None}],
    )  # fmt: skip
    assert "<script>alert" not in page


def test_an_address_wraps_between_its_parts_and_is_copied_as_it_is(app: Flask) -> None:
    with app.test_request_context("/"):
        page = render_template_string(
            '{% from "macros.html" import breakable, copy_box %}'
            '{{ breakable("ada.king@example.org") }} {{ breakable("ada.king", dots=true) }} '
            '{{ breakable("<i>/") }} {{ copy_box("url", "https://id.example.org/scim/v2", "URL") }}'
        )
    assert "ada.king<wbr>@example.org ada.<wbr>king &lt;i&gt;/<wbr>" in page
    box = re.search(r'<code id="url">(.*?)</code>', page)
    assert box is not None
    assert "example.org/<wbr>scim/<wbr>v2" in box[1]
    assert box[1].replace("<wbr>", "") == "https://id.example.org/scim/v2"


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 405, 409, 410, 412, 413, 429, 500, 503, 418]
)
def test_every_error_page_says_what_to_do_next(render: Render, status: int) -> None:
    page = render("errors/error.html", status=status, sentence=None)
    assert page.count('<p class="muted">') == 1
    assert "an error occurred" not in page.lower()


@pytest.mark.parametrize("value", ["new", "pending", "active", "suspended"])
def test_a_status_is_a_word_and_a_picture_never_a_colour_alone(app: Flask, value: str) -> None:
    with app.test_request_context("/"):
        badge = app.jinja_env.get_template("macros.html").module.status(value)  # type: ignore[attr-defined]
    assert value.capitalize() in badge
    assert "<svg" in badge
