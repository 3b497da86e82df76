# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`make bench-panel`: how long the server takes for each page of a large installation.

Every kind of page that the menu leads to, and the lists by search, order, filter and depth; the
median of 50 answers, in this process, everything but the socket. Exits with 1 above the goal.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from pathlib import Path
from statistics import median

from flask.testing import FlaskClient

from enrollment import web
from provisioning.app import create_app
from provisioning.models import AuditEvent, Group, SecurityKey, User
from provisioning.panel.access import SessionKind
from tests.bench import crowd
from tests.bench.loading import set_up
from tests.fakes.queries import counted
from tests.pages import filling
from tests.pages.crawl import crawl

GOAL = 100.0  # milliseconds
TIMES = 50


def lists() -> list[str]:
    """The lists as people look at them; the deepest page is one from the middle of all."""
    middle = User.select().where(User.display_name_key > "k").order_by(User.display_name_key).get()
    group = Group.select().order_by(Group.id.desc()).get()
    return [
        "/users?q=turing",
        "/users?q=a",
        "/users?q=person.0099999",
        "/users?q=nobody-of-that-name",
        "/users?status=pending",
        "/users?status=active&q=g",
        "/users?sort=email",
        "/users?sort=activity&dir=desc",
        "/users?q=zz&sort=activity",
        f"/users?after={middle.resource_id}",
        "/groups?q=group+09",
        f"/groups?after={group.resource_id}",
        "/groups/00000000-0000-0000-0000-0000002dc6c0",  # the one that everybody is in
        "/keys?q=turing",
        "/keys?state=active",
        "/activity?q=person.0000500",
        "/activity?q=nobody-of-that-name",
        "/activity?q=Card",
        "/activity?q=Card+of&after=1000",
        f"/activity?person={middle.resource_id}",
        "/activity?kind=user.created",
        f"/activity?after={AuditEvent.select().count() // 2}",
    ]


def measure(client: FlaskClient, path: str, times: int) -> tuple[float, float, int]:
    """Return the median in milliseconds by the clock, the same of the processor alone, which no
    other work on the machine lengthens, and how many statements one answer needs.
    """
    took, worked = [], []
    with counted() as statements:
        answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    gc.disable()
    try:
        for _ in range(times):
            began, before = time.perf_counter(), time.process_time()
            client.get(path).get_data()
            took.append(time.perf_counter() - began)
            worked.append(time.process_time() - before)
    finally:
        gc.enable()
    return median(took) * 1000, median(worked) * 1000, len(statements)


def main() -> int:
    """Fill a store, walk it, say what each page took; return the exit code."""
    parser = argparse.ArgumentParser(prog="make bench-panel", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=1_000)
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("--only", default="", help="paths that have this in them")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        services = set_up(Path(folder) / "data", 8080)
        began = time.monotonic()
        crowd.move_in(chosen.users, chosen.groups)
        print(
            f"{User.select().count():,} users, {Group.select().count():,} groups, "
            f"{SecurityKey.select().count():,} keys, {AuditEvent.select().count():,} lines of the "
            f"log on SQLite, moved in after {time.monotonic() - began:.0f} s"
        )
        app = create_app(services)
        client = app.test_client()
        _, cookie = filling.owner()
        client.set_cookie(web.COOKIE[SessionKind.PANEL], cookie)
        paths = [path for _, path in crawl(app, client)]
        paths += [path for path in lists() if path not in paths]
        slow = []
        print(f"{'page':<66} {'ms':>7} {'cpu':>7} {'queries':>8}   goal {GOAL:.0f} ms")
        for path in paths:
            if chosen.only not in path:
                continue
            took, worked, queries = measure(client, path, chosen.times)
            late = took > GOAL
            slow += [path] * late
            figures = f"{took:>7.1f} {worked:>7.1f} {queries:>8}"
            print(f"{path[:66]:<66} {figures}{'   TOO SLOW' * late}", flush=True)
    print(f"{len(slow)} of {len(paths)} pages are above the goal.")
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
