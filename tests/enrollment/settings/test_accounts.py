# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who works in the panel: invited, promoted, suspended; the last owner always stays."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from provisioning.audit import CLI
from provisioning.errors import Forbidden, WrongState
from provisioning.models import Alert, OwnerLink, PanelAccount, PanelCredential, Session
from provisioning.panel import access, accounts, leavers
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.authenticator import Authenticator
from tests.fakes.panel import Panel, text_of
from tests.fakes.people import person

GRACE = {"name": "Katherine Johnson", "email": "", "role": "officer", "user_name": ""}


def token_on(page: str) -> str:
    found = re.search(r"/join#([\w-]{43})<", page.replace("<wbr>", ""))
    assert found
    return found[1]


def join(app: Flask, services: Services, token: str) -> PanelAccount:
    """Open the link in another browser and register a key there."""
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    assert "Join the panel" in client.get("/join").text
    options = client.post("/owner/options", json={"token": token})
    assert options.status_code == 200, options.text
    card = Authenticator(services.settings.origin, services.settings.rp_id)
    made = client.post(
        "/owner/finish", json={"token": token, "credential": card.create(options.text)}
    )
    assert made.status_code == 200, made.text
    assert client.get("/users").status_code == 200
    return PanelAccount.get(PanelAccount.name == GRACE["name"])


def test_an_invitation_is_a_link_that_registers_a_key(
    app: Flask, panel: Panel, services: Services
) -> None:
    page = panel.post("/settings/accounts", GRACE).text
    assert "Shown only now" in page
    token = token_on(page)
    assert token not in panel.get("/settings/accounts").text
    assert "Invited" in panel.see("/settings/accounts")
    account = join(app, services, token)
    assert (account.state, account.role) == ("active", "officer")
    assert PanelCredential.get(PanelCredential.account == account).label == "First key"
    assert app.test_client().post("/owner/options", json={"token": token}).status_code == 410


def test_a_newer_invitation_ends_the_older_one(app: Flask, panel: Panel) -> None:
    first = token_on(panel.post("/settings/accounts", GRACE).text)
    account = PanelAccount.get(PanelAccount.name == GRACE["name"])
    second = token_on(panel.post(f"/settings/accounts/{account.id}/link").text)
    client = app.test_client()
    assert client.post("/owner/options", json={"token": first}).status_code == 410
    assert client.post("/owner/options", json={"token": second}).status_code == 200


def test_an_invitation_runs_out_after_a_day(app: Flask, panel: Panel) -> None:
    token = token_on(panel.post("/settings/accounts", GRACE).text)
    link = OwnerLink.get(OwnerLink.token_hash == access.hash_secret(token))
    assert link.expires_at - link.account.created_at <= accounts.INVITATION + 5000
    OwnerLink.update(expires_at=1).execute()
    assert app.test_client().post("/owner/options", json={"token": token}).status_code == 410


def test_the_shell_link_leaves_invitations_alone(app: Flask, panel: Panel) -> None:
    token = token_on(panel.post("/settings/accounts", GRACE).text)
    with transaction():
        access.make_owner_link(CLI, recover=True)
    assert app.test_client().post("/owner/options", json={"token": token}).status_code == 200


def test_somebody_who_lost_the_key_gets_another_by_a_link(
    app: Flask, panel: Panel, services: Services
) -> None:
    account = join(app, services, token_on(panel.post("/settings/accounts", GRACE).text))
    again = join(app, services, token_on(panel.post(f"/settings/accounts/{account.id}/link").text))
    labels = [key.label for key in PanelCredential.select().order_by(PanelCredential.id)]
    assert again == account
    assert labels == ["First key", "Key 2"]
    (alert,) = Alert.select()  # of the second one, and none of the first
    assert (alert.kind, alert.subject) == ("panel_key", GRACE["name"])


