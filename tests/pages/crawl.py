# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The same walk as `walk`, without a browser: which pages there are, by following links."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from flask import Flask
from flask.testing import FlaskClient

from tests.pages.walk import NO_PAGE, endpoint_of, path_of

_LINK = re.compile(r'<a\b[^>]*\shref="(/[^"#]*)"')


def crawl(
    app: Flask, client: FlaskClient, start: str = "/", examples: int = 1
) -> Iterator[tuple[str, str]]:
    """Yield (endpoint, path) of so many pages of each kind, the start's first."""
    waiting, known = [start], {start}
    count: dict[str, int] = {}
    while waiting:
        path = waiting.pop(0)
        if count.get(endpoint_of(app, path), 0) >= examples:
            continue
        answer = client.get(path, follow_redirects=True)
        here = path_of(answer.request.url)
        endpoint = endpoint_of(app, here)
        if not endpoint or count.get(endpoint, 0) >= examples:
            continue
        if answer.mimetype != "text/html":
            continue
        assert answer.status_code == 200, f"{here}: {answer.status_code}"
        count[endpoint] = count.get(endpoint, 0) + 1
        yield endpoint, here
        for link in map(html.unescape, _LINK.findall(answer.get_data(as_text=True))):
            if link not in known and not NO_PAGE.search(link.partition("?")[0]):
                known.add(link)
                waiting.append(link)
