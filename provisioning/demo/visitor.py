# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A visitor of the pages without a browser: follows links, fills forms, keeps cookies."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass
class Form:
    """A form of a page: where it goes, and what its fields hold."""

    action: str
    id: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Collects a page's forms, links and words."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.choices: dict[str, list[str]] = {}
        self._select: str | None = None
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("id", "")))
        elif tag == "a":
            self.links.append(given.get("href", ""))
        elif tag in ("script", "style", "head"):
            self._silent += 1
        if not self.forms or ("name" not in given and tag != "option"):
            return
        fields = self.forms[-1].fields
        if tag == "input" and given.get("type") in ("checkbox", "radio"):
            self.choices.setdefault(given["name"], []).append(given.get("value", "on"))
            if "checked" in given:
                fields[given["name"]] = given.get("value", "on")
        elif tag in ("input", "textarea"):
            fields[given["name"]] = given.get("value", "")
        elif tag == "select":
            self._select = given["name"]
        elif (
            tag == "option" and self._select and ("selected" in given or self._select not in fields)
        ):
            fields[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        elif tag in ("script", "style", "head"):
            self._silent -= 1

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.words.append(" ".join(data.split()))


@dataclass(frozen=True)
class Page:
    """What a visitor sees: status, address, headers, body."""

    status: int
    url: str
    headers: dict[str, str]
    body: str

    @property
    def text(self) -> str:
        """Return the page's words, without tags."""
        return " ".join(self._read().words)

    def json(self) -> dict[str, object]:
        """Return a JSON body."""
        value: dict[str, object] = json.loads(self.body)
        return value

    def form(self, mark: str) -> Form:
        """Return the first form of this id, or whose action ends so; raises LookupError."""
        forms = self._read().forms
        found = next(
            (f for f in forms if mark == f.id or urlsplit(f.action).path.endswith(mark)), None
        )
        if found is None:
            raise LookupError(f"no form {mark!r} on {self.url} ({self.status})")
        return found

    def link(self, part: str) -> str:
        """Return the first link that contains this; raises LookupError."""
        found = next((link for link in self._read().links if part in link), None)
        if found is None:
            raise LookupError(f"no link {part!r} on {self.url} ({self.status})")
        return found

    def choices(self, name: str) -> list[str]:
        """Return the values that a page's radio buttons of this name offer."""
        return self._read().choices.get(name, [])

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.body)
        return reader


class Visitor:
    """One browser without scripts."""

    def __init__(self, base_url: str) -> None:
        self._base = urlsplit(base_url)
        self._cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Page:
        """Open a page, redirects followed."""
        return self._follow("GET", path, None, headers)

    def send(self, page: Page, mark: str, **fields: str) -> Page:
        """Fill a form of the page and post it, redirects followed."""
        form = page.form(mark)
        body = urlencode({**form.fields, **fields})
        target = form.action or urlsplit(page.url).path
        return self._follow(
            "POST",
            target,
            body,
            {
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": f"{self._base.scheme}://{self._base.netloc}",
            },
        )

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Page:
        """Make one API request with a JSON body."""
        text = None if body is None else json.dumps(body)
        return self._ask(method, path, text, headers)

    def until(self, path: str, done: Callable[[Page], bool], seconds: float) -> Page:
        """Open a page again and again until it shows what is waited for; raises TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            page = self.get(path)
            if done(page):
                return page
            time.sleep(0.3)
        raise TimeoutError(f"{path} did not get there in {seconds:.0f} s: {page.text[-300:]}")

    def _follow(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Page:
        for _ in range(8):
            page = self._ask(method, path, body, headers)
            if page.status not in _REDIRECTS:
                return page
            parts = urlsplit(page.headers["location"])
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            method, body, headers = "GET", None, {}
        raise RecursionError(f"too many redirects at {path}")

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Page:
        connection = http.client.HTTPConnection(
            self._base.hostname or "", self._base.port, timeout=30
        )
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        try:
            connection.request(
                method,
                path,
                body.encode() if body is not None else None,
                {**({"Cookie": cookies} if cookies else {}), **headers},
            )
            answer = connection.getresponse()
            for name, value in answer.getheaders():
                if name.lower() == "set-cookie":
                    self._keep(value)
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Page(answer.status, path, told, answer.read().decode())
        finally:
            connection.close()

    def _keep(self, cookie: str) -> None:
        pair, _, rest = cookie.partition(";")
        name, _, value = pair.partition("=")
        if "max-age=0" in rest.lower() or not value:
            self._cookies.pop(name, None)
        else:
            self._cookies[name] = value