@pytest.mark.req("R18")
def test_an_account_may_belong_to_a_person_of_the_directory(
    panel: Panel, services: Services
) -> None:
    ada = person()
    panel.post("/settings/accounts", {**GRACE, "user_name": "  ADA "})
    account = PanelAccount.get(PanelAccount.name == GRACE["name"])
    assert account.user == ada
    with transaction():
        leavers.hold_account_of(ada, CLI)
    assert PanelAccount.get_by_id(account.id).state == "suspended"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "This field is required."),
        ("name", "x" * 65, "longer than 64"),
        ("name", "two\nlines", "on one line"),
        ("email", "nobody", "cannot be used"),
        ("email", "a@b.example\r\nBcc: c@d.example", "cannot be used"),
        ("role", "emperor", "Not a valid choice"),
        ("user_name", "nobody-here", "There is no user nobody-here."),
        ("user_name", "x" * 10_000, "longer than 256"),
    ],
)
def test_a_bad_invitation_is_told_beside_its_field(
    panel: Panel, field: str, value: str, said: str
) -> None:
    answer = panel.post("/settings/accounts", {**GRACE, field: value})
    assert answer.status_code == 200
    assert said in text_of(answer)
    assert f'id="{field}-error"' in answer.text
    assert PanelAccount.select().count() == 1


def test_a_person_has_one_account(panel: Panel) -> None:
    person()
    panel.post("/settings/accounts", {**GRACE, "user_name": "ada"})
    page = text_of(panel.post("/settings/accounts", {**GRACE, "user_name": "ada"}))
    assert "This person has an account already." in page
    assert PanelAccount.select().count() == 2


@pytest.mark.req("R18")
@pytest.mark.req("R25")
def test_the_first_owner_says_once_who_they_are_in_the_directory(panel: Panel) -> None:
    ada, url = person(), f"/settings/accounts/{panel.account.id}/person"
    assert "nobody in the directory" in panel.see("/settings/accounts")
    assert panel.post(url, {"user_name": " ADA "}).status_code == 303
    assert "Grace Hopper belongs to Ada Lovelace." in panel.see("/settings/accounts")
    assert PanelAccount.get_by_id(panel.account.id).user == ada
    with pytest.raises(Forbidden, match="themselves"):
        access.check_may_activate(PanelAccount.get_by_id(panel.account.id), ada)
    assert panel.post(url, {"user_name": ""}).status_code == 403
    assert PanelAccount.get_by_id(panel.account.id).user == ada
    assert "Panel account Grace Hopper belongs to Ada Lovelace" in panel.see("/activity")


def test_another_owner_says_that_it_was_somebody_else(app: Flask, panel: Panel) -> None:
    person()
    other = Panel(app, Role.OWNER, name="Katherine Johnson", user=person("kate"))
    url = f"/settings/accounts/{other.account.id}/person"
    assert 'value="kate"' in panel.get(url).text
    panel.post(url, {"user_name": "ada"})
    assert PanelAccount.get_by_id(other.account.id).user.user_name == "ada"
    panel.post(url, {"user_name": ""})
    assert PanelAccount.get_by_id(other.account.id).user is None
    assert "Katherine Johnson belongs to nobody" in panel.see("/settings/accounts")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("nobody-here", "There is no user nobody-here."),
        ("kate", "This person has an account already."),
        ("gone", "is suspended."),
    ],
)
def test_a_wrong_person_is_told_beside_the_field(
    app: Flask, panel: Panel, typed: str, said: str
) -> None:
    Panel(app, Role.AUDITOR, name="Katherine Johnson", user=person("kate"))
    person("gone", active=False)
    answer = panel.post(f"/settings/accounts/{panel.account.id}/person", {"user_name": typed})
    assert answer.status_code == 200
    assert said in text_of(answer)
    assert 'id="user_name-error"' in answer.text
    assert PanelAccount.get_by_id(panel.account.id).user is None


def test_a_name_of_markup_stays_a_name(panel: Panel) -> None:
    panel.post("/settings/accounts", {**GRACE, "name": "<script>alert(1)</script>"})
    page = panel.get("/settings/accounts").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_role_changes_at_once(app: Flask, panel: Panel) -> None:
    other = Panel(app, Role.OPERATOR, name="An operator")
    assert other.post("/settings/pin").status_code == 403
    url = f"/settings/accounts/{other.account.id}/role"
    assert "Role of An operator" in panel.see(url)
    assert panel.post(url, {"role": "owner"}).status_code == 303
    assert "An operator is Owner from now on." in panel.see("/settings/accounts")
    assert other.post("/settings/pin").status_code == 200
    assert "Role of An operator changed from Operator to Owner" in panel.see("/activity")


