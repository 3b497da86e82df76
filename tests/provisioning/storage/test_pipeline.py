# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Kept statements on PostgreSQL: in how many messages they travel, and what a failure leaves."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from peewee import DataError, IntegrityError, InternalError, ProgrammingError

from provisioning import audit
from provisioning.audit import CLI, Event
from provisioning.errors import InvalidValue
from provisioning.models import Setting, User
from provisioning.services import Services
from provisioning.storage import pipeline
from provisioning.storage.db import database, transaction
from provisioning.storage.statements import Statements, parameter
from tests.fakes import people, queries

pytestmark = pytest.mark.postgresql

BY_ID = Statements(lambda table: table.select(table.id).where(table.id == parameter(0)))
NAMED = Statements(lambda: Setting.select(Setting.value).where(Setting.name == parameter(0)))
ADD = Statements(lambda: Setting.insert({"name": parameter(0), "value": parameter(1)}))
SET = Statements(lambda: Setting.update(value=parameter(0)).where(Setting.name == parameter(1)))
WRONG = "SELECT 1 FROM nowhere WHERE 1 = %s"


@pytest.fixture
def journeys(services: Services) -> Iterator[list[list[str]]]:
    """The messages to the server, each as the first words of its statements."""
    people.person()
    with queries.journeys() as said:
        yield said


