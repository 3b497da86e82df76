# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Every page that the menu leads to, from empty to full: for everybody, from here alone, in order.

The pages are found by following links, so that one which is new is walked, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from provisioning.app import create_app
from provisioning.installation import open_services
from provisioning.panel.access import SessionKind
from tests.pages.axe import violations
from tests.pages.errors import ERRORS
from tests.pages.site import Site
from tests.pages.walk import Seen, walk

pytestmark = pytest.mark.e2e

# The menu of the contract, by its words; each leads to a page of that name.
MENU = (
    "Overview",
    "Users",
    "Groups",
    "Security keys",
    "Stations",
    "Directories",
    "Import CSV",
    "Activity",
    "Settings",
)
THEMES = ("light", "dark")
SCREENS = ((390, 844), (1440, 900))  # the wide one last: links are followed from it


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation on its first day."""
    with Site(tmp_path_factory.mktemp("empty"), full=False) as site:
        yield site


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One that is in use."""
    with Site(tmp_path_factory.mktemp("full"), full=True) as site:
        yield site


def made(site: Site) -> Flask:
    """The app, which knows the kinds of pages by their addresses."""
    return create_app(open_services(site.data))  # this site's database, and not the last one's


class Judge:
    """Looks at pages and keeps what is wrong with them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.seen: list[str] = []
        self.faults: list[str] = []

    def watches(self, context: BrowserContext) -> None:
        """Hear of every request: each is to this site alone."""
        context.on("request", self._asked)
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.on(
            "console",
            lambda message: (
                self.faults.append(f"{message.page and message.page.url}: {message.text}")
                if "Content Security Policy" in message.text
                else None
            ),
        )

    def looks_at(self, page: Page, seen: Seen, *, scripts: bool = True) -> None:
        """Judge a page as it is, on a phone and on a desk, each by day and by night."""
        self.seen.append(seen.endpoint)
        self._answer(seen)
        titles = page.locator("h1").count()
        if titles != 1:
            self._blame(seen, f"{titles} main headings")
        if not scripts:
            return
        for width, height in SCREENS:
            page.set_viewport_size({"width": width, "height": height})
            over = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
            if over > 0:
                self._blame(seen, f"{over} pixels wider than {width}")
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                for fault in violations(page):
                    self._blame(seen, f"{width}, {theme}: {fault}")

    def finds_nothing(self, at_least: int) -> None:
        """All was in order, and it was not nothing that was looked at."""
        assert len(set(self.seen)) >= at_least, sorted(set(self.seen))
        assert not self.faults, "\n".join(self.faults)

    def _answer(self, seen: Seen) -> None:
        if seen.answer is None or seen.answer.status != 200:
            self._blame(seen, f"answered {seen.answer and seen.answer.status}")
            return
        policy = seen.answer.headers.get("content-security-policy", "")
        if "default-src 'none'" not in policy or "unsafe" in policy or "*" in policy:
            self._blame(seen, f"policy {policy!r}")
        if re.search(r"\b(?:https?:)", policy):
            self._blame(seen, f"policy allows another host: {policy!r}")

    def _asked(self, request: Request) -> None:
        host = urlsplit(request.url).netloc
        if host and host != urlsplit(self.site.url).netloc:
            self.faults.append(f"asks another host: {request.url}")

    def _blame(self, seen: Seen, fault: str) -> None:
        self.faults.append(f"{seen.path}: {fault}")


@pytest.mark.parametrize(("state", "least"), [("empty", 15), ("full", 30)])
def test_every_page_is_for_everybody_and_asks_no_other_host(
    request: pytest.FixtureRequest, browser: Browser, state: str, least: int
) -> None:
    site: Site = request.getfixturevalue(state)
    judge = Judge(site)
    context = site.browser(browser, viewport={"width": 1440, "height": 900})
    judge.watches(context)
    page = context.new_page()
    for seen in walk(made(site), page, examples=1):
        judge.looks_at(page, seen)
    context.close()
    judge.finds_nothing(least)


@pytest.mark.parametrize(
    ("kind", "starts", "least"),
    [
        (None, ("/sign-in", "/me/sign-in", "/activate", "/reader-driver"), 4),
        (SessionKind.ACTIVATION, ("/activate/key",), 1),
        (SessionKind.USER, ("/me",), 1),
    ],
    ids=["stranger", "by link", "signed in by key"],
)
def test_what_people_see_who_work_in_no_panel_is_for_everybody(
    full: Site, browser: Browser, kind: SessionKind | None, starts: tuple[str, ...], least: int
) -> None:
    judge = Judge(full)
    context = full.browser(browser, kind, viewport={"width": 1440, "height": 900})
    judge.watches(context)
    page = context.new_page()
    for start in starts:
        for seen in walk(made(full), page, start, 1):
            judge.looks_at(page, seen)
    context.close()
    judge.finds_nothing(least)


@pytest.mark.parametrize("name", [name for name, _ in ERRORS])
def test_a_page_in_error_is_for_everybody_and_says_it_beside_the_field(
    full: Site, browser: Browser, name: str
) -> None:
    context = full.browser(browser)
    page = context.new_page()
    dict(ERRORS)[name](page)
    page.wait_for_load_state()
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert violations(page) == [], theme
    for field in page.locator("[aria-invalid=true]").all():
        told = (field.get_attribute("aria-describedby") or "").split()
        said = [page.locator(f"#{one}").inner_text() for one in told if one.endswith("-error")]
        assert any(said), f"{field.get_attribute('name')} is wrong, and nothing beside it says why"
    context.close()


def test_each_page_of_the_menu_goes_from_its_empty_state_to_full(
    empty: Site, full: Site, browser: Browser
) -> None:
    for site in (empty, full):
        context = site.browser(browser)
        page = context.new_page()
        page.goto("/")
        for name in MENU:
            menu = page.get_by_role("navigation", name="Main menu")
            menu.get_by_role("link", name=name, exact=True).click()
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(menu.get_by_role("link", name=name, exact=True)).to_have_attribute(
                "aria-current", "page"
            )
            hint = page.locator("main .empty:not(.compact)")
            lists = name in ("Users", "Groups", "Security keys", "Stations", "Directories")
            assert hint.count() == (1 if lists and site is empty else 0), f"{name}: {site.data}"
            if lists and site is full:
                assert page.locator("main table tbody tr").count() >= 2, name
        context.close()


def test_without_scripts_every_page_can_be_read_and_its_links_followed(
    full: Site, browser: Browser
) -> None:
    judge = Judge(full)
    context = full.browser(browser, java_script_enabled=False)
    page = context.new_page()
    for seen in walk(made(full), page, examples=1):
        judge.looks_at(page, seen, scripts=False)
    context.close()
    judge.finds_nothing(30)


def test_without_scripts_people_are_found_made_and_suspended(full: Site, browser: Browser) -> None:
    context = full.browser(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto("/users")
    page.get_by_role("searchbox").fill("turing")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("tbody").get_by_role("link")).to_have_text(["Alan Turing"])

    page.get_by_role("link", name="New User", exact=True).first.click()
    page.get_by_label("User name").fill("emmy")
    page.get_by_label("First name").fill("Emmy")
    page.get_by_label("Last name").fill("Noether")
    page.get_by_label("Email").fill("emmy@example.org")
    for _ in range(3):
        page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("Emmy Noether")

    page.goto("/users?q=emmy")
    page.get_by_role("table").get_by_role("link", name="Emmy Noether").click()
    page.get_by_role("button", name="Suspend").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("main")).to_contain_text("Suspended")
    context.close()


def test_the_keyboard_does_not_leave_an_open_question(full: Site, browser: Browser) -> None:
    context = full.browser(browser)
    page = context.new_page()
    page.goto("/users?q=turing")
    page.get_by_role("table").get_by_role("link", name="Alan Turing").click()
    asks = page.get_by_role("button", name="Suspend user")
    asks.click()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body"  # on its way round past the browser's own
            " || !!document.activeElement.closest('[role=dialog]:popover-open')"
        )
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(asks.first).to_be_focused()
    assert page.locator("[inert]").count() == 0
    asks.click()
    page.mouse.click(5, 400)  # beside it
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.locator("[inert]").count() == 0
    context.close()


def test_a_new_user_is_made_from_the_keyboard_alone(full: Site, browser: Browser) -> None:
    context = full.browser(browser)
    page = context.new_page()
    page.goto("/users")
    keys = Keyboard(page)
    page.keyboard.press("Tab")
    assert keys.where() == "Skip to content"
    page.keyboard.press("Enter")
    keys.goes_to("New User")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/user-information"))
    for label, text in (
        ("User name", "joan"),
        ("Email", "joan@example.org"),
        ("First name", "Joan"),
        ("Last name", "Clarke"),
    ):
        keys.goes_to(label)
        page.keyboard.type(text)
    keys.goes_to("Next")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/groups"))
    keys.goes_to("Next")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/security-key"))
    keys.goes_to("Assign a security key")
    page.keyboard.press("Space")
    keys.goes_to("Security Key Device")
    page.keyboard.type("USB")
    keys.goes_to("Activate now as an admin")  # the chosen one of the two has the focus …
    page.keyboard.press("ArrowDown")  # … and arrows move between them
    assert keys.where().startswith("Activate by user")
    keys.goes_to("Next")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/review"))
    keys.goes_to("Confirm")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("joan@example.org")
    assert keys.unseen == []
    context.close()


class Keyboard:
    """Somebody who only has the Tab key, and must see where they are."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.unseen: list[str] = []

    def where(self) -> str:
        """What has the focus, by its label or words."""
        return " ".join(str(self.page.evaluate(_FOCUS)).split())

    def goes_to(self, name: str) -> None:
        """Press Tab until it has the focus."""
        visited = []
        for _ in range(80):
            self.page.keyboard.press("Tab")
            visited.append(self.where())
            if not self.page.evaluate(_IS_SEEN):
                self.unseen.append(f"{self.page.url}: {visited[-1]}")
            if re.match(rf"{re.escape(name)}\b", visited[-1]):
                return
        raise AssertionError(f"{name} is not among {visited}")


_FOCUS = """() => {
  const one = document.activeElement;
  const labels = one.labels && one.labels.length ? one.labels[0].innerText : "";
  return one.getAttribute("aria-label") || labels || one.innerText || one.value || one.tagName;
}"""
_IS_SEEN = """() => {
  const one = document.activeElement;
  if (one === document.body) return true;
  const seen = e => e && getComputedStyle(e).outlineStyle !== "none"
    && parseFloat(getComputedStyle(e).outlineWidth) >= 2;
  return seen(one) || seen(one.closest("label"));
}"""
