# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""An HR office imports 10,000 people, and the worker is killed again and again on the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.browser import Person
from tests.e2e.product import Product

pytestmark = pytest.mark.e2e

PEOPLE = 10_000
KILLS = 3
SECONDS = 240


def test_ten_thousand_people_are_imported_though_the_worker_is_killed_three_times(
    product: Product, person: Callable[[], Person], folder: Path
) -> None:
    file = folder / "people.csv"
    rows = (f"person{n};person{n}@example.org;Ada;Number {n};Ward {n % 50}" for n in range(PEOPLE))
    head = "Benutzername;E-Mail;Vorname;Nachname;Gruppen"
    file.write_text("\n".join([head, *rows, "person7;;;;", ";nobody@example.org;;;"]) + "\n")

    grace = person()
    grace.holds_key()
    grace.opens(product.owner_link())
    grace.fills("Your name", "Grace Hopper")
    grace.presses("Register my security key")
    grace.follows("Import CSV")
    grace.page.get_by_label("CSV file").set_input_files(file)
    grace.presses("Upload and look")

    # What was found out, and the guesses, which need no correction.
    grace.sees("10,002 lines · UTF-8 · separated by semicolon")
    grace.presses("Check the file")
    grace.sees("Looking at each line")
    grace.sees("10,000 lines change something", SECONDS)
    grace.sees("2 lines are left out; the table says why.")
    grace.follows("Left out 2")
    grace.sees("Line 9 is about the same.")
    grace.sees("User name is empty.")
    grace.follows("All lines 10,002")

    # The worker dies in the middle, again and again, and the work goes on by itself.
    grace.presses("Apply")
    grace.sees("You can leave this page")
    done = 0
    for _ in range(KILLS):
        done = grows(product, beyond=done)
        killed = product.workers()
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        assert killed
        assert done < PEOPLE, "killed too late to prove anything"

    # The page can be left and come back to.
    grace.follows("Users")
    grace.follows("Long work 1")
    grace.follows("CSV import")
    grace.sees("Finished", SECONDS)
    grace.sees("10,000 of 10,000 rows")
    assert grace.page.get_by_text("not possible for").count() == 0

    # Nothing was lost and nothing doubled, and the log tells each of them once.
    assert ask(product, "SELECT count(*), count(DISTINCT user_name_key) FROM user") == (
        PEOPLE, PEOPLE,
    )  # fmt: skip
    created = "SELECT count(*), count(DISTINCT user_id) FROM audit_event WHERE event = ?"
    assert ask(product, created, "user.created") == (PEOPLE, PEOPLE)
    assert ask(product, "SELECT count(*), count(DISTINCT user_id) FROM member") == (PEOPLE, PEOPLE)
    assert ask(product, "SELECT count(*) FROM user_group") == (50,)
    assert "chain whole" in product.verify_audit()

    # The same file once more has nothing to do.
    again = product.command("import", "--data", product.data, file, "--dry-run")
    assert f"unchanged  {PEOPLE:>8,}" in again


def grows(product: Product, beyond: int) -> int:
    """Wait until a good part more is done; how many rows that is."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        (done,) = ask(product, "SELECT done FROM task WHERE kind = ?", "import_run")
        if done >= beyond + PEOPLE // 8:
            return int(done)
        time.sleep(0.05)
    raise AssertionError(f"the import stands at {done} rows")


def ask(product: Product, question: str, *values: object) -> tuple[int, ...]:
    database = sqlite3.connect(product.data / "keywright.sqlite3", timeout=20)
    answer = database.execute(question, values).fetchone()
    database.close()
    return tuple(answer)