def transactional(work: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        with transaction():
            work()

    return run


def say_twice() -> None:
    ADD.say((), ("twice", "1"))
    ADD.say((), ("twice", "2"))


BEGINS = ["BEGIN", "SELECT", "SELECT"]  # the lock, and the question for the log's head


def test_a_transaction_begins_with_its_first_question(journeys: list[list[str]]) -> None:
    with transaction():
        assert journeys == []
        BY_ID.rows((User,), (1,))
    assert journeys == [[*BEGINS, "SELECT"], ["COMMIT"]]


def test_a_transaction_that_asks_nothing_is_never_said(journeys: list[list[str]]) -> None:
    with transaction():
        BY_ID.ahead((User,), (1,))
    with pytest.raises(KeyError), transaction():
        raise KeyError
    assert journeys == []


def test_what_is_asked_ahead_travels_with_the_next_question(journeys: list[list[str]]) -> None:
    with transaction():
        asked = BY_ID.ahead((User,), (1,))
        assert BY_ID.rows((User,), (1,)) == asked()
    assert journeys == [[*BEGINS, "SELECT", "SELECT"], ["COMMIT"]]
    journeys.clear()
    with transaction():
        BY_ID.ahead((User,), (1,))()
    assert journeys == [[*BEGINS, "SELECT"], ["COMMIT"]]
    assert BY_ID.ahead((User,), (1,))() == BY_ID.rows((User,), (1,))


def test_what_needs_no_answer_travels_with_the_commit(journeys: list[list[str]]) -> None:
    with transaction():
        BY_ID.rows((User,), (1,))
        audit.record(CLI, Event.USER_CHANGED)
    assert journeys == [[*BEGINS, "SELECT"], ["INSERT", "UPDATE", "COMMIT"]]
    assert audit.verify().whole


def test_what_is_said_alone_is_done(journeys: list[list[str]]) -> None:
    with transaction():
        ADD.say((), ("in a transaction", "1"))
    ADD.say((), ("by itself", "1"))
    assert journeys == [[*BEGINS, "INSERT", "COMMIT"], ["INSERT"]]
    assert NAMED.rows((), ("in a transaction",)) == NAMED.rows((), ("by itself",)) == [("1",)]


def test_what_is_said_is_done_before_any_other_statement(journeys: list[list[str]]) -> None:
    with transaction():
        ADD.say((), ("said", "1"))
        assert Setting.get(Setting.name == "said").value == "1"  # by a cursor of the driver


def test_a_savepoint_costs_no_journey(journeys: list[list[str]]) -> None:
    with transaction():
        with transaction():
            ADD.rows((), ("kept", "1"))
        with suppress(KeyError), transaction():
            ADD.rows((), ("undone", "1"))
            raise KeyError
        assert NAMED.rows((), ("undone",)) == []
    assert journeys == [
        [*BEGINS, "SAVEPOINT", "INSERT"],
        ["RELEASE", "SAVEPOINT", "INSERT"],
        ["ROLLBACK", "RELEASE", "SELECT"],
        ["COMMIT"],
    ]
    assert NAMED.rows((), ("kept",)) == [("1",)]


def test_what_fails_in_a_savepoint_is_undone_there_alone(services: Services) -> None:
    @transactional
    def fail() -> None:
        ADD.rows((), ("with it", "1"))
        ADD.rows((), ("there", "2"))

    with transaction():
        ADD.rows((), ("there", "1"))
        with pytest.raises(IntegrityError):
            fail()
        ADD.rows((), ("after it", "1"))
    assert NAMED.rows((), ("with it",)) == []
    assert NAMED.rows((), ("there",)) == NAMED.rows((), ("after it",)) == [("1",)]


def test_what_fails_on_the_way_to_the_commit_undoes_everything(services: Services) -> None:
    with pytest.raises(IntegrityError):
        transactional(say_twice)()
    assert NAMED.rows((), ("twice",)) == []


def test_an_answer_that_never_came_is_no_answer_and_nothing_is_committed(
    services: Services,
) -> None:
    @transactional
    def go_on_in_spite_of_it() -> None:
        say_twice()
        asked = NAMED.ahead((), ("twice",))
        for error in (IntegrityError, InternalError):
            with pytest.raises(error):
                asked()

    with pytest.raises(InternalError, match="rolled back"):
        go_on_in_spite_of_it()


def test_a_statement_that_cannot_be_prepared_is_tried_anew_each_time(services: Services) -> None:
    for _ in range(2):
        with pytest.raises(ProgrammingError, match="nowhere"):
            database.obj.run(WRONG, (1,))
        with pytest.raises(ProgrammingError, match="nowhere"), transaction():
            database.obj.run(WRONG, (1,))

    @transactional
    def behind_another() -> None:
        database.obj.say(WRONG, (1,))
        NAMED.rows((), ("never reached, so never prepared",))

    with pytest.raises(ProgrammingError, match="nowhere"):
        behind_another()
    assert NAMED.rows((), ("organisation",)) == []


def test_numbers_of_every_size_share_one_prepared_statement(services: Services) -> None:
    for number in (1, 70_000, 2**40):
        BY_ID.rows((User,), (number,))
    assert prepared('SELECT "t1"."id" FROM "user"%') == 1


def test_what_is_prepared_is_bounded(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_PREPARED", 5)
    database.close()
    for number in range(12):
        assert database.obj.run(f"SELECT {number}, %s::int", (7,)).fetchall() == [(number, 7)]
        assert database.obj.run("SELECT 'often'", ()).fetchall() == [("often",)]
    assert prepared("SELECT%") == 5
    assert prepared("SELECT 'often'") == 1


@pytest.fixture
def full(services: Services, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Fill up what may be prepared on a connection, of which there is little."""
    monkeypatch.setattr(pipeline, "MAX_PREPARED", 5)
    database.close()

    def fill() -> None:
        for number in range(5):
            database.obj.run(f"SELECT {number}", ())

    return fill


def test_a_failure_is_undone_with_no_room_to_prepare_how(full: Callable[[], None]) -> None:
    @transactional
    def fail() -> None:
        full()
        for _ in range(2):
            ADD.rows((), ("twice", "1"))

    with pytest.raises(IntegrityError):
        fail()
    with transaction():
        with pytest.raises(IntegrityError):
            fail()
        ADD.rows((), ("after it", "1"))
    assert NAMED.rows((), ("twice",)) == []
    assert NAMED.rows((), ("after it",)) == [("1",)]


def test_what_makes_room_and_comes_to_nothing_is_prepared_still(full: Callable[[], None]) -> None:
    @transactional
    def change_ones_mind() -> None:
        for number in range(5, 12):
            database.obj.say(f"SELECT {number}")
        raise KeyError

    @transactional
    def fail() -> None:
        database.obj.say("SELECT 1 / 0")
        full()

    for _ in range(4):
        full()
        with pytest.raises(KeyError):
            change_ones_mind()
        with pytest.raises(DataError):
            fail()
    assert prepared("%") == 5


def prepared(like: str) -> int:
    asked = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s"
    return int(database.execute_sql(asked, (like,)).fetchone()[0])


def test_a_percent_sign_is_one(services: Services) -> None:
    assert database.obj.run("SELECT 7 %% %s, 'a%%'", (4,)).fetchall() == [(3, "a%")]
    assert database.obj.run("SELECT '%%s%%%%s', %s", ("a",)).fetchall() == [("%s%%s", "a")]


def test_a_number_that_no_column_holds_is_refused(services: Services) -> None:
    with pytest.raises(DataError):
        BY_ID.rows((User,), (2**70,))


def test_a_text_with_a_nul_is_refused_before_it_is_said(journeys: list[list[str]]) -> None:
    with pytest.raises(InvalidValue), transaction():
        ADD.say((), ("nul", "\0"))
    assert journeys == []


def test_what_is_larger_than_a_socket_holds_arrives_at_a_server_that_is_slow(
    services: Services,
) -> None:
    (server,) = database.execute_sql("SELECT pg_backend_pid()").fetchone()
    os.kill(server, signal.SIGSTOP)
    waking = threading.Timer(0.3, os.kill, (server, signal.SIGCONT))
    waking.start()
    # Where the rest is never sent the server waits for it, and we for the server.
    killing = threading.Timer(20, os.kill, (server, signal.SIGTERM))
    killing.start()
    try:
        ADD.change((), ("large", "x" * 4_000_000))
    finally:
        killing.cancel()
        waking.join()
    assert len(NAMED.rows((), ("large",))[0][0]) == 4_000_000


def test_what_was_answered_is_not_kept(services: Services) -> None:
    used = resident()
    much = database.obj.run("SELECT repeat('x', 1000000) FROM generate_series(1, 200)", ())
    assert len(much.fetchall()) == 200
    del much
    assert resident() - used < 100 * 1024 * 1024


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Undone(Exception):
    """What a transaction of the test ends with when it is not to be kept."""


def act(chance: Random, model: dict[str, str], depth: int = 0) -> dict[str, str]:
    """Do something at random, nested transactions included; return what is there by then."""
    there = dict(model)
    for _ in range(chance.randrange(1, 6)):
        name, value = f"n{chance.randrange(6)}", str(chance.random())
        what = chance.randrange(7)
        if what == 0:
            SET.say((), (value, name))
            there.update({name: value} if name in there else {})
        elif what == 1:
            assert SET.change((), (value, name)) == (name in there)
            there.update({name: value} if name in there else {})
        elif what == 2 and name not in there:
            (ADD.say if chance.random() < 0.5 else ADD.change)((), (name, value))
            there[name] = value
        elif what == 3:
            asked = NAMED.ahead((), (name,))
            SET.say((), (value, name))
            was = there.get(name)
            there.update({name: value} if name in there else {})
            assert asked() == ([(was,)] if was is not None else [])
        elif what == 4:
            found = Setting.get_or_none(Setting.name == name)  # by a cursor of the driver
            assert (found.value if found is not None else None) == there.get(name)
        elif what == 5 and depth < 3:
            with suppress(Undone), transaction():
                inner = act(chance, there, depth + 1)
                if chance.random() < 0.4:
                    raise Undone
                there = inner
        elif what == 6 and name in there:
            with suppress(IntegrityError), transaction():
                SET.say((), ("lost", name))
                ADD.change((), (name, value))
    return there


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_said_in_whatever_order_is_done_in_that_order(
    services: Services, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "MAX_PREPARED", 4)
    database.close()
    Setting.delete().execute()
    chance, model = Random(seed), dict[str, str]()
    for _ in range(40):
        with suppress(Undone), transaction():
            then = act(chance, model)
            if chance.random() < 0.3:
                raise Undone
            model = then
        assert {row.name: row.value for row in Setting.select()} == model
