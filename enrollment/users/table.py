# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The Users list as the template wants it: filters in the URL, tabs, sortable headings, pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from provisioning.csv_import import spreadsheet
from provisioning.lifecycle import UserStatus
from provisioning.pages import figures, people, times
from provisioning.pages.people import Line, Page, Sort, Wanted

Query = MultiDict[str, str]


def wanted(args: Query) -> Wanted:
    """Read the filters of a URL; what it does not know falls back to the first page of all."""
    status = args.get("status", "")
    sort = args.get("sort", "")
    return Wanted(
        status=UserStatus(status) if status in set(UserStatus) else None,
        search=args.get("q", "").strip()[: people.MAX_SEARCH],
        sort=Sort(sort) if sort in set(Sort) else Sort.NAME,
        descending=args.get("dir") == "desc",
        after=args.get("after") or None,
        before=args.get("before") or None,
    )


def address(shown: Wanted, endpoint: str = "users.users", **changes: str | None) -> str:
    """Return the list's URL with these filters, what is usual left out."""
    given: dict[str, Any] = {
        "q": shown.search or None,
        "status": shown.status,
        "sort": shown.sort if shown.sort is not Sort.NAME else None,
        "dir": "desc" if shown.descending else None,
    }
    given.update(changes)
    return url_for(endpoint, **{name: value for name, value in given.items() if value})


def status_names() -> dict[UserStatus, str]:
    """Return what each status is called."""
    return {
        UserStatus.NEW: _("New"),
        UserStatus.PENDING: _("Pending"),
        UserStatus.ACTIVE: _("Active"),
        UserStatus.SUSPENDED: _("Suspended"),
    }


def tabs(shown: Wanted, counts: dict[UserStatus, int]) -> list[dict[str, object]]:
    """Return the counters, each a link that keeps search and order."""
    labels: list[tuple[UserStatus | None, str]] = [
        (None, _("All")),
        *status_names().items(),
    ]
    return [
        {
            "label": label,
            "count": counts[status] if status is not None else sum(counts.values()),
            "url": address(shown, status=status),
            "current": shown.status == status,
        }
        for status, label in labels
    ]


def columns(shown: Wanted) -> dict[str, dict[str, str]]:
    """Return the headings that sort; the first click on Last activity shows the latest."""
    found = {}
    for sort in Sort:
        current = shown.sort is sort
        first = "desc" if sort is Sort.ACTIVITY else None
        other = None if first else "desc"
        turned = other if current and shown.descending == (first == "desc") else first
        direction = ("descending" if shown.descending else "ascending") if current else ""
        found[sort.value] = {
            "url": address(shown, sort=sort if sort is not Sort.NAME else None, dir=turned),
            "direction": direction,
        }
    return found


def rows(page: Page) -> list[dict[str, object]]:
    """Return the lines with where they lead."""
    return [
        {
            "id": line.resource_id,
            "url": url_for("users.user", user_id=line.resource_id),
            "name": line.name,
            "user_name": line.user_name,
            "email": line.email,
            "status": line.status,
            "key_count": line.keys,
            "pending_count": line.pending,
            "source": line.source,
            "last_activity_at": line.last_activity_at,
        }
        for line in page.lines
    ]


def pager(shown: Wanted, page: Page, total: int) -> dict[str, object]:
    """Return what stands under the list."""
    some = len(page.lines)
    if page.more_before or page.more_after:
        words = (
            _("%(some)s shown", some=some)
            if shown.search
            else _("%(some)s of %(total)s", some=some, total=figures.number(total))
        )
    else:
        words = _("%(some)s in all", some=some)
    return {
        "shown": words,
        "first_url": address(shown) if page.more_before else None,
        "previous_url": address(shown, before=page.lines[0].resource_id)
        if page.more_before and page.lines
        else None,
        "next_url": address(shown, after=page.lines[-1].resource_id) if page.more_after else None,
    }


def as_csv(lines: Iterator[Line]) -> Iterator[str]:
    """Write the lines as CSV, in pieces."""
    header = ["name", "userName", "email", "status", "keys", "pending", "source", "lastActivity"]
    return spreadsheet.lines(header, map(_cells, lines))


def _cells(line: Line) -> list[object]:
    last = times.iso(line.last_activity_at) if line.last_activity_at else ""
    words = [line.name, line.user_name, line.email or "", line.status]
    return [*words, line.keys, line.pending, line.source or "", last]
