# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The story that Keywright is for: a person joins, gets a card that works, and leaves.

Everything is real but the plastic: an installed wheel with its web and worker processes, a
directory, Chromium, a mail server, a station process, pcscd, and a software card behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.e2e.browser import Person
from tests.e2e.desk import Desk, listening_sockets
from tests.e2e.directory import connected
from tests.e2e.mailbox import pin_in
from tests.e2e.models import CARD_NAME, new_card
from tests.e2e.product import Product
from tests.fakes.smtp import Sink

pytestmark = pytest.mark.e2e

OWN_PIN = "739154"


@pytest.mark.req("R8")
@pytest.mark.req("R16")
@pytest.mark.req("R19")
@pytest.mark.req("R22")
def test_from_a_directory_s_push_to_a_dead_key(
    product: Product, desk: Desk, mail: Sink, person: Callable[[], Person]
) -> None:
    # A directory pushes Ada, and a group that she is in.
    with connected(product, "Example directory") as directory:
        ada_id = directory.pushes_user("Ada", "Lovelace")
        directory.pushes_group("Ward nurses", [ada_id])

        # Grace becomes the first owner by the command line's link, and comes back by her key.
        grace = person()
        grace.holds_key()
        grace.opens(product.owner_link())
        grace.fills("Your name", "Grace Hopper")
        grace.presses("Register my security key")
        grace.presses("Sign out")
        grace.presses("Use my security key")

        # She finds Ada, whom the directory has brought, and assigns her a card.
        grace.follows("Users")
        grace.follows("Ada Lovelace")
        grace.sees("Ward nurses")
        grace.follows("Assign security key")
        grace.chooses("Security Key Device", "Contactless Card")
        grace.has("Name", "Card of Ada Lovelace")
        grace.picks("Activate now as an admin")
        grace.chooses("Reader", "Desk NFC")
        grace.presses("Assign Contactless Card")

        # Activating for somebody else takes her key once more. Then the reader asks for the card.
        grace.sees("Confirm with your key")
        grace.presses("Use my security key")
        grace.sees("Tap the card on Desk NFC")
        card = new_card()
        with desk.tap(card):
            grace.sees("The card is assigned")
            desk.sees("done")
        assert listening_sockets(desk.pid) == []

        # Nothing has left the house before Confirm.
        grace.presses("Next")
        grace.sees("The card's PIN goes to ada@hospital.example by mail.")
        assert mail.received == []
        grace.presses("Confirm")
        grace.sees("The key is assigned to Ada Lovelace")

        # The PIN arrives by SMTP, for Ada alone, without a link to activate anything.
        letter = mail.wait_for(1)[0]
        assert letter.envelope_to == ("ada@hospital.example",)
        assert "/activate" not in letter.text
        pin = pin_in(letter)
        grace.follows("Open user page")
        grace.sees("delivered to the mail server")
        grace.sees(CARD_NAME)
        assert pin not in grace.page.content()

        # With it the card serves for nothing but its own change.
        ada = person()
        ada.opens(f"{product.url}/me")
        ada.chooses("At a reader", "Desk NFC")
        ada.presses("Sign in at this reader")
        with desk.tap(card):
            fault = desk.sees("fault")
        assert fault["fault"] == "change_pending"
        ada.sees("PIN must be changed")
        ada.follows("Change PIN")
        ada.presses("Change the PIN at this reader")
        with desk.tap(card):
            desk.agrees()
            desk.types("pin", pin)
            desk.types("new_pin", OWN_PIN)
            desk.sees("done")
        ada.is_at("/me/sign-in")

        # The same credential signs in from a browser that can reach it …
        at_home = person()
        (credential,) = card.memory.credentials
        at_home.takes_over(
            at_home.holds_key("nfc"), card.export_credential(credential.credential_id)
        )
        at_home.opens(f"{product.url}/me")
        at_home.presses("Use my key in this browser")
        at_home.sees("It works.")

        # … and the card itself at the reader, which shows the code that the page shows.
        ada.presses("Sign in at this reader")
        with desk.tap(card) as asked:
            assert re.fullmatch(r"[A-Z0-9]{4}", asked["code"])
            ada.sees(asked["code"])
            desk.types("pin", OWN_PIN)
            ada.sees("It works.")
            desk.sees("done")
        ada.sees("Card of Ada Lovelace")

        # Ada leaves. From the directory's word on, both her sessions are dead …
        directory.deactivates(ada_id)
        for session in (at_home, ada):
            session.page.reload()
            session.is_at("/me/sign-in")

    # … and nobody signs in with her card any more, here or there.
    at_home.presses("Use my key in this browser")
    at_home.sees("This key does not sign in here.")
    ada.presses("Sign in at this reader")
    with desk.tap(card):
        desk.types("pin", OWN_PIN)
        desk.sees("cancelled")
        ada.sees("This key does not sign in here.")

    # The panel shows it, and the log tells it all, in order and untouched.
    grace.page.reload()
    grace.sees("Suspended")
    grace.follows("The whole timeline")
    grace.follows("All activity of this user")
    assert_in_order(
        grace.log(),
        "Added · Ada Lovelace · Example directory",
        "Card tapped · Ada Lovelace · Desk NFC",
        "“Card of Ada Lovelace” registered · Ada Lovelace · Desk NFC",
        "“Card of Ada Lovelace” assigned · Ada Lovelace · Grace Hopper",
        "“Card of Ada Lovelace” activated · Ada Lovelace · Grace Hopper",
        "PIN mail written · Ada Lovelace · Grace Hopper",
        "PIN mail delivered to the mail server · Ada Lovelace · Keywright",
        "PIN of “Card of Ada Lovelace” changed · Ada Lovelace · Desk NFC",
        "Signed in with “Card of Ada Lovelace” · Ada Lovelace · Ada Lovelace",
        "Signed in with “Card of Ada Lovelace” · Ada Lovelace · Ada Lovelace",
        "“Card of Ada Lovelace” suspended (the person was suspended)"
        " · Ada Lovelace · Example directory",
        "Suspended. Keys stopped: 1, sign-ins: 2, links: 0",
    )
    assert "chain whole" in product.verify_audit()
    product.never_logged(pin, OWN_PIN)


def assert_in_order(told: list[str], *expected: str) -> None:
    """The sentences stand in the log in this order, with others between them."""
    rest = iter(told)
    for sentence in expected:
        assert any(sentence in line for line in rest), f"{sentence!r} is not in its place: {told}"
