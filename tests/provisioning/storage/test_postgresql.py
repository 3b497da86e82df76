# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What only a server can do to us: other processes at the same rows, locks, restarts."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from flask import Flask
from peewee import OperationalError, PeeweeException

from provisioning import audit, keys
from provisioning.audit import CLI, Event
from provisioning.cli import main
from provisioning.clock import now_ms
from provisioning.desks import dispatch, orders
from provisioning.errors import ConfigurationError
from provisioning.lifecycle import JobState, KeyKind, KeyState
from provisioning.mails import outbox
from provisioning.mails.mail import Template
from provisioning.models import (
    ALL,
    AuditEvent,
    Job,
    OutboxMail,
    SecurityKey,
    Setting,
    Station,
    User,
)
from provisioning.services import Services
from provisioning.storage.db import database, open_database, transaction, will_pass
from provisioning.storage.migrate import check_current, migrate
from tests.fakes import people
from tests.fakes.panel import Panel
from tests.scim.pushing import Directory, connect

if TYPE_CHECKING:
    from tests.fakes.postgres import Postgres

pytestmark = [pytest.mark.postgresql, pytest.mark.req("R27")]

STARTED = 60.0  # seconds that a process may take, on a busy machine


@pytest.fixture
def directory(app: Flask) -> Directory:
    return connect(app)


def in_processes(
    count: int, url: str, work: Callable[[], object], meanwhile: Callable[[], object] = lambda: None
) -> list[object]:
    """Run `work` in so many processes, all starting at once; return what each returned."""
    forked = multiprocessing.get_context("fork")
    told = forked.Queue()
    start = forked.Barrier(count + 1)

    def run() -> None:
        open_database(url)
        start.wait(STARTED)
        try:
            told.put((True, work()))
        except Exception as error:  # noqa: BLE001 - the parent must hear of it
            told.put((False, repr(error)))

    database.close()  # a connection must not cross a fork
    processes = [forked.Process(target=run) for _ in range(count)]
    for process in processes:
        process.start()
    start.wait(STARTED)
    meanwhile()
    answers = [told.get(timeout=STARTED) for _ in processes]
    for process in processes:
        process.join(STARTED)
    assert all(well for well, _ in answers), answers
    return [result for _, result in answers]


def in_threads(count: int, work: Callable[[int], object]) -> list[object]:
    """Run `work` with 0, 1, 2 … in so many threads at once, each with its own connection."""
    start = threading.Barrier(count)

    def run(number: int) -> object:
        start.wait(STARTED)
        try:
            return work(number)
        finally:
            database.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def queue_mails(services: Services, count: int) -> None:
    with transaction():
        for number in range(count):
            outbox.queue(
                Template.PIN,
                f"person{number}@example.org",
                vault=services.vault,
                context={
                    "organisation": "Example Hospital",
                    "base_url": services.settings.base_url,
                    "contact": "the desk",
                    "name": "Ada",
                    "key_name": "Card",
                },
                secret="123456",
            )


# --- work that is claimed once -----------------------------------------------------------------


def test_a_job_is_given_to_one_of_the_processes_that_ask_for_it(services: Services) -> None:
    for number in range(15):
        desk = people.station(services, f"Desk {number}")
        with transaction():
            key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "admin", user=None, actor=CLI)
            orders.queue_enrolment(desk, key, services, CLI)

    def claim() -> list[str]:
        claimed = []
        for desk in Station.select().order_by(Station.id):
            with transaction():
                if dispatch.next_ticket(desk, services) is not None:
                    claimed.append(desk.name)
        return claimed

    first, *others = in_processes(3, services.settings.database_url, claim)
    names = [name for claimed in (first, *others) for name in claimed]
    assert sorted(names) == sorted(f"Desk {number}" for number in range(15))
    assert {job.state for job in Job.select()} == {JobState.RUNNING}


def claim_mails() -> list[str]:
    """Claim until there is none left, whatever happens to the server."""
    claimed = []
    while True:
        try:
            with transaction():
                mail = outbox.claim(now_ms())
        except OperationalError as error:
            if not will_pass(error):
                raise
            time.sleep(0.05)
            continue
        if mail is None:
            return claimed
        claimed.append(mail.message_id)


def test_a_mail_is_claimed_by_one_of_the_workers(services: Services) -> None:
    queue_mails(services, 60)
    found = in_processes(3, services.settings.database_url, claim_mails)
    names = [name for claimed in found for name in claimed]
    assert len(names) == len(set(names)) == 60
    assert {mail.attempts for mail in OutboxMail.select()} == {1}


def test_a_restart_of_the_server_in_the_middle_doubles_no_claim(
    services: Services, postgres: Postgres
) -> None:
    queue_mails(services, 400)
    found = in_processes(3, services.settings.database_url, claim_mails, postgres.restart)
    names = [name for claimed in found for name in claimed]
    assert len(names) == len(set(names))
    assert len(names) >= 400 - 3  # each may have lost the answer to its last commit
    assert {mail.attempts for mail in OutboxMail.select()} == {1}


# --- writers at once ---------------------------------------------------------------------------


