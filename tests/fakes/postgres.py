# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A real PostgreSQL of our own: a private cluster that lives as long as the test session.

It listens on a Unix socket in its own folder and nowhere else, so that it neither disturbs nor
needs the machine's own cluster. Nothing is synced to disk, unless somebody measures: that is the
server's duty, not what these tests are about. The databases sort text by English rules, so that
whatever forgets to ask for code points is found.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the unit lane runs without the driver
    import psycopg

    Connection = psycopg.Connection[tuple[object, ...]]

BINARIES = Path("/usr/lib/postgresql")
PACKAGE = (
    "The PostgreSQL tests need Debian's package postgresql and psycopg 3: "
    "apt-get install -y postgresql && uv sync --extra postgresql"
)
START_SECONDS = 30.0
ROLE = "keywright"  # no superuser: what the product needs is what the owner of a database may do

_SETTINGS = ("listen_addresses=", "max_connections=80")
_HASTY = ("fsync=off", "full_page_writes=off", "autovacuum=off")


class PostgresUnavailable(RuntimeError):
    """PostgreSQL cannot be had here; the text says what to install or what it said itself."""


class Postgres:
    """A server with databases by name; `start` and, at the end, `close`.

    A `durable` one syncs what it commits and cleans up after itself, for measurements.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._settings = _SETTINGS if durable else (*_SETTINGS, *_HASTY)
        # A socket's path has room for 107 bytes, and a temporary folder may be deep.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: Connection | None = None
        self._emptying: dict[str, str] = {}
        self.log = self.folder / "log"

    def close(self) -> None:
        """Stop it and leave no file behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, the first time and after `stop`. Raises PostgresUnavailable."""
        if importlib.util.find_spec("psycopg") is None:
            raise PostgresUnavailable(PACKAGE)
        from psycopg import OperationalError

        new = not (self.folder / "data").exists()
        if new:
            self._initdb()
        command: list[object] = ["setpriv", "--pdeathsig", "INT"]  # not to outlive a killed session
        command += [_binary("postgres"), "-D", self.folder / "data", "-k", self.folder]
        command += [word for each in self._settings for word in ("-c", each)]
        account = _account()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=account,
                group=account,
            )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OperationalError):
                self._admin = self._connect("postgres")
                break
            time.sleep(0.02)
        if self._admin is None:
            raise PostgresUnavailable(f"PostgreSQL did not start: {self.log.read_text()[-500:]}")
        if new:
            self.run(f"CREATE ROLE {ROLE} LOGIN")

    def stop(self) -> None:
        """End it at once and all connections with it, as `pg_ctl stop -m fast` does."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Do as `pg_ctl restart -m fast` does: whoever is connected is thrown out."""
        self.stop()
        self.start()

    def run(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Run a statement as the superuser and return its rows."""
        assert self._admin is not None
        cursor = self._admin.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def create(self, name: str, template: str = "template1") -> str:
        """Make a database and return its address."""
        self.run(f'CREATE DATABASE "{name}" OWNER {ROLE} TEMPLATE {template} STRATEGY file_copy')
        return self.url(name)

    def empty(self, name: str) -> None:
        """Bring a migrated database back to its first moment: quicker than to make a new one."""
        self.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
        with self._connect(name) as connection:
            if name not in self._emptying:
                self._emptying[name] = _emptying(connection)
            connection.execute(self._emptying[name])

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def url(self, name: str) -> str:
        """The address of a database, as KEYWRIGHT_DATABASE_URL has it."""
        return f"postgresql://{ROLE}@/{name}?host={self.folder}"

    def _connect(self, name: str) -> Connection:
        import psycopg

        return psycopg.connect(host=str(self.folder), user="postgres", dbname=name, autocommit=True)

    def _initdb(self) -> None:
        account = _account()
        if account is not None:
            shutil.chown(self.folder, account, account)
        command: list[str | Path] = [
            _binary("initdb"),
            "-D",
            self.folder / "data",
            "--auth",
            "trust",
        ]
        command += ["--username", "postgres", "--encoding", "UTF8", "--locale", "C.UTF-8"]
        command += ["--locale-provider", "icu", "--icu-locale", "en-US"]
        command += ["--no-sync", "--no-instructions"]
        made = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            user=account,
            group=account,
        )
        if made.returncode != 0:
            raise PostgresUnavailable(f"initdb failed: {made.stderr.strip()[-500:]}")


def _emptying(connection: Connection) -> str:
    tables = connection.execute(
        "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migration'"
    ).fetchall()
    sequences = connection.execute(
        "SELECT quote_literal(sequencename) FROM pg_sequences"
        " WHERE schemaname = 'public' AND sequencename <> 'schema_migration_id_seq'"
    ).fetchall()
    return ";".join(
        # Foreign keys are triggers, and a replica fires none: the order does not matter.
        ["SET session_replication_role = replica"]
        + [f"DELETE FROM {table}" for (table,) in tables]
        + [f"SELECT setval({sequence}, 1, false)" for (sequence,) in sequences]
    )


def _binary(name: str) -> Path:
    versions = [int(each.name) for each in BINARIES.glob("*") if each.name.isdecimal()]
    found = BINARIES / str(max(versions, default=0)) / "bin" / name
    if not found.exists():
        raise PostgresUnavailable(PACKAGE)
    return found


def _account() -> str | None:
    """PostgreSQL refuses to run as root; its package brings an account that may."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise PostgresUnavailable(PACKAGE) from None
