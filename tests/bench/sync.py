# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A directory's first and second full sync: all of its people and groups, by POST and by Bulk.

The second one changes nothing: it looks everybody up and sends what is there already.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import orjson

from provisioning.models import Group, User
from tests.bench import people, processes
from tests.bench.client import Answer, Connection, WrongAnswer
from tests.bench.operations import Target
from tests.bench.report import Line, at_most
from tests.bench.stage import Stage, sqlite

USERS = 100_000
GROUPS = 1_000
_CONNECTIONS = 4
_MEMBERS = 100
_BY_POST, _BY_BULK = 60.0, 12.0  # seconds
_FLAT = 1.2  # how much more memory there may be at the end than after the first tenth


def run(users: int = USERS, groups: int = GROUPS) -> list[Line]:
    """Sync twice by each way, on a server that is new; print rates and memory."""
    lines: list[Line] = []
    for way, most in ((_by_post, _BY_POST), (_by_bulk, _BY_BULK)):
        with sqlite(0, with_peer=False) as stage:
            lines += _twice(stage, way, most, users, groups)
    return lines


Way = Callable[[Target, int, int], Iterator[Callable[[Connection], None]]]


def _twice(stage: Stage, way: Way, most: float, users: int, groups: int) -> list[Line]:
    name = "by POST" if way is _by_post else "by Bulk"
    web = processes.web(stage.running.pid)
    most_memory, growth = 0.0, 1.0
    spent = []
    for turn in ("first", "second"):
        begun = time.perf_counter()
        told = []
        for work in (way(stage.ours, users, 0), way(stage.ours, 0, groups)):
            memory = _in_parallel(stage.ours.port, list(work), web)
            # What is done for the first time takes memory once: from then on it is to be flat.
            early, late = memory[len(memory) // 10], memory[-1]
            told.append(f"{early:,.0f} to {late:,.0f}")
            most_memory = max(most_memory, *memory)
            growth = max(growth, late / early)
        spent.append(time.perf_counter() - begun)
        rate = (users + groups) / spent[-1]
        print(
            f"{turn} sync of {users:,} users and {groups:,} groups {name}: "
            f"{spent[-1]:.1f} s, {rate:,.0f} resources per s; memory of {len(web)} web processes "
            f"{' MiB with users and '.join(told)} MiB with groups",
            flush=True,
        )
        found = User.select().count(), Group.select().count()
        if found != (users, groups):
            raise WrongAnswer(f"after the {turn} sync there are {found}, not {(users, groups)}")
    return [
        at_most(f"first sync {name}, seconds", spent[0], most),
        at_most(f"memory during the syncs {name}, growth", growth, _FLAT),
        at_most(f"memory during the syncs {name}, MiB", most_memory, 200.0),
    ]


def _in_parallel(
    port: int, work: Sequence[Callable[[Connection], None]], web: list[int]
) -> list[float]:
    """Do the work by several connections; return the memory meanwhile, in MiB."""
    memory: list[float] = []
    waiting = iter(work)
    lock = threading.Lock()
    over = threading.Event()

    def work_off() -> None:
        connection = Connection(port)
        while True:
            with lock:
                each = next(waiting, None)
            if each is None:
                connection.close()
                return
            each(connection)

    def watch() -> None:
        while not over.wait(0.5):
            memory.append(processes.memory(web))
        memory.append(processes.memory(web))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for done in [pool.submit(work_off) for _ in range(_CONNECTIONS)]:
                done.result()
    finally:
        over.set()
        watcher.join()
    return memory


# --- one resource, one request -------------------------------------------------------------------


def _by_post(target: Target, users: int, groups: int) -> Iterator[Callable[[Connection], None]]:
    if users:
        target.users = target.users or [""] * users
    for number in range(users):
        yield lambda connection, number=number: _user(connection, target, number)
    for number in range(groups):
        yield lambda connection, number=number: _group(connection, target, number)


def _user(connection: Connection, target: Target, number: int) -> None:
    if not target.users[number]:
        answer = _sent(connection, target, "POST", "/Users", people.body(number), 201)
        target.users[number] = orjson.loads(answer.body)["id"]
        return
    wanted = quote(f'userName eq "{people.user_name(number)}"')
    answer = _sent(connection, target, "GET", f"/Users?filter={wanted}", None, 200)
    found = orjson.loads(answer.body)["Resources"][0]["id"]
    _sent(connection, target, "PUT", f"/Users/{found}", people.body(number), 200)


def _group(connection: Connection, target: Target, number: int) -> None:
    body = _group_body(target, number)
    if number not in target.groups:
        answer = _sent(connection, target, "POST", "/Groups", body, 201)
        target.groups[number] = orjson.loads(answer.body)["id"]
        return
    _sent(connection, target, "PUT", f"/Groups/{target.groups[number]}", body, 200)


def _group_body(target: Target, number: int) -> dict[str, object]:
    start = number * _MEMBERS % max(1, len(target.users) - _MEMBERS)
    members = target.users[start : start + _MEMBERS]
    return {
        "schemas": [people.GROUP],
        "displayName": f"Group {number}",
        "members": [{"value": each} for each in members],
    }


# --- a hundred in one request --------------------------------------------------------------------


def _by_bulk(target: Target, users: int, groups: int) -> Iterator[Callable[[Connection], None]]:
    if users:
        target.users = target.users or [""] * users
    for part in _parts(range(users), target.bulk):
        yield lambda connection, part=part: _bulk(connection, target, "/Users", part)
    for part in _parts(range(groups), target.bulk):
        yield lambda connection, part=part: _bulk(connection, target, "/Groups", part)


def _bulk(connection: Connection, target: Target, path: str, part: Sequence[int]) -> None:
    operations = [_operation(target, path, number) for number in part]
    body = {"schemas": [people.BULK], "Operations": operations}
    answer = _sent(connection, target, "POST", "/Bulk", body, 200)
    for number, done in zip(part, orjson.loads(answer.body)["Operations"], strict=True):
        if done["status"] not in ("200", "201"):
            raise WrongAnswer(str(done)[:300])
        resource_id = done["location"].rpartition("/")[2]
        if path == "/Users":
            target.users[number] = resource_id
        else:
            target.groups[number] = resource_id


def _operation(target: Target, path: str, number: int) -> dict[str, object]:
    is_user = path == "/Users"
    data = people.body(number) if is_user else _group_body(target, number)
    there = target.users[number] if is_user else target.groups.get(number, "")
    if there:
        return {"method": "PUT", "path": f"{path}/{there}", "data": data}
    return {"method": "POST", "path": path, "bulkId": f"b{number}", "data": data}


def _parts(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    waiting = iter(numbers)
    while part := list(itertools.islice(waiting, size)):
        yield part


def _sent(
    connection: Connection, target: Target, method: str, path: str, body: object, status: int
) -> Answer:
    answer = connection.exchange(target.request(method, path, body))
    if answer.status != status:
        raise WrongAnswer(f"{method} {path} was answered {answer.status} {answer.body[:300]!r}")
    return answer