@pytest.mark.req("R7")
def test_of_those_who_post_one_name_at_once_one_wins(directory: Directory) -> None:
    spellings = ("ada", "ADA", "Ada", "ａｄａ", " ada ", "adA")

    def post(number: int) -> tuple[int, object]:
        answer = directory("POST", "/Users", {"userName": spellings[number]})
        return answer.status_code, answer.get_json(force=True).get("scimType")

    answers = in_threads(len(spellings), post)
    assert sorted(answers, key=str) == [(201, None)] + [(409, "uniqueness")] * 5
    assert User.select().count() == 1


@pytest.mark.req("R26")
def test_processes_that_write_at_once_leave_a_whole_audit_log(services: Services) -> None:
    def write() -> None:
        for number in range(20):
            with transaction():
                audit.record(CLI, Event.USER_CREATED, number=number)

    in_processes(3, services.settings.database_url, write)
    assert audit.verify() == audit.Verdict(60, None, "")


@pytest.mark.req("R16")
def test_an_activation_beside_the_cascade_leaves_no_active_key(directory: Directory) -> None:
    """Each reads before it writes; were they interleaved, the later save would win."""
    for number in range(8):
        made = directory.user(f"user{number}")
        key = people.pending_key(User.get(User.resource_id == made["id"]))
        with transaction():
            keys.register(key, people.registration(), "localhost", CLI)

    def leave(number: int) -> int:
        user = User.get(User.user_name == f"user{number // 2}")
        if number % 2:
            gone = {"op": "replace", "path": "active", "value": False}
            return directory.patch(f"/Users/{user.resource_id}", gone).status_code
        with transaction():
            key = SecurityKey.get(SecurityKey.user == user)
            if key.state == KeyState.PENDING:
                keys.activate(key, CLI)
        return 200

    assert set(in_threads(16, leave)) == {200}
    assert {key.state for key in SecurityKey.select()} == {KeyState.SUSPENDED}
    assert audit.verify().whole


def test_a_transaction_says_its_isolation_itself(services: Services, postgres: Postgres) -> None:
    postgres.run("ALTER DATABASE tested SET default_transaction_isolation = 'serializable'")
    try:
        database.close()
        with transaction():
            assert _shown("transaction_isolation") == "read committed"
    finally:
        postgres.run("ALTER DATABASE tested RESET default_transaction_isolation")


def test_a_commit_is_on_disk_before_it_is_answered(services: Services) -> None:
    assert _shown("synchronous_commit") == "on"


def _shown(setting: str) -> object:
    return database.execute_sql(f"SHOW {setting}").fetchone()[0]


# --- a server that is away, busy or restarted --------------------------------------------------


def test_after_a_restart_the_next_request_works(directory: Directory, postgres: Postgres) -> None:
    made = directory.user("ada")
    postgres.restart()
    assert directory("GET", f"/Users/{made['id']}").status_code == 200
    postgres.restart()
    assert directory("POST", "/Users", {"userName": "grace"}).status_code == 201
    with transaction():
        audit.record(CLI, Event.USER_CREATED)
    postgres.restart()
    with transaction():
        audit.record(CLI, Event.USER_CREATED)
    assert audit.verify().whole


def test_what_a_restart_cuts_off_is_undone_and_never_counts_as_done(
    services: Services, postgres: Postgres
) -> None:
    def cut_in_the_middle() -> None:
        with transaction():
            Setting.create(name="in the middle", value="1")
            postgres.restart()
            Setting.create(name="later", value="1")

    def cut_at_the_end() -> None:  # on a new connection the commit would seem to succeed
        with transaction():
            Setting.create(name="at the end", value="1")
            postgres.restart()

    def cut_inside() -> None:
        with transaction(), transaction():
            Setting.create(name="inside", value="1")
            postgres.restart()

    for cut in (cut_in_the_middle, cut_at_the_end, cut_inside):
        with pytest.raises(OperationalError) as told:
            cut()
        assert will_pass(told.value)
    assert Setting.select().where(Setting.name != "rp_id").count() == 0


@pytest.fixture
def stopped(postgres: Postgres) -> Iterator[Callable[[], None]]:
    yield postgres.stop
    postgres.start()


def test_while_the_server_is_away_every_door_says_come_back(
    directory: Directory, stopped: Callable[[], None]
) -> None:
    stopped()
    browser = directory.app.test_client()
    answers = [
        directory("GET", "/Users"),
        browser.get("/sign-in"),
        browser.get("/healthz"),
        browser.post("/station/v1/poll", json={}),
    ]
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [
        (503, "5")
    ] * 4
    assert answers[0].get_json(force=True)["status"] == "503"
    assert "Back in a moment" in answers[1].text
    for answer in answers:
        assert "socket" not in answer.text


def test_a_command_says_in_a_line_that_the_server_is_away(
    services: Services, stopped: Callable[[], None]
) -> None:
    database.close()
    stopped()
    folder = str(services.settings.data)
    (services.settings.data / "keywright.env").write_text(
        f"KEYWRIGHT_BASE_URL={services.settings.base_url}\n"
    )
    services.vault.create(services.settings.data / "keys")
    result = CliRunner().invoke(main, ["token", "list", "--data", folder])
    assert result.exit_code == 1
    assert result.output.startswith("Error: The database does not answer: ")
    assert result.output.count("\n") == 1


