# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A USB security key that an admin gives out in person, at a real browser; no reader is near."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.browser import Person
from tests.e2e.product import Product
from tests.fakes.smtp import Sink

pytestmark = pytest.mark.e2e


@pytest.mark.req("R14")
def test_a_usb_key_is_activated_in_the_wizard_and_signs_its_holder_in(
    product: Product, mail: Sink, person: Callable[[], Person]
) -> None:
    grace = person()
    own = grace.holds_key()
    grace.opens(product.owner_link())
    grace.fills("Your name", "Grace Hopper")
    grace.presses("Register my security key")
    grace.follows("Users")
    grace.follows("New User")
    grace.fills("First name", "Alan")
    grace.fills("Last name", "Turing")
    grace.fills("User name", "alan@hospital.example")
    grace.fills("Email", "alan@hospital.example")
    grace.presses("Next")
    grace.presses("Next")
    grace.picks("Assign a security key")
    grace.chooses("Security Key Device", "USB security key")
    grace.picks("Activate now as an admin")
    grace.fills("Name", "Key of Alan Turing")

    # Alan's key is in the computer now, and Grace's own is not.
    (hers,) = grace.credentials(own)
    grace.lays_down(own)
    alans = grace.holds_key()
    grace.presses("Use the key now")
    grace.sees("“Key of Alan Turing” is made and checked.")
    grace.presses("Next")
    grace.is_at("/review")
    grace.presses("Confirm")
    grace.sees("Alan Turing is added")
    (made,) = grace.credentials(alans)
    assert made["credentialId"] != hers["credentialId"]

    notice = mail.wait_for(1)[0]
    assert "Key of Alan Turing" in str(notice.message["Subject"] + notice.text)
    assert "PIN" not in str(notice.message["Subject"])

    alan = person()
    stick = alan.holds_key()
    alan.takes_over(stick, made)
    alan.opens(f"{product.url}/me")
    alan.presses("Use my key in this browser")
    alan.sees("Key of Alan Turing")
