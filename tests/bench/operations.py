# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is measured: each operation as a stream of requests, with what it is to reach.

Requests are made before the clock runs. No two of a stream are alike where a directory would not
repeat itself: another user, another value, another name.
"""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

import orjson

from tests.bench import people
from tests.bench.client import Connection, WrongAnswer, request

PAGE = 100
GROUP_SIZES = (500, 10_000)
BULK_OPERATIONS = 1_000


@dataclass
class Target:
    """A server under test, and what has been put into it."""

    name: str
    port: int
    prefix: str
    token: str
    users: list[str] = field(default_factory=list)  # ids; the place is the person's number
    leavers: list[str] = field(default_factory=list)  # active, with all that a cascade ends
    groups: dict[int, str] = field(default_factory=dict)  # by their number of members
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10_000_000))
    leaving: Iterator[int] = field(default_factory=lambda: itertools.count(20_000_000))
    bulk: int = 0  # operations that one request may hold
    cursors: bool = False

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """Return a request as a directory sends it."""
        headers = {
            "Host": f"localhost:{self.port}",
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/scim+json",
            "User-Agent": "bench",
        }
        return request(
            method, self.prefix + path, headers, orjson.dumps(body) if body is not None else None
        )

    def discover(self, connection: Connection) -> None:
        """Learn what it offers from its ServiceProviderConfig."""
        answer = connection.exchange(self.request("GET", "/ServiceProviderConfig"))
        if answer.status != 200:
            raise WrongAnswer(f"{self.name}: ServiceProviderConfig was answered {answer.status}")
        offers = orjson.loads(answer.body)
        bulk = offers.get("bulk") or {}
        self.bulk = (
            min(BULK_OPERATIONS, bulk.get("maxOperations") or 0) if (bulk.get("supported")) else 0
        )
        self.cursors = bool((offers.get("pagination") or {}).get("cursor"))


Requests = Callable[[Target], Iterator[bytes]]


@dataclass(frozen=True)
class Aim:
    """A figure to reach, and the one below which the run fails; None where there is none."""

    goal: float
    floor: float


@dataclass(frozen=True)
class Operation:
    """A row of the table. `block` and `peer_block` are how many are done in one turn."""

    name: str
    status: int
    requests: Requests
    of_hello: Aim | None
    times_peer: Aim | None
    block: int
    peer_block: int
    cycles: int = 30
    peer_cycles: int = 10
    is_bulk: bool = False
    commits: bool = False  # each request is one commit

    def in_one_request(self, target: Target) -> int:
        """Return how many are done by one request."""
        return target.bulk if self.is_bulk else 1

    def needs(self) -> int:
        """Return how many requests of ours a run takes, one warm-up block included."""
        return self.block * (self.cycles + 1)

    def peer_needs(self) -> int:
        """Return how many a peer's run takes."""
        return self.peer_block * (self.peer_cycles + 1)


def _shuffled(target: Target) -> Iterator[int]:
    order = list(range(len(target.users)))
    random.Random(2026).shuffle(order)
    return itertools.cycle(order)


def get(target: Target) -> Iterator[bytes]:
    """Read one user after another by id."""
    for number in _shuffled(target):
        yield target.request("GET", f"/Users/{target.users[number]}")


def by_user_name(target: Target) -> Iterator[bytes]:
    """Look users up as every directory does before it writes; half of them differ in case."""
    for number in _shuffled(target):
        name = people.user_name(number)
        wanted = quote(f'userName eq "{name.lower() if number % 2 else name}"')
        yield target.request("GET", f"/Users?filter={wanted}")


def by_external_id(target: Target) -> Iterator[bytes]:
    """The same by the directory's own id."""
    for number in _shuffled(target):
        wanted = quote(f'externalId eq "{people.external_id(number)}"')
        yield target.request("GET", f"/Users?filter={wanted}")


def pages(target: Target) -> Iterator[bytes]:
    """Read all users, first page to last, by cursor where there are cursors (RFC 9865)."""
    return itertools.cycle(_by_cursor(target) if target.cursors else _by_index(target))


def _by_cursor(target: Target) -> list[bytes]:
    # A cursor is a place in the list and not a thing that the server keeps, so the pages can be
    # asked for again: walk once before the clock runs.
    connection, cursor, found = Connection(target.port), "", []
    while cursor is not None:
        message = target.request("GET", f"/Users?count={PAGE}&cursor={quote(cursor)}")
        answer = connection.exchange(message)
        if answer.status != 200:
            raise WrongAnswer(f"{target.name}: a page was answered {answer.status}")
        cursor = orjson.loads(answer.body).get("nextCursor")
        found.append(message)
    connection.close()
    return found


