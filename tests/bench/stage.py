# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The servers of one run, filled and listening, and what an operation needs before it is timed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from provisioning.models import Connection
from provisioning.services import Services
from provisioning.storage.db import database, is_sqlite
from tests.bench import client, commits, loading, operations, servers
from tests.bench.measuring import Figures, measure
from tests.bench.operations import GROUP_SIZES, Operation, Target
from tests.fakes.postgres import Postgres


@dataclass
class Stage:
    """What runs, and where from."""

    services: Services
    connection: Connection
    running: servers.Running
    ours: Target
    hello: Target
    commits: Callable[[int], float]
    peer: Target | None = None
    peer_lacks: str = ""  # why there is no peer

    def measured(self, operation: Operation) -> Figures:
        """Put in place what the operation needs, and measure it."""
        self._prepare(operation)
        return measure(operation, self.ours, self.hello, self.commits, self.peer)

    def _prepare(self, operation: Operation) -> None:
        if operation.requests is operations.deactivate:
            loading.add_leavers(self.ours, self.services, self.connection, operation.needs())
            if self.peer is not None:
                loading.fill_peer_leavers(self.peer, operation.peer_needs())
        elif operation.name.startswith("one member") and not self.ours.groups:
            loading.add_users(self.ours, self.connection, max(GROUP_SIZES) + loading.SPARE)
            loading.add_groups(self.ours, self.connection)
        if not is_sqlite():
            database.execute_sql("ANALYZE")  # as autovacuum does, within a minute


@contextmanager
def sqlite(users: int, *, with_peer: bool) -> Iterator[Stage]:
    """Set up and start all three, with SQLite in a folder that is gone afterwards."""
    with ExitStack() as stack:
        # Beside the checkout and not in memory: a commit is to reach a disk.
        servers.CACHE.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(TemporaryDirectory(dir=servers.CACHE))
        yield _staged(stack, Path(folder) / "data", "", users, with_peer=with_peer)


@contextmanager
def postgresql(users: int) -> Iterator[Stage]:
    """The same on a PostgreSQL server of our own that syncs what it commits, without the peer.

    Raises PostgresUnavailable.
    """
    with ExitStack() as stack:
        servers.CACHE.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(TemporaryDirectory(dir=servers.CACHE))
        server = Postgres(durable=True)
        stack.callback(server.close)
        server.start()
        url = server.create("bench")
        yield _staged(stack, Path(folder) / "data", url, users, with_peer=False)


def _staged(
    stack: ExitStack, data: Path, database_url: str, users: int, *, with_peer: bool
) -> Stage:
    port = servers.free_port()
    services = loading.set_up(data, port, database_url)
    stack.callback(database.close)
    connection, token = loading.connect()
    ours = Target("ours", port, "/scim/v2", token)
    yardstick = stack.enter_context(servers.hello(services.settings))
    hello = Target("hello", yardstick.port, "/hello", token)
    peer, lacks, filling = None, "", None
    if with_peer:
        try:
            started = stack.enter_context(servers.peer(token))
        except servers.CannotStart as error:
            lacks = str(error)
        else:
            peer = Target("scim2-server", started.port, "/v2", token)
            peer.discover(client.Connection(peer.port))
            filling = threading.Thread(target=loading.fill_peer, args=(peer, users))
            filling.start()
    loading.add_users(ours, connection, users)
    if filling is not None:
        filling.join()
    running = stack.enter_context(servers.product(data, port))
    ours.discover(client.Connection(port))
    timed = stack.enter_context(commits.bare(data.parent, database_url))
    return Stage(services, connection, running, ours, hello, timed, peer, lacks)
