# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Walking a site as somebody who follows links: from the menu, one example of each kind of page.

Nothing here names a page, so that one which is new is walked, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask
from playwright.sync_api import Error, Page, Response
from werkzeug.exceptions import HTTPException

NO_PAGE = re.compile(r"\.csv$|/reader-driver/.|/static/|^/healthz|\.(?:whl|sh|ps1|json)$")
EXAMPLES = 2  # pages of one kind: a first and another one, which may look different


@dataclass(frozen=True)
class Seen:
    """A page that the browser is on: its kind (the endpoint), where, and how it answered."""

    endpoint: str
    path: str
    answer: Response | None

    @property
    def name(self) -> str:
        """A name for a file: the endpoint's."""
        return self.endpoint.replace(".", "-")


def walk(app: Flask, page: Page, start: str = "/", examples: int = EXAMPLES) -> Iterator[Seen]:
    """Go to the start, then wherever its links lead, in their order; yields on each page."""
    waiting, known = [start], {start}
    count: dict[str, int] = {}
    while waiting:
        path = waiting.pop(0)
        if count.get(endpoint_of(app, path), 0) >= examples:
            continue
        try:
            answer = page.goto(path)
        except Error as error:
            if "Download is starting" in str(error):  # a file behind a link is no page
                continue
            raise
        here = path_of(page.url)
        endpoint = endpoint_of(app, here)
        if count.get(endpoint, 0) >= examples or not endpoint:
            continue
        count[endpoint] = count.get(endpoint, 0) + 1
        yield Seen(endpoint, here, answer)
        for link in links(page):
            if link not in known and not NO_PAGE.search(link.partition("?")[0]):
                known.add(link)
                waiting.append(link)


def links(page: Page) -> list[str]:
    """The paths that the page's links lead to, this site's only, in their order."""
    addresses = page.eval_on_selector_all("a[href]", "all => all.map(one => one.href)")
    here = urlsplit(page.url).netloc
    return [
        path_of(address)
        for address in addresses
        if urlsplit(address).netloc == here and not address.partition("#")[2]
    ]


def path_of(url: str) -> str:
    """An address without its host and fragment."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def endpoint_of(app: Flask, path: str) -> str:
    """The name of the view that answers there; "" for none."""
    adapter = app.url_map.bind("localhost")
    try:
        return str(adapter.match(path.partition("?")[0], method="GET")[0])
    except HTTPException:
        return ""