def _by_index(target: Target) -> list[bytes]:
    starts = list(range(1, len(target.users) + 1, PAGE))
    if not target.prefix.startswith("/scim"):
        # At a quarter of a second for a page, a peer is asked for some from all over the list.
        random.Random(2026).shuffle(starts)
    return [target.request("GET", f"/Users?startIndex={start}&count={PAGE}") for start in starts]


def changed_since(target: Target) -> Iterator[bytes]:
    """Ask what has changed just now, as clients do that poll: next to nothing."""
    wanted = quote(f'meta.lastModified gt "{datetime.now(UTC).isoformat()}"')
    return itertools.repeat(target.request("GET", f"/Users?filter={wanted}"))


def groups(target: Target) -> Iterator[bytes]:
    """Create groups with a hundred members each."""
    for number in target.numbers:
        first = number * PAGE % (len(target.users) - PAGE)
        members = [{"value": each} for each in target.users[first : first + PAGE]]
        body = {"schemas": [people.GROUP], "displayName": f"Of {number}", "members": members}
        yield target.request("POST", "/Groups", body)


def post(target: Target) -> Iterator[bytes]:
    """Create people whom nobody has yet."""
    for number in target.numbers:
        yield target.request("POST", "/Users", people.body(number))


def deactivate(target: Target) -> Iterator[bytes]:
    """Let people go: each has a key, a session and a link."""
    patch = {
        "schemas": [people.PATCH],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }
    while target.leavers:
        yield target.request("PATCH", f"/Users/{target.leavers.pop()}", patch)


def member(size: int) -> Requests:
    """Return the operation that adds one user to a group and removes the user again."""

    def requests(target: Target) -> Iterator[bytes]:
        path = f"/Groups/{target.groups[size]}"
        for number in itertools.count():
            # Those behind the group's own members, one after the other.
            user = target.users[-1 - number % 50]
            for operation in (
                {"op": "add", "path": "members", "value": [{"value": user}]},
                {"op": "remove", "path": f'members[value eq "{user}"]'},
            ):
                yield target.request(
                    "PATCH", path, {"schemas": [people.PATCH], "Operations": [operation]}
                )

    return requests


def bulk(target: Target) -> Iterator[bytes]:
    """Create people by Bulk requests, as large as the server takes them."""
    while True:
        operations = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": uuid.uuid4().hex,
                "data": people.body(number),
            }
            for number in itertools.islice(target.numbers, target.bulk)
        ]
        yield target.request("POST", "/Bulk", {"schemas": [people.BULK], "Operations": operations})


# Goals and floors: what a prototype without any features reached, and what is owed at least.
POST = Operation("POST /Users", 201, post, Aim(0.35, 0.25), Aim(3, 2), 20, 10, commits=True)
GET = Operation("GET /Users/{id}", 200, get, Aim(0.70, 0.55), Aim(5, 3), 50, 25)
OPERATIONS = (
    GET,
    Operation("filter userName eq", 200, by_user_name, Aim(0.55, 0.45), Aim(6, 4), 50, 25),
    Operation("filter externalId eq", 200, by_external_id, Aim(0.55, 0.45), Aim(6, 4), 50, 25),
    Operation(
        "list, 100 per page, by cursor",
        200,
        pages,
        Aim(0.33, 0.20),
        Aim(150, 50),
        25,
        1,
        peer_cycles=6,
    ),
    POST,
    Operation(
        "PATCH active=false, the cascade",
        200,
        deactivate,
        Aim(0.35, 0.25),
        Aim(3, 2),
        16,
        8,
        cycles=14,
        commits=True,
    ),
    Operation(
        "one member, group of 500",
        204,
        member(500),
        Aim(0.45, 0.30),
        Aim(50, 25),
        20,
        2,
        peer_cycles=5,
        commits=True,
    ),
    Operation(
        "one member, group of 10,000",
        204,
        member(10_000),
        Aim(0.45, 0.30),
        Aim(1_500, 500),
        20,
        2,
        peer_cycles=2,
        commits=True,
    ),
)

# Beside scim2-server, at least four times our own POST rate, better five.
BULK = Operation(
    "Bulk, 1,000 operations",
    200,
    bulk,
    None,
    Aim(16, 8),
    BULK_OPERATIONS,
    BULK_OPERATIONS,
    cycles=5,
    peer_cycles=3,
    is_bulk=True,
)
TIMES_POST = Aim(5, 4)