def test_a_suspended_account_is_out_at_once_and_can_come_back(app: Flask, panel: Panel) -> None:
    other = Panel(app, Role.OFFICER, name="An officer")
    panel.post(f"/settings/accounts/{other.account.id}/suspend")
    assert other.get("/users").status_code == 302
    assert Session.get_by_id(other.session.id).ended_at is not None
    panel.post(f"/settings/accounts/{other.account.id}/resume")
    assert "An officer can sign in again." in panel.see("/settings/accounts")
    assert other.get("/users").status_code == 302, "the old session stays dead"


def test_suspending_ends_an_open_invitation(app: Flask, panel: Panel) -> None:
    token = token_on(panel.post("/settings/accounts", GRACE).text)
    account = PanelAccount.get(PanelAccount.name == GRACE["name"])
    panel.post(f"/settings/accounts/{account.id}/suspend")
    assert app.test_client().post("/owner/options", json={"token": token}).status_code == 410
    assert panel.post(f"/settings/accounts/{account.id}/link").status_code == 409
    panel.post(f"/settings/accounts/{account.id}/resume")
    assert PanelAccount.get_by_id(account.id).state == "invited"


@pytest.mark.parametrize("verb", ["suspend", "link", "role", "resume"])
def test_nobody_changes_their_own_account(panel: Panel, verb: str) -> None:
    answer = panel.post(f"/settings/accounts/{panel.account.id}/{verb}", {"role": "auditor"})
    assert answer.status_code == 403
    assert PanelAccount.get_by_id(panel.account.id).role == "owner"


@pytest.mark.req("R18")
def test_the_last_owner_cannot_be_taken_away(app: Flask, panel: Panel) -> None:
    ghost = Panel(app, Role.OWNER, name="Second owner").account
    with transaction():
        accounts.suspend(panel.account, ghost, CLI)
        ghost_by = PanelAccount.get_by_id(panel.account.id)
        for change in (
            lambda: accounts.suspend(ghost, ghost_by, CLI),
            lambda: accounts.change_role(ghost, Role.AUDITOR, ghost_by, CLI),
        ):
            with pytest.raises(WrongState, match="last owner"):
                change()
        with pytest.raises(Forbidden):
            accounts.suspend(ghost, ghost, CLI)
    assert access.has_owner()


@pytest.mark.parametrize("verb", ["", "/{id}/link", "/{id}/role", "/{id}/suspend", "/{id}/resume"])
def test_only_an_owner_with_a_fresh_key_decides_about_accounts(app: Flask, verb: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    other = Panel(app, Role.AUDITOR, name="An auditor")
    url = "/settings/accounts" + verb.format(id=other.account.id)
    officer = Panel(app, Role.OFFICER, name="An officer")
    assert officer.post(url, GRACE).status_code == 403
    tired = Panel(app, Role.OWNER, stepped_up=False)
    assert tired.post(url, GRACE).location.startswith("/step-up?next=/settings/accounts")
    assert PanelAccount.get_by_id(other.account.id).state == "active"


def test_an_owner_with_one_key_is_told_to_have_two(panel: Panel) -> None:
    page = panel.see("/settings/accounts")
    assert "Register a second one" in page


def test_everybody_sees_who_works_here(app: Flask, panel: Panel) -> None:
    auditor = Panel(app, Role.AUDITOR, name="An auditor")
    page = auditor.see("/settings/accounts")
    assert "Grace Hopper" in page
    assert "Invite somebody" not in page
    assert "/suspend" not in auditor.get("/settings/accounts").text


def test_an_account_that_is_none_is_not_found(panel: Panel) -> None:
    assert panel.get("/settings/accounts/999/role").status_code == 404
