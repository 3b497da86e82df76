# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest
from flask import Flask

from provisioning import directory, keys
from provisioning.audit import CLI
from provisioning.lifecycle import Reason
from provisioning.mails import mail, notices
from provisioning.mails.mail import Template
from provisioning.mails.outbox import MailState
from provisioning.models import OutboxMail, SecurityKey, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes import people


def moves(user: User, services: Services, address: str | None, **more: object) -> list[OutboxMail]:
    """Give a person another address; return the mails that tell the old one."""
    old = user.email
    emails = [{"value": address, "primary": True}] if address else []
    with transaction():
        directory.replace_user(user, people.document(emails=emails, **more), actor=CLI)
        notices.address_changed(user, old, services)
    return list(OutboxMail.select().where(OutboxMail.template == Template.ADDRESS_CHANGED))


@pytest.mark.req("T12")
def test_the_old_address_of_a_key_holder_hears_that_mails_go_elsewhere(services: Services) -> None:
    user = people.person()
    people.active_key(user)
    [told] = moves(user, services, "mallory@example.org")
    assert told.recipient == "ada@example.org"
    assert "mallory" not in told.context
    assert told.sealed_secret is None


@pytest.mark.req("T12")
def test_an_address_that_is_taken_away_is_told_as_well(services: Services) -> None:
    user = people.person()
    people.pending_key(user)
    assert [told.recipient for told in moves(user, services, None)] == ["ada@example.org"]


@pytest.mark.parametrize("address", ["ada@example.org", "ADA@example.org"])
def test_the_same_address_in_other_letters_is_no_other_one(
    services: Services, address: str
) -> None:
    user = people.person()
    people.active_key(user)
    assert moves(user, services, address, title="Countess") == []


def test_who_has_no_key_that_may_work_again_is_not_written_to(services: Services) -> None:
    user = people.person()
    assert moves(user, services, "new@example.org") == []
    people.pending_key(user)
    with transaction():
        keys.revoke(SecurityKey.get(), Reason.LOST, CLI)
    assert moves(user, services, "newer@example.org") == []


@pytest.mark.req("T12")
def test_who_is_suspended_for_a_while_is_warned_all_the_same(services: Services) -> None:
    user = people.person()
    people.active_key(user)
    (told,) = moves(user, services, "new@example.org")
    with transaction():
        directory.suspend(user, CLI)
    assert people.again(told).state == MailState.QUEUED, "it does not go with its person"
    assert [each.recipient for each in moves(user, services, "newer@example.org")] == [
        "ada@example.org",
        "new@example.org",
    ]


def test_the_mail_says_whom_to_ask_and_names_no_address(services: Services, app: Flask) -> None:
    user = people.person()
    people.active_key(user)
    [told] = moves(user, services, "mallory@example.org")
    with app.app_context():
        shown = mail.render(Template(told.template), json.loads(told.context), None, "en")
    assert "go to another address" in shown.subject
    for text in (shown.text, shown.html):
        assert services.settings.contact in text
        assert "mallory" not in text
