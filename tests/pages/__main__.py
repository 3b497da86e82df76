# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`make gallery`: a picture of every page, empty, full and in error, wide and narrow, by day and
night, in `gallery/` with an index to look through.
"""

from __future__ import annotations

import argparse
import html
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright

from provisioning.app import create_app
from provisioning.panel.access import SessionKind
from tests.e2e.browser import launch
from tests.pages.errors import ERRORS
from tests.pages.site import Site
from tests.pages.walk import walk

GALLERY = Path(__file__).parents[2] / "gallery"
WIDTHS = (1440, 1024, 390)
HEIGHTS = {1440: 900, 1024: 768, 390: 844}
THEMES = ("light", "dark")


def _paint_frames(page: Page, width: int) -> None:
    """Have frames in the page painted at this size; below the window they would not be."""
    if page.locator("iframe").count():
        height = page.evaluate("() => document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(400)


class Gallery:
    """Pictures as they are taken, and the index of them."""

    def __init__(self, folder: Path, widths: list[int], themes: list[str]) -> None:
        self.folder, self.widths, self.themes = folder, widths, themes
        self.rows: list[tuple[str, str, str]] = []  # part, name, path

    def take(self, page: Page, part: str, name: str, path: str) -> None:
        """Take the page in each width and theme."""
        number = sum(1 for row in self.rows if row[:2] == (part, name))
        name = f"{name}-{number + 1}" if number else name
        for theme in self.themes:
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            for width in self.widths:
                page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
                _paint_frames(page, width)
                page.screenshot(
                    path=self.folder / self.file(part, name, width, theme),
                    full_page=True,
                    animations="disabled",
                )
        self.rows.append((part, name, path))

    def file(self, part: str, name: str, width: int, theme: str) -> str:
        """A picture's file."""
        return f"{part}-{name}-{width}-{theme}.png"

    def write_index(self) -> None:
        """Write the page that shows them all."""
        parts = [_HEAD]
        for part, name, path in self.rows:
            title = html.escape(f"{part}: {name}")
            parts.append(f"<h2>{title} <small>{html.escape(path)}</small></h2><div>")
            for theme in self.themes:
                for width in self.widths:
                    file = html.escape(self.file(part, name, width, theme))
                    parts.append(
                        f'<a href="{file}"><img src="{file}" alt="{title}" height=420></a>'
                    )
            parts.append("</div>")
        (self.folder / "index.html").write_text("\n".join(parts), encoding="utf-8")


_HEAD = """<!doctype html><meta charset=utf-8><title>Keywright: every page</title>
<style>body{font:15px system-ui;margin:2rem;background:#888}h2{margin:2rem 0 .5rem}
small{font-weight:400}div{display:flex;gap:1rem;overflow-x:auto}img{display:block}</style>"""


def panel(gallery: Gallery, site: Site, app: Flask, browser: Browser, part: str) -> None:
    """Everything that the menu leads to."""
    context = site.browser(browser)
    page = context.new_page()
    for seen in walk(app, page):
        gallery.take(page, part, seen.name, seen.path)
    context.close()


def people(gallery: Gallery, site: Site, app: Flask, browser: Browser) -> None:
    """What a person sees who works in no panel: by link, signed in, and as a stranger."""
    for name, kind, starts in (
        ("stranger", None, ("/sign-in", "/me/sign-in", f"/activate#{site.link}", "/reader-driver")),
        ("link", SessionKind.ACTIVATION, ("/activate/key",)),
        ("holder", SessionKind.USER, ("/me",)),
    ):
        context = site.browser(browser, kind)
        page = context.new_page()
        taken: set[str] = set()
        for start in starts:
            for seen in walk(app, page, start, 1):
                if seen.endpoint not in taken:
                    taken.add(seen.endpoint)
                    gallery.take(page, name, seen.name, seen.path.partition("#")[0])
        context.close()


def errors(gallery: Gallery, site: Site, browser: Browser) -> None:
    """Forms that were filled wrongly, and pages that are not there."""
    context = site.browser(browser)
    page = context.new_page()
    for name, make in ERRORS:
        page.set_viewport_size({"width": 1440, "height": 900})
        page.emulate_media(color_scheme="light")
        make(page)
        gallery.take(page, "error", name, page.url.removeprefix(site.url))
    context.close()


def sites(folder: Path) -> Iterator[tuple[str, Path]]:
    """Where the two installations lie."""
    for part in ("empty", "full"):
        (folder / part).mkdir()
        yield part, folder / part


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(prog="make gallery", description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--themes", nargs="+", default=list(THEMES))
    parser.add_argument("--parts", nargs="+", default=["empty", "full", "people", "error"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--out", type=Path, default=GALLERY)
    chosen = parser.parse_args()
    shutil.rmtree(chosen.out, ignore_errors=True)
    chosen.out.mkdir(parents=True)
    gallery = Gallery(chosen.out, chosen.widths, chosen.themes)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        browser = launch(playwright)
        for part, folder in sites(Path(made)):
            wanted = {"empty": {"empty"}, "full": {"full", "people", "error"}}[part]
            if not wanted & set(chosen.parts):
                continue
            with Site(folder, full=part == "full", port=chosen.port) as site:
                app = create_app(site.services)
                if part in chosen.parts:
                    panel(gallery, site, app, browser, part)
                if part == "full" and "people" in chosen.parts:
                    people(gallery, site, app, browser)
                if part == "full" and "error" in chosen.parts:
                    errors(gallery, site, browser)
        browser.close()
    gallery.write_index()
    print(f"{len(gallery.rows)} pages: {chosen.out}/index.html")


if __name__ == "__main__":
    main()
