# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The forms of a page as a browser would send them: where they go, and what stands in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class PageForm:
    """One form; `fields` are name and value in their order, a button's too, where it has a name."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)


def forms_of(page: str) -> list[PageForm]:
    """Return the forms of a page."""
    reader = _Reader()
    reader.feed(page)
    return reader.forms


class _Reader(HTMLParser):
    """Fields belong to the form that they stand in; what is not ticked is not sent."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self._form: PageForm | None = None
        self._select = self._text = ""
        self._written = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._form = PageForm(given.get("action", ""), given.get("method", "get").upper())
            self.forms.append(self._form)
        if self._form is None:
            return
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._text, self._written = name, ""
        elif tag == "option" and self._select:
            self._put(self._select, value, chosen="selected" in given)
        elif tag in ("input", "button") and name and given.get("type") != "file":
            ticked = given.get("type") not in ("checkbox", "radio") or "checked" in given
            self._put(name, value, chosen=ticked)

    def handle_data(self, data: str) -> None:
        self._written += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._text:
            self._put(self._text, self._written, chosen=True)
            self._text = ""

    def _put(self, name: str, value: str, *, chosen: bool) -> None:
        """Note a value; the first one of a field that has none chosen stands for it."""
        assert self._form is not None
        known = [place for place, (one, _) in enumerate(self._form.fields) if one == name]
        if chosen and known:
            self._form.fields[known[0]] = (name, value)
        elif not known:
            self._form.fields.append((name, value))