def test_a_writer_that_waits_too_long_is_told_to_come_back(
    directory: Directory, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.storage.postgresql._SESSION", "SET lock_timeout = '100ms'")
    database.close()
    assert directory("POST", "/Users", {"userName": "ada"}).status_code == 201
    turn, over = threading.Event(), threading.Event()

    def hang() -> None:
        with transaction():
            _shown("lock_timeout")  # the turn is taken with the first statement
            turn.set()
            over.wait(STARTED)
        database.close()

    other = threading.Thread(target=hang)
    other.start()
    assert turn.wait(STARTED)
    try:
        answer = directory("POST", "/Users", {"userName": "grace"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert directory("GET", "/Users").status_code == 200  # readers wait for nobody
    finally:
        over.set()
        other.join()
    assert directory("POST", "/Users", {"userName": "grace"}).status_code == 201


@pytest.mark.parametrize("by_cursor", [True, False])
def test_who_was_thrown_out_for_hanging_may_come_again(
    services: Services, monkeypatch: pytest.MonkeyPatch, by_cursor: bool
) -> None:
    session = "SET idle_in_transaction_session_timeout = '20ms'"
    monkeypatch.setattr("provisioning.storage.postgresql._SESSION", session)
    database.close()
    ask = database.execute_sql if by_cursor else database.obj.run

    def hang() -> None:
        with transaction():
            ask("SELECT 1", ())
            time.sleep(0.2)
            ask("SELECT 1", ())

    with pytest.raises(PeeweeException) as told:
        hang()
    assert will_pass(told.value)
    assert Setting.select().count() == 0, "and on another connection everything works"


def test_what_no_repetition_mends_is_not_to_be_repeated(services: Services) -> None:
    for ask in (database.execute_sql, database.obj.run):
        with pytest.raises(OperationalError, match="too large") as told:
            ask("SELECT repeat('x', 2000000000)", ())
        assert not will_pass(told.value)
        with pytest.raises(PeeweeException) as told:
            ask("SELECT 1 / 0", ())
        assert not will_pass(told.value)


def test_a_process_that_hangs_in_its_turn_is_thrown_out(services: Services) -> None:
    assert _shown("idle_in_transaction_session_timeout") == "1min"
    assert _shown("lock_timeout") == "20s"


# --- the schema --------------------------------------------------------------------------------


@pytest.fixture
def new(postgres: Postgres) -> Iterator[str]:
    """The address of a database without tables."""
    database.close()
    yield postgres.create("new")
    database.close()
    postgres.drop("new")


def test_of_two_who_migrate_at_once_one_does_it(new: str) -> None:
    applied = in_processes(3, new, lambda: migrate(database))
    assert sorted(applied, key=str) == [["0001_initial"], [], []]
    check_current(open_database(new))


def test_all_text_compares_by_code_point(services: Services) -> None:
    collations = database.execute_sql(
        "SELECT DISTINCT collation_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND collation_name IS NOT NULL"
        " AND table_name <> 'schema_migration'"
    ).fetchall()
    assert collations == [("C",)]
    Setting.insert_many(
        [{"name": name, "value": ""} for name in ("ä", "b", "Z", "a", "\U0001f511", "\uffee")]
    ).execute()
    names = [row.name for row in Setting.select().order_by(Setting.name)]
    assert [name for name in names if name != "rp_id"] == sorted(
        ["ä", "b", "Z", "a", "\U0001f511", "\uffee"]
    )


def test_the_tables_have_the_columns_of_the_models(services: Services) -> None:
    for table in ALL:
        there = {column.name for column in database.get_columns(table._meta.table_name)}
        assert there == {field.column_name for field in table._meta.sorted_fields}


def test_a_database_that_cannot_store_every_name_is_refused(postgres: Postgres) -> None:
    postgres.run(
        "CREATE DATABASE latin ENCODING LATIN1 LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    )
    try:
        with pytest.raises(ConfigurationError, match="encoding is LATIN1, not UTF8"):
            migrate(open_database(postgres.url("latin")))
        database.close()
    finally:
        postgres.drop("latin")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://keywright:hunter2@host:port/db",
        "postgresql://keywright:hunter2@host/db?colour=blue",
        "postgresql://keywright:hunter2@[::1/db",
    ],
)
def test_an_address_that_means_nothing_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="KEYWRIGHT_DATABASE_URL") as refused:
        open_database(url)
    assert "hunter2" not in str(refused.value)


def test_both_spellings_of_the_address_work(services: Services, postgres: Postgres) -> None:
    open_database(postgres.url("tested").replace("postgresql://", "postgres://"))
    assert AuditEvent.select().count() == 0


def test_a_text_with_a_nul_is_refused_and_no_fault_of_ours(directory: Directory) -> None:
    assert (
        directory("POST", "/Users/.search", {"filter": r'userName eq "\u0000"'}).status_code == 400
    )
    assert directory("GET", "/Users/%00").status_code == 400
    assert Panel(directory.app).get("/users?q=%00").status_code == 400
