# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whatever is sent to whichever address: never a 500, and nothing of it stands unescaped on a page.

The addresses are those that the app has, the fields those that its pages ask for, so that a new
form is tried, too. Each request is taken back, so that one that deletes spoils none after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import AnyConverter, IntegerConverter, Rule
from werkzeug.test import TestResponse

from enrollment import web
from provisioning.panel.access import SessionKind
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.forms import PageForm, forms_of
from tests.fakes.panel import Panel
from tests.pages import filling
from tests.pages.crawl import crawl

MARK = "<script>alert(1)</script>"
HOSTILE = {
    "nothing": "",
    "script": f"\"'>{MARK}{{{{7*7}}}}",
    "right to left, and what nobody sees": "\u202egnp.exe\u2066\u200b\ufeff",
    "pictures": "👩‍⚕️" * 20,
    "long": "x" * 10_000,
    "two lines": "a\r\nBcc: eve@example.org\r\n\r\nx",
    "NUL": "a\0b",
    "a number beyond any row": "99999999999999999999999999",
    "below all": "-1",
    "half an address": "//[",
    "somebody else's address": "//evil.example/",
    "a placeholder": "%s%(name)s{0}",
    "the last day": "9999-12-31",
    "a folder": "../../etc/passwd",
}
_VALUES = tuple(HOSTILE.values())
_UNREADABLE = (
    b'{"name": "\\ud800", "token": "x"}',
    b"[" * 100_000,
    b'{"name": NaN}',
    b"\xff",
    b"7",
)


READS_JSON = re.compile("options$|finish$|^/station/")


class _Over(Exception):
    """Ends the transaction; nobody hears of it."""


@dataclass
class Sender:
    """One person's browser, with a cookie that no answer takes away."""

    client: FlaskClient
    cookie: str
    start: str

    def send(self, method: str, path: str, **request: object) -> TestResponse:
        """Send a request, judge the answer, and take back what it did."""
        with suppress(_Over), transaction():
            headers = {"Cookie": self.cookie}
            answer = self.client.open(path, method=method, headers=headers, **request)  # type: ignore[arg-type]
            raise _Over
        what = f"{method} {path[:100]} {str(request)[:200]}"
        assert answer.status_code < 500, f"{answer.status_code}: {what}"
        assert MARK not in answer.text or answer.mimetype == "text/csv", f"reflected: {what}"
        assert not (answer.location or "").startswith("//"), f"led away: {what}"
        return answer


@pytest.fixture
def senders(app: Flask, services: Services, panel: Panel) -> list[Sender]:
    """An owner, a person and somebody with a link, in an installation that has something of all."""
    filling.fill(services, panel.account)
    filling.link_of(services)
    for limiter in app.extensions["limiter"]:
        limiter.enabled = False
    bare = app.test_client(use_cookies=False)
    cookie = panel.client.get_cookie(web.COOKIE[SessionKind.PANEL])
    assert cookie is not None
    found = [Sender(bare, f"{cookie.key}={cookie.value}", "/")]
    for kind, start in ((SessionKind.USER, "/me"), (SessionKind.ACTIVATION, "/activate/key")):
        secret = filling.session_of(kind)
        found.append(Sender(bare, f"{web.COOKIE[kind]}={secret}", start))
    yield found
    for limiter in app.extensions["limiter"]:
        limiter.enabled = True


def pages(app: Flask, sender: Sender) -> Iterator[tuple[str, str, str]]:
    """Yield endpoint, path and text of one page of each kind."""
    browser = app.test_client()
    name, _, secret = sender.cookie.partition("=")
    browser.set_cookie(name, secret)
    for endpoint, path in crawl(app, browser, sender.start):
        yield endpoint, path, browser.get(path).text


def fields_of(form: PageForm, hostile: str, value: str) -> dict[str, str]:
    """Return a form as it stands on the page, but for one field."""
    return {**dict(form.fields), hostile: value}


def test_every_form_bears_what_is_typed_into_it(app: Flask, senders: list[Sender]) -> None:
    tried: set[tuple[str, str]] = set()
    turn = cycle(range(len(_VALUES)))
    for sender in senders:
        for _endpoint, path, page in list(pages(app, sender)):
            for form in forms_of(page):
                place = endpoint_of(app, form.action or path, form.method)
                for name in {name for name, _ in form.fields} - {"csrf_token"}:
                    if (place, name) in tried:
                        continue
                    tried.add((place, name))
                    for number in islice(turn, 3):
                        given = fields_of(form, name, _VALUES[number])
                        where = "query_string" if form.method == "GET" else "data"
                        sender.send(form.method, form.action or path, **{where: given})
    assert len({place for place, _ in tried}) > 30, sorted(tried)


def test_every_address_bears_what_nobody_would_ask_for(app: Flask, senders: list[Sender]) -> None:
    names: set[str] = set()
    known: dict[str, object] = {}
    for sender in senders:
        for endpoint, path, page in list(pages(app, sender)):
            names |= {name for form in forms_of(page) for name, _ in form.fields}
            bound = app.url_map.bind("localhost")
            for name, value in bound.match(path.partition("?")[0], method="GET")[1].items():
                known.setdefault(f"{endpoint}.{name}", value)
                known.setdefault(name, value)
    names |= {"next", "after", "before", "q", "seen", "show", "turn", "step", "language"}
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    for number, rule in enumerate(rules):
        sender = whose(rule, senders)
        turned = _VALUES[number % len(_VALUES) :] + _VALUES[: number % len(_VALUES)]
        given = dict(zip(sorted(names), cycle(turned), strict=False))
        for path in {build(app, rule, known), build(app, rule, {}, turned[0])}:
            if "GET" in (rule.methods or ()):
                sender.send("GET", path, query_string=given)
            if "POST" in (rule.methods or ()):
                sender.send("POST", path, data=given)
            if "POST" in (rule.methods or ()) and READS_JSON.search(rule.rule):
                body = _UNREADABLE[number % len(_UNREADABLE)]
                sender.send("POST", path, data=body, content_type="application/json")
                sender.send("POST", path, json={**given, "credential": {"id": given}})
    assert len(rules) > 150


def endpoint_of(app: Flask, path: str, method: str) -> str:
    """The name of the view that a form is sent to."""
    bound = app.url_map.bind("localhost")
    return str(bound.match(path.partition("?")[0], method=method)[0])


def whose(rule: Rule, senders: list[Sender]) -> Sender:
    """Who gets furthest at an address."""
    owner, person, visitor = senders
    if rule.rule.startswith("/activate"):
        return visitor
    return person if rule.rule.startswith("/me") else owner


def build(app: Flask, rule: Rule, known: dict[str, object], hostile: str = "") -> str:
    """Return an address by this rule, with what is known of its places and else with nonsense."""
    values: dict[str, object] = {}
    for name in rule.arguments:
        converter = rule._converters[name]
        value = known.get(f"{rule.endpoint}.{name}", known.get(name))
        if isinstance(converter, AnyConverter):
            value = value if value in converter.items else min(converter.items)
        elif isinstance(converter, IntegerConverter):
            value = value if isinstance(value, int) else 2**63 - 1
        else:
            value = value if isinstance(value, str) and value else hostile or "x"
        values[name] = value
    method = "POST" if "POST" in (rule.methods or ()) else "GET"
    return app.url_map.bind("localhost").build(rule.endpoint, values, method=method)
