# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Forms that outlive their session: sealed, bounded, for one account, for a day."""

from __future__ import annotations

import pytest

from provisioning.audit import CLI
from provisioning.clock import now_ms
from provisioning.models import KeptForm, PanelAccount
from provisioning.panel import access, kept_forms
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction

TYPED = [("name", "Nurses"), ("groups", "1"), ("groups", "2"), ("note", "\u202e<b>\n" * 900)]


@pytest.fixture
def account(services: Services) -> PanelAccount:
    with transaction():
        return access.create_account("Grace Hopper", Role.OWNER, CLI)


def test_it_comes_back_once_and_to_its_account_and_page_only(
    account: PanelAccount, services: Services
) -> None:
    with transaction():
        other = access.create_account("Barbara Liskov", Role.OWNER, CLI)
        assert kept_forms.keep(account.id, "/groups/new", TYPED, services.vault)
        assert kept_forms.take(account.id, "/groups", services.vault) is None
        assert kept_forms.take(other.id, "/groups/new", services.vault) is None
        assert kept_forms.take(account.id, "/groups/new", services.vault) == TYPED
        assert kept_forms.take(account.id, "/groups/new", services.vault) is None


def test_what_lies_in_the_database_cannot_be_read(
    account: PanelAccount, services: Services
) -> None:
    with transaction():
        kept_forms.keep(account.id, "/groups/new", TYPED, services.vault)
    assert b"Nurses" not in bytes(KeptForm.get().sealed)


def test_one_page_has_one_and_an_account_has_twenty_of_bounded_length(
    account: PanelAccount, services: Services
) -> None:
    with transaction():
        for number in range(30):
            kept_forms.keep(account.id, f"/groups/{number}", TYPED, services.vault)
            kept_forms.keep(account.id, f"/groups/{number}", TYPED, services.vault)
        assert KeptForm.select().count() == kept_forms.MOST
        assert kept_forms.take(account.id, "/groups/29", services.vault) == TYPED
        long = [("name", "a" * kept_forms.LONGEST)]
        assert not kept_forms.keep(account.id, "/groups/new", long, services.vault)


def test_after_a_day_it_is_gone(account: PanelAccount, services: Services) -> None:
    with transaction():
        kept_forms.keep(account.id, "/groups/new", TYPED, services.vault)
        assert kept_forms.forget_old() == 0
        KeptForm.update(created_at=now_ms() - kept_forms.KEPT).execute()
        assert kept_forms.take(account.id, "/groups/new", services.vault) is None
        assert kept_forms.forget_old() == 1
    assert not KeptForm.select().exists()
