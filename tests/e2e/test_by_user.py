# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The other half of the story: an admin adds a person, who activates the card by a mailed link."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urldefrag

import pytest
from httpx2 import Client

from tests.e2e.browser import Person
from tests.e2e.desk import Desk
from tests.e2e.mailbox import link_in, pin_in
from tests.e2e.models import new_card
from tests.e2e.product import Product
from tests.fakes.smtp import Sink

pytestmark = pytest.mark.e2e

OWN_PIN = "739154"
GETS = 1_000


@pytest.mark.req("R11")
@pytest.mark.req("R12")
@pytest.mark.req("R20")
def test_a_link_that_scanners_opened_activates_a_card_at_a_reader_once(
    product: Product, desk: Desk, mail: Sink, person: Callable[[], Person]
) -> None:
    grace = person()
    invites_alan(grace, product)
    letter = mail.wait_for(1)[0]
    assert letter.envelope_to == ("alan@hospital.example",)
    link = link_in(letter)

    # Scanners are here before Alan: one that only asks, and one that runs scripts and presses.
    asks_often(link)
    grace.follows("Open user page")
    grace.sees("Not opened yet")
    scanner = person()
    scanner.opens(link)
    scanner.presses("Start")
    scanner.follows("Use a reader")
    scanner.presses("Start at this reader")
    scanner.sees("Tap the card on Desk NFC")
    desk.sees("tap")
    scanner.opens(link)
    scanner.presses("Start")
    scanner.follows("Use this browser")
    grace.page.reload()
    grace.sees("Opened")

    # The link is still Alan's. He taps his card at the desk, and its PIN comes by another mail.
    alan = person()
    alan.opens(link)
    alan.presses("Start")
    alan.sees("Hello Alan Turing")
    alan.sees("Example Hospital gives you this security key.")
    alan.follows("Use a reader")
    alan.picks("Desk NFC")
    alan.picks("Send me one by mail")
    alan.presses("Start at this reader")
    card = new_card()
    with desk.tap(card):
        desk.sees("done")
    alan.sees("“Card of Alan Turing” is active")
    alan.sees("Its PIN is on the way to a…@hospital.example.")
    pin = pin_in(mail.wait_for(2)[1])

    # He changes it there and then, and tries his card.
    alan.follows("Change PIN")
    alan.presses("Change the PIN at this reader")
    with desk.tap(card):
        desk.agrees()
        desk.types("pin", pin)
        desk.types("new_pin", OWN_PIN)
        desk.sees("done")
    alan.is_at("/activate/done")
    alan.follows("Try it now")
    alan.presses("Sign in at this reader")
    with desk.tap(card) as asked:
        alan.sees(asked["code"])
        desk.types("pin", OWN_PIN)
        alan.sees("It works.")
    desk.sees("done")

    is_dead(link, person())
    shows_active(grace)
    product.never_logged(link, link.partition("#")[2], pin, OWN_PIN)


@pytest.mark.req("R11")
@pytest.mark.req("R14")
def test_a_link_activates_a_card_in_the_browser_once(
    product: Product, mail: Sink, person: Callable[[], Person]
) -> None:
    grace = person()
    invites_alan(grace, product)
    link = link_in(mail.wait_for(1)[0])

    # Alan's phone reads the card by itself, and its own dialog asks for a PIN of his.
    alan = person()
    phone = alan.holds_key("nfc")
    alan.opens(link)
    alan.presses("Start")
    alan.follows("Use this browser")
    alan.presses("Start")
    alan.sees("“Card of Alan Turing” is active")
    assert len(alan.credentials(phone)) == 1

    # So there is no PIN to mail, but he hears of every key that is made in his name.
    notice = mail.wait_for(2)[1]
    assert "Card of Alan Turing" in str(notice.message["Subject"] + notice.text)
    assert "PIN" not in notice.text

    alan.follows("Try it now")
    alan.presses("Use my key in this browser")
    alan.sees("It works.")

    is_dead(link, person())
    grace.follows("Open user page")
    shows_active(grace)
    assert len(mail.received) == 2


@pytest.mark.req("R19")
def test_who_chooses_an_own_pin_types_it_at_the_desk_and_gets_none_by_mail(
    product: Product, desk: Desk, mail: Sink, person: Callable[[], Person]
) -> None:
    invites_alan(person(), product)
    alan = person()
    alan.opens(link_in(mail.wait_for(1)[0]))
    alan.presses("Start")
    alan.follows("Use a reader")
    alan.picks("Desk NFC")
    alan.picks("I choose my own")
    alan.presses("Start at this reader")
    card = new_card()
    with desk.tap(card):
        alan.sees("Choose a PIN at Desk NFC")
        # One that is too short is asked for again, with the rule that it breaks.
        desk.types("new_pin", "1234")
        refused = desk.types("new_pin", OWN_PIN)
        assert False in [check.get("holds") for check in refused["checks"]]
        desk.sees("done")
    alan.sees("“Card of Alan Turing” is active")
    notice = mail.wait_for(2)[1]
    assert "was added" in str(notice.message["Subject"])

    # Nothing has to be changed first: the card signs in with it.
    assert not card.memory.force_pin_change
    alan.follows("Try it now")
    alan.presses("Sign in at this reader")
    with desk.tap(card):
        desk.types("pin", OWN_PIN)
        alan.sees("It works.")
    desk.sees("done")
    product.never_logged(OWN_PIN)


def invites_alan(grace: Person, product: Product) -> None:
    """The document's steps 1 to 11, by an owner who is new here: Alan gets a link."""
    grace.holds_key()
    grace.opens(product.owner_link())
    grace.fills("Your name", "Grace Hopper")
    grace.presses("Register my security key")
    grace.follows("Groups")
    grace.follows("New group")
    grace.fills("Name", "Night shift")
    grace.presses("Make group")

    grace.follows("Users")
    grace.follows("New User")
    grace.fills("First name", "Alan")
    grace.fills("Last name", "Turing")
    grace.fills("User name", "alan@hospital.example")
    grace.fills("Email", "alan@hospital.example")
    grace.presses("Next")
    grace.picks("Night shift")
    grace.presses("Next")
    grace.picks("Assign a security key")
    grace.chooses("Security Key Device", "Contactless Card")
    grace.has("Name", "Card of Alan Turing")
    grace.picks("Activate by user")
    grace.presses("Next")
    grace.is_at("/review")
    grace.sees("A registration link goes to alan@hospital.example.")
    grace.presses("Confirm")
    grace.sees("Alan Turing is added")


def asks_often(link: str) -> None:
    """A mail scanner that follows the link again and again and runs no scripts."""
    url, _fragment = urldefrag(link)  # as any client does: the token is never sent
    with Client() as scanner:
        answers = {scanner.request("HEAD" if n % 10 == 0 else "GET", url).text for n in range(GETS)}
    assert all("csrf_token" in answer for answer in answers if answer)


def is_dead(link: str, somebody: Person) -> None:
    """The link was used: whoever opens it now sees the one page for all dead links."""
    somebody.opens(link)
    somebody.presses("Start")
    somebody.sees("This link no longer works")


def shows_active(grace: Person) -> None:
    """The person's page in the panel."""
    grace.page.reload()
    grace.sees("Active")
    grace.sees("Registration link used")
