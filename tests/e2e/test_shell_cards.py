# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The life of a card from a shell, as a script of the house would drive it, at a real station."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.desk import Desk
from tests.e2e.directory import connected
from tests.e2e.mailbox import pin_in
from tests.e2e.models import CARD_NAME, new_card
from tests.e2e.product import Product
from tests.fakes.smtp import Sink

pytestmark = pytest.mark.e2e

OWN_PIN = "739154"


@contextmanager
def at_shell(product: Product, *words: str) -> Iterator[list[str]]:
    """A command that waits for the desk; when the block is over, its lines are there."""
    said: list[str] = []

    def run() -> None:
        told = product.command("key", words[0], "--data", product.data, *words[1:])
        said.extend(told.splitlines())

    thread = threading.Thread(target=run)
    thread.start()
    yield said
    thread.join(60)
    assert said, "the command did not end well"


def keys_of(product: Product) -> list[list[str]]:
    told = product.command("key", "list", "--data", product.data, "--user", "ada@hospital.example")
    return [line.split("  ") for line in told.splitlines()]


def test_a_card_s_life_from_a_shell(product: Product, desk: Desk, mail: Sink) -> None:
    at_desk = ("--station", "Desk NFC")
    with connected(product, "Example directory") as directory:
        directory.pushes_user("Ada", "Lovelace")

    first = new_card()
    with at_shell(product, "assign", "ada@hospital.example", *at_desk) as said, desk.tap(first):
        done = desk.sees("done")
    assert done["card"] == f"{CARD_NAME}, UID {first.uid.hex().upper()}"
    key_id = said[0].split("  ")[0]
    # It looks four times a second, and a quick hand is quicker.
    assert said[1] in ("Waiting for Desk NFC.", "Tap the card on Desk NFC.")
    assert said[-1] == "Done. Card of Ada Lovelace is active."
    pin = pin_in(mail.wait_for(1)[0])

    with at_shell(product, "at-reader", key_id, "change-pin", *at_desk), desk.tap(first):
        desk.agrees()
        desk.types("pin", pin)
        desk.types("new_pin", OWN_PIN)
        desk.sees("done")

    # Its PIN is forgotten: wiped, and enrolled again while it lies there.
    with (
        at_shell(product, "at-reader", key_id, "reset", "--yes", *at_desk) as said,
        desk.tap(first),
    ):
        desk.agrees()
        desk.sees("done")
        desk.sees("done")
    assert said[-1] == "Done. Card of Ada Lovelace is active."

    # A second card takes over from it; the first goes back to the shelf.
    second = new_card()
    replacing = ("assign", "ada@hospital.example", "--replaces", key_id, *at_desk)
    with at_shell(product, *replacing) as said, desk.tap(second):
        desk.sees("done")
    assert [(key[1], key[2], key[5]) for key in keys_of(product)] == [
        ("active", "-", CARD_NAME),
        ("revoked", "superseded", CARD_NAME),
    ]
    with at_shell(product, "at-reader", key_id, "return", "--yes", *at_desk), desk.tap(first):
        desk.agrees()
        desk.sees("done")
    assert first.memory.credentials == []
    assert len(second.memory.credentials) == 1
    assert "chain whole" in product.verify_audit()
    product.never_logged(pin, OWN_PIN)
